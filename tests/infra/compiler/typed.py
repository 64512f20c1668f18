"""Types: what each expression is, and whether it may stand where it stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.infra.compiler.functions import FUNCTIONS, LOADING
from tests.infra.compiler.resources import READ
from tests.infra.compiler.shapes import (
    ANY,
    BOOL,
    BY_NAME,
    INT,
    NULL,
    STRING,
    Shape,
    mismatches,
    nearest,
    of_value,
    union,
)
from tests.infra.compiler.tree import Declaration, Expr, File, Problem

type Outputs = Callable[[Declaration], Mapping[str, Shape] | None]
type Locals = Mapping[str, Shape]

_READABLE: Final = READ | {
    *("location", "tags", "properties", "kind", "sku", "identity", "zones", "plan", "managedBy", "etag", "systemData"),
}


def declared(declaration: Declaration) -> Shape | None:
    """The type that a parameter or an output declares, with what its decorators say; none where there is no such."""
    text = declaration.type.removesuffix("?")
    if text.endswith("[]") and text[:-2] in BY_NAME:
        base = Shape("array", item=BY_NAME[text[:-2]])
    elif text in BY_NAME:
        base = BY_NAME[text]
    elif text.startswith("'"):
        base = Shape("string", tuple(part.strip().strip("'") for part in text.split("|")))
    else:
        return None
    said = {d.name: d.parts[0] for d in declaration.decorators if d.kind == "call" and d.parts}
    allowed = tuple(p.value for p in said["allowed"].parts) if "allowed" in said else base.values
    least = next((said[n].value for n in ("minValue", "minLength") if n in said), None)
    most = next((said[n].value for n in ("maxValue", "maxLength") if n in said), None)
    made = Shape(base.kind, allowed, _number(least), _number(most), base.item, base.properties)
    return union(made, NULL) if declaration.type.endswith("?") else made


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


class Types:
    """The types of one file. `outputs` tells what a module puts out; none where the module is not known."""

    def __init__(self, file: File, folder: Path, outputs: Outputs) -> None:
        self._file, self._folder, self._outputs = file, folder, outputs
        self._symbols = file.of("param", "var", "resource", "module")
        self._shapes: dict[str, Shape] = {}
        self._said: set[Problem] = set()

    @property
    def problems(self) -> set[Problem]:
        """What was found on the way."""
        return self._said

    def problem(self, line: int, code: str, text: str) -> None:
        """Note one."""
        self._said.add(Problem(self._file.name, line, code, text))

    def fits(self, value: Expr, target: Shape, where: str, code: str = "", given: Locals | None = None) -> None:
        """Note what stands against assigning a value; at the line of the property that it is about."""
        found = self.of(value, given)
        for its_code, text in mismatches(found, target, where):
            line = _line_of(value, text, where)
            at_all = text.startswith(f'"{where}" expects')
            self.problem(line, code if code and at_all else its_code, text)

    def of(self, expr: Expr, given: Locals | None = None) -> Shape:
        """The type of an expression. `given`: the variables of the loops around it."""
        return _OF[expr.kind](self, expr, given or {})

    def _text(self, expr: Expr, given: Locals) -> Shape:
        return of_value(expr.value)

    def _number(self, expr: Expr, given: Locals) -> Shape:
        return of_value(expr.value)

    def _interpolated(self, expr: Expr, given: Locals) -> Shape:
        for part in expr.parts:
            self.of(part, given)
        return Shape("string", least=len(expr.value) - len(expr.parts))

    def _name(self, expr: Expr, given: Locals) -> Shape:
        if expr.name in given:
            return given[expr.name]
        declaration = self._symbols.get(expr.name)
        if declaration is None:
            return ANY
        if expr.name not in self._shapes:
            self._shapes[expr.name] = ANY  # what a circle finds
            self._shapes[expr.name] = self._symbol(declaration)
        return self._shapes[expr.name]

    def _symbol(self, declaration: Declaration) -> Shape:
        if declaration.kind == "param":
            return declared(declaration) or ANY
        if declaration.kind == "var":
            return self.of(declaration.value) if declaration.value else ANY
        if declaration.kind == "resource":
            shape = Shape("resource", (declaration.what.partition("@")[0],))
        else:
            known = self._outputs(declaration)
            outputs = ANY if known is None else Shape("object", properties=known)
            shape = Shape("module", properties={"name": STRING, "outputs": outputs})
        if declaration.is_loop:
            return Shape("array", ("collection",), item=shape)
        return union(shape, NULL) if declaration.is_conditional else shape

    def _object(self, expr: Expr, given: Locals) -> Shape:
        shapes = [self.of(part, given) for part in expr.parts]
        fixed = {key: shape for key, shape in zip(expr.keys, shapes, strict=True) if key}
        return Shape("object", properties=None if "" in expr.keys else fixed, required=frozenset(fixed))

    def _array(self, expr: Expr, given: Locals) -> Shape:
        shapes = [self.of(part, given) for part in expr.parts]
        return Shape("array", item=union(*shapes) if shapes else ANY, least=len(shapes), most=len(shapes))

    def _ternary(self, expr: Expr, given: Locals) -> Shape:
        condition, yes, no = expr.parts
        self._is(condition, BOOL, "BCP046", "The condition", given)
        return union(self.of(yes, given), self.of(no, given))

    def _is(self, expr: Expr, target: Shape, code: str, who: str, given: Locals) -> None:
        found = self.of(expr, given)
        if list(mismatches(found, target, who)):
            self.problem(expr.line, code, f'{who} requires a value of type "{target}", but it is of type "{found}".')

    def _binary(self, expr: Expr, given: Locals) -> Shape:
        left, right = expr.parts
        if expr.name in ("&&", "||"):
            for side in expr.parts:
                self._is(side, BOOL, "BCP045", f'Operator "{expr.name}"', given)
            return BOOL
        if expr.name in ("+", "-", "*", "/", "%", "<", ">", "<=", ">="):
            for side in expr.parts:
                self._is(side, INT, "BCP045", f'Operator "{expr.name}"', given)
            return BOOL if expr.name[0] in "<>" else INT
        one, other = self.of(left, given), self.of(right, given)
        if expr.name == "??":
            return union(one, other)
        if _never_equal(one, other):
            text = f'Operator "{expr.name}" compares "{one}" with "{other}", which are never equal.'
            self.problem(expr.line, "BCP045", text)
        return BOOL

    def _unary(self, expr: Expr, given: Locals) -> Shape:
        target = BOOL if expr.name == "!" else INT
        self._is(expr.parts[0], target, "BCP044", f'Operator "{expr.name}"', given)
        return target

    def _member(self, expr: Expr, given: Locals) -> Shape:
        base = self.of(expr.parts[0], given)
        if base.kind == "union":
            options = [o for o in base.options if o.kind != "null"]
            if len(options) < len(base.options) and not expr.value:
                text = f'The value may be null, which would cause this access of "{expr.name}" to fail.'
                self.problem(expr.line, "BCP318", text)
            return union(*(self._inside(o, expr) for o in options)) if options else ANY
        return self._inside(base, expr)

    def _inside(self, base: Shape, expr: Expr) -> Shape:
        if base.kind == "any":
            return ANY
        if base.kind == "resource":
            if expr.name not in _READABLE:
                self.problem(expr.line, "BCP053", f'A resource has no property "{expr.name}".')
            return STRING if expr.name in READ else ANY
        if base.values == ("collection",):
            self.problem(expr.line, "BCP144", "A collection is not referenced directly. Apply an array indexer to it.")
            return ANY
        if base.kind not in ("object", "module"):
            text = f'Cannot access properties of type "{base}". An "object" type is required.'
            self.problem(expr.line, "BCP055", text)
            return ANY
        if base.properties is None:
            return ANY
        found = base.properties.get(expr.name, base.rest)
        if found is None:
            text = f'There is no property "{expr.name}".{nearest(expr.name, [*base.properties])}'
            self.problem(expr.line, "BCP053", text)
        return found or ANY

    def _index(self, expr: Expr, given: Locals) -> Shape:
        base, index = (self.of(part, given) for part in expr.parts)
        if base.kind == "array":
            self._is(expr.parts[1], INT, "BCP074", "Indexing over arrays", given)
            return base.item or ANY
        if base.kind == "object":
            self._is(expr.parts[1], STRING, "BCP075", "Indexing over objects", given)
            known = (base.properties or {}).get(index.values[0]) if index.values else None
            return known or ANY
        if base.kind not in ("any", "union"):
            self.problem(expr.line, "BCP076", f'Cannot index over an expression of type "{base}".')
        return ANY

    def _call(self, expr: Expr, given: Locals) -> Shape:
        shapes = [self.of(part, given) for part in expr.parts]
        function = FUNCTIONS.get(expr.name)
        if function is None:
            return ANY
        least = 1 if expr.name == "resourceGroup" and self._file.scope == "subscription" else function.least
        if not least <= len(expr.parts) <= function.most:
            wanted = str(least) if least == function.most else f"{least} to {function.most}"
            text = f'"{expr.name}" expects {wanted} argument(s), but got {len(expr.parts)}.'
            self.problem(expr.line, "BCP071", text)
            return function.gives
        for part, shape, target in zip(expr.parts, shapes, _spread(function.takes, len(shapes)), strict=True):
            if list(mismatches(shape, target, expr.name)):
                text = f'"{expr.name}" takes no argument of type "{shape}"; it takes "{target}".'
                self.problem(part.line, "BCP070", text)
        return self._given_back(expr, shapes) or function.gives

    def _given_back(self, expr: Expr, shapes: list[Shape]) -> Shape | None:
        """What the functions give back whose type is that of what they get."""
        if expr.name in LOADING:
            return self._loaded(expr)
        kinds = {shape.kind for shape in shapes}
        if expr.name in ("union", "concat") and kinds == {"array"}:
            return Shape("array", item=union(*(s.item or ANY for s in shapes)))
        if expr.name == "union" and kinds == {"object"} and all(s.properties is not None for s in shapes):
            merged = {k: v for s in shapes for k, v in (s.properties or {}).items()}
            return Shape("object", properties=merged, required=frozenset(merged))
        if expr.name == "union" and kinds <= {"object", "union"}:
            return BY_NAME["object"]
        return STRING if expr.name == "concat" and "array" not in kinds and "any" not in kinds else None

    def _loaded(self, expr: Expr) -> Shape | None:
        path = expr.parts[0]
        if path.kind != "text":
            self.problem(expr.line, "BCP032", "The path must be a compile-time constant.")
            return None
        file = self._folder / path.value
        if not file.is_file():
            self.problem(path.line, "BCP091", f'An error occurred reading file "{path.value}".')
        elif expr.name == "loadJsonContent":
            return of_value(json.loads(file.read_text()))
        return None

    def _for(self, expr: Expr, given: Locals) -> Shape:
        return Shape("array", item=self.of(expr.parts[1], {**given, **self.loop(expr, given)}))

    def loop(self, expr: Expr, given: Locals) -> Locals:
        """The variables of a loop: the item, and its place."""
        source = self.of(expr.parts[0], given)
        if source.kind not in ("array", "any"):
            text = f'Loop expected an expression of type "array", but the value is of type "{source}".'
            self.problem(expr.parts[0].line, "BCP137", text)
        item, *place = expr.name.split(",")
        return {item: (source.item if source.kind == "array" else None) or ANY, **dict.fromkeys(place, INT)}

    def _bracketed(self, expr: Expr, given: Locals) -> Shape:
        return self.of(expr.parts[0], given)

    def _if(self, expr: Expr, given: Locals) -> Shape:
        self.condition(expr.parts[0], given)
        return self.of(expr.parts[1], given)

    def condition(self, expr: Expr, given: Locals) -> None:
        """An `if` takes a truth."""
        self._is(expr, BOOL, "BCP046", "The condition", given)


def _never_equal(one: Shape, other: Shape) -> bool:
    simple = ("string", "int", "bool")
    if one.kind not in simple or other.kind not in simple:
        return False
    return one.kind != other.kind or bool(one.values and other.values and not set(one.values) & set(other.values))


def _spread(takes: tuple[Shape, ...], count: int) -> Iterator[Shape]:
    for number in range(count):
        yield takes[min(number, len(takes) - 1)] if takes else ANY


def _line_of(value: Expr, text: str, where: str) -> int:
    """The line of the innermost property that a text names below `where`."""
    named = text.split('"')
    path = next((n for n in named if n.startswith((f"{where}.", f"{where}[]"))), where)
    line, here = value.line, value
    steps = path.removeprefix(where).replace("[]", ".[]").strip(".").split(".")
    for step in [*steps, named[1] if text.startswith("The property") else ""]:
        inner = here.entries().get(step)
        if inner is None:
            break
        line, here = inner.line, inner
    return line


_OF: Final[Mapping[str, Callable[[Types, Expr, Locals], Shape]]] = {
    "text": Types._text,
    "number": Types._number,
    "bool": lambda *_: BOOL,
    "null": lambda *_: NULL,
    "interpolated": Types._interpolated,
    "name": Types._name,
    "object": Types._object,
    "array": Types._array,
    "ternary": Types._ternary,
    "binary": Types._binary,
    "unary": Types._unary,
    "member": Types._member,
    "index": Types._index,
    "call": Types._call,
    "for": Types._for,
    "if": Types._if,
    "bracketed": Types._bracketed,
}
