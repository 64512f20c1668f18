"""Decorators: known, on what they are for, once, with constants that make sense together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.infra.compiler.functions import DECORATORS, FUNCTIONS
from tests.infra.compiler.shapes import mismatches, of_value
from tests.infra.compiler.tree import Declaration, Expr, File, Problem

_MISPLACED: Final = {"param": "BCP125", "var": "BCP126", "resource": "BCP127", "module": "BCP128", "output": "BCP129"}
_CONSTANT: Final = {"text", "number", "bool", "null", "object", "array"}
_BOUNDS: Final = (("minLength", "maxLength"), ("minValue", "maxValue"))


def check(file: File) -> Iterator[Problem]:
    """Every decorator of a file."""
    for declaration in file.declarations:
        seen: set[str] = set()
        for decorator in declaration.decorators:
            for code, text in _one(declaration, decorator, seen):
                yield Problem(file.name, decorator.line, code, text)
            seen.add(decorator.name)
        for code, text in _together(declaration):
            yield Problem(file.name, declaration.line, code, text)


def _one(declaration: Declaration, decorator: Expr, seen: set[str]) -> Iterator[tuple[str, str]]:
    name = decorator.name
    known = DECORATORS.get(name)
    if decorator.kind != "call":
        yield "BCP123", "Expected a call of a decorator."
    elif known is None and name in FUNCTIONS:
        yield "BCP152", f'Function "{name}" cannot be used as a decorator.'
    elif known is None:
        yield "BCP057", f'The name "{name}" does not exist in the current context.'
    elif declaration.kind == "targetScope":
        yield "BCP130", "Decorators are not allowed here."
    elif declaration.kind not in known.on:
        yield _MISPLACED[declaration.kind], f'Function "{name}" cannot be used as a {declaration.kind} decorator.'
    elif declaration.type and _kind(declaration) not in known.types:
        text = f'The decorator "{name}" can only be attached to targets of type {sorted(known.types)}.'
        yield "BCP124", text
    elif name == "batchSize" and not declaration.is_loop:
        yield "BCP154", 'The decorator "batchSize" takes a loop.'
    elif name in seen:
        yield "BCP166", f'Duplicate "{name}" decorator.'
    elif len(decorator.parts) != len(known.takes):
        yield "BCP071", f'"{name}" expects {len(known.takes)} argument(s), but got {len(decorator.parts)}.'
    else:
        yield from _arguments(declaration, decorator)


def _arguments(declaration: Declaration, decorator: Expr) -> Iterator[tuple[str, str]]:
    for argument, target in zip(decorator.parts, DECORATORS[decorator.name].takes, strict=True):
        if any(e.kind not in _CONSTANT for e in argument.walk()):
            yield "BCP032", f'"{decorator.name}": the value must be a compile-time constant.'
        elif list(mismatches(of_value(_value(argument)), target, decorator.name)):
            yield "BCP070", f'"{decorator.name}" takes a value of type "{target}".'
        elif decorator.name == "allowed" and not argument.parts:
            yield "BCP099", 'The "allowed" array must contain one or more items.'
        elif decorator.name == "allowed" and _kinds(argument) != {_kind(declaration)} != {"array"}:
            text = f'The "allowed" array holds other values than those of type "{declaration.type}".'
            yield "BCP070", text


def _together(declaration: Declaration) -> Iterator[tuple[str, str]]:
    said = {d.name: _value(d.parts[0]) for d in declaration.decorators if len(d.parts) == 1}
    for least, most in _BOUNDS:
        low, high = said.get(least), said.get(most)
        if isinstance(low, int) and isinstance(high, int) and low > high:
            yield "BCP331", f'"{least}" must be less than or equal to "{most}".'
    secure = any(d.name == "secure" for d in declaration.decorators)
    if secure and declaration.value and declaration.value.kind == "text" and declaration.value.value:
        yield "secure-parameter-default", f'Secure parameter "{declaration.name}" has a hardcoded default.'


def _kind(declaration: Declaration) -> str:
    text = declaration.type.removesuffix("?")
    return "array" if text.endswith("[]") else "string" if text.startswith("'") else text


def _kinds(array: Expr) -> set[str]:
    return {{"text": "string", "number": "int"}.get(part.kind, part.kind) for part in array.parts}


def _value(expr: Expr) -> object:
    if expr.kind == "object":
        return {key: _value(part) for key, part in expr.entries().items()}
    return [_value(part) for part in expr.parts] if expr.kind == "array" else expr.value
