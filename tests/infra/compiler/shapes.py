"""Types as the compiler sees them, and what may be assigned to what."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Shape:
    """A type. `kind`: any, null, string, int, bool, array, object, union, module, resource."""

    kind: str
    values: tuple[Any, ...] = ()
    """Of a string or a number: what it can be, where that is known."""
    least: int | None = None
    most: int | None = None
    """Of a number its bounds; of a string or a list those of its length."""
    item: Shape | None = None
    properties: Mapping[str, Shape] | None = None
    """Of an object: what it has. None: it may hold anything."""
    required: frozenset[str] = frozenset()
    rest: Shape | None = None
    """Of an object: what it may hold beside its properties."""
    options: tuple[Shape, ...] = ()
    variants: tuple[str, Mapping[str, Shape]] | None = None
    """Of an object that is one of several: which property says so, and each by that property's value."""

    def __str__(self) -> str:
        if self.kind == "union":
            return " | ".join(map(str, self.options))
        if self.values:
            return " | ".join(f"'{v}'" if isinstance(v, str) else str(v) for v in self.values)
        return self.kind


ANY: Final = Shape("any")
NULL: Final = Shape("null")
STRING: Final = Shape("string")
INT: Final = Shape("int")
BOOL: Final = Shape("bool")
ARRAY: Final = Shape("array", item=ANY)
OBJECT: Final = Shape("object")
BY_NAME: Final = {"string": STRING, "int": INT, "bool": BOOL, "array": ARRAY, "object": OBJECT}


def union(*shapes: Shape) -> Shape:
    """One of several."""
    flat = [o for s in shapes for o in (s.options if s.kind == "union" else (s,))]
    kept = [o for n, o in enumerate(flat) if o not in flat[:n]]
    return kept[0] if len(kept) == 1 else Shape("union", options=tuple(kept))


def of_value(value: Any) -> Shape:
    """The type of a value of JSON."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return Shape("int", (value,), value, value)
    if isinstance(value, str):
        return Shape("string", (value,), len(value), len(value))
    if isinstance(value, list):
        return Shape("array", item=union(*map(of_value, value)) if value else ANY, least=len(value), most=len(value))
    if isinstance(value, dict):
        return Shape("object", properties={k: of_value(v) for k, v in value.items()}, required=frozenset(value))
    return NULL


def of_module(parameters: Mapping[str, Any]) -> Shape:
    """The parameters of a verified module, as `avm.json` has them, as a type."""
    return _verified({"type": "object", "properties": parameters})


def _verified(shape: Mapping[str, Any]) -> Shape:
    kind = shape["type"].replace("securestring", "string").replace("secureObject", "object")
    if kind not in BY_NAME:
        return ANY
    if kind == "array":
        return Shape("array", item=_verified(shape["items"]) if "items" in shape else ANY)
    if kind != "object":
        return Shape(kind, tuple(shape.get("allowed", ())))
    if "variants" in shape:
        return Shape(
            "object", variants=(shape["discriminator"], {k: _verified(v) for k, v in shape["variants"].items()})
        )
    inner = shape.get("properties")
    return Shape(
        "object",
        properties=None
        if inner is None and "rest" not in shape
        else {k: _verified(v) for k, v in (inner or {}).items()},
        required=frozenset(k for k, v in (inner or {}).items() if v.get("required")),
        rest=_verified(shape["rest"]) if "rest" in shape else None,
    )


def mismatches(value: Shape, target: Shape, where: str, optional: bool = False) -> Iterator[tuple[str, str]]:
    """What stands against assigning `value` to `target`: codes and texts."""
    if "any" in (value.kind, target.kind) or (optional and value.kind == "null"):
        return
    if value.kind == "union":
        for option in value.options:
            yield from mismatches(option, target, where, optional)
    elif target.kind == "union":
        if not any(not list(mismatches(value, o, where)) for o in target.options):
            yield "BCP036", f'"{where}" expects a value of type "{target}", but it is of type "{value}".'
    elif value.kind != target.kind:
        yield "BCP036", f'"{where}" expects a value of type "{target}", but it is of type "{value}".'
    elif target.kind == "object":
        yield from _objects(value, target, where)
    elif target.kind == "array":
        yield from _bounds(value, target, where)
        yield from mismatches(value.item or ANY, target.item or ANY, f"{where}[]")
    else:
        yield from _scalars(value, target, where)


def _scalars(value: Shape, target: Shape, where: str) -> Iterator[tuple[str, str]]:
    if target.values and (not value.values or set(value.values) - set(target.values)):
        yield "BCP036", f'"{where}" expects a value of type "{target}", but it is of type "{value}".'
    yield from _bounds(value, target, where)


def _bounds(value: Shape, target: Shape, where: str) -> Iterator[tuple[str, str]]:
    number = target.kind == "int"
    if target.least is not None and value.most is not None and value.most < target.least:
        yield ("BCP328" if number else "BCP333"), f'"{where}": {value.most} is less than {target.least}.'
    if target.most is not None and value.least is not None and value.least > target.most:
        yield ("BCP327" if number else "BCP332"), f'"{where}": {value.least} is more than {target.most}.'


def _objects(value: Shape, target: Shape, where: str) -> Iterator[tuple[str, str]]:
    if target.variants:
        name, kinds = target.variants
        chosen = (value.properties or {}).get(name, ANY).values
        if len(chosen) != 1:
            return
        if chosen[0] not in kinds:
            yield "BCP036", f'"{where}.{name}" expects one of {sorted(kinds)}, but it is "{chosen[0]}".'
            return
        target = kinds[chosen[0]]
    if target.properties is None or value.properties is None:
        return
    for name in sorted(target.required - value.properties.keys()):
        yield "BCP035", f'"{where}" is missing the required property "{name}".'
    for name, inner in value.properties.items():
        expected = target.properties.get(name, target.rest)
        if expected is None:
            yield "BCP037", f'The property "{name}" is not allowed on "{where}".{nearest(name, [*target.properties])}'
        else:
            yield from mismatches(inner, expected, f"{where}.{name}", name not in target.required)


def nearest(name: str, known: Sequence[str]) -> str:
    """What somebody may have meant."""
    close = difflib.get_close_matches(name, known, 1)
    return f' Did you mean "{close[0]}"?' if close else ""
