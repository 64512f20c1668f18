"""Names: each declared once, used, known where it is used, in no circle, and at hand when the deployment starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.infra.compiler.functions import DECORATORS, FUNCTIONS, IN_DEFAULTS_ALONE
from tests.infra.compiler.resources import READ
from tests.infra.compiler.shapes import nearest
from tests.infra.compiler.tree import Declaration, Expr, File, Problem

_UNUSED = {"param": "no-unused-params", "var": "no-unused-vars"}


def check(file: File) -> Iterator[Problem]:
    """Everything about the names of a file."""
    symbols = file.of("param", "var", "resource", "module")
    yield from _twice(file)
    for declaration in file.declarations:
        yield from _known(file, declaration, symbols)
    yield from _unused(file, symbols)
    yield from _circles(file, symbols)
    yield from _late(file, symbols)


def used(value: Expr | None) -> Iterator[Expr]:
    """Every name in an expression that is not a loop's own."""
    yield from _used(value, frozenset())


def _used(value: Expr | None, own: frozenset[str]) -> Iterator[Expr]:
    if value is None:
        return
    if value.kind == "name" and value.name not in own:
        yield value
    source, rest = value.parts[:1], value.parts[1:]
    inner = own | set(value.name.split(",")) if value.kind == "for" else own
    for part in source:
        yield from _used(part, own)
    for part in rest:
        yield from _used(part, inner)


def _twice(file: File) -> Iterator[Problem]:
    seen: set[tuple[bool, str]] = set()
    for declaration in file.declarations:
        key = (declaration.kind == "output", declaration.name)
        if key in seen and declaration.kind == "targetScope":
            yield Problem(file.name, declaration.line, "BCP112", "The target scope is declared multiple times.")
        elif key in seen:
            code = "BCP145" if key[0] else "BCP028"
            yield Problem(file.name, declaration.line, code, f'"{declaration.name}" is declared multiple times.')
        seen.add(key)


def _known(file: File, declaration: Declaration, symbols: Mapping[str, Declaration]) -> Iterator[Problem]:
    in_default = declaration.kind == "param"
    values = [declaration.value, *declaration.decorators]
    for name in (n for value in values for n in used(value)):
        if name.name not in symbols:
            text = f'The name "{name.name}" does not exist in the current context.{nearest(name.name, [*symbols])}'
            yield Problem(file.name, name.line, "BCP057", text)
        elif in_default and symbols[name.name].kind != "param":
            text = "Only other parameters can be referenced in parameter default values."
            yield Problem(file.name, name.line, "BCP072", f'"{name.name}" cannot be referenced here. {text}')
    for call in (e for e in (declaration.value.walk() if declaration.value else ()) if e.kind == "call"):
        if call.name in DECORATORS and call.name not in FUNCTIONS:
            yield Problem(file.name, call.line, "BCP109", f'"{call.name}" is a decorator and no function.')
        elif call.name not in FUNCTIONS:
            text = f'The name "{call.name}" does not exist in the current context.{nearest(call.name, [*FUNCTIONS])}'
            yield Problem(file.name, call.line, "BCP082", text)
        elif call.name in IN_DEFAULTS_ALONE and not in_default:
            text = f'Function "{call.name}" can only be used in parameter defaults.'
            yield Problem(file.name, call.line, "BCP065", text)


def _unused(file: File, symbols: Mapping[str, Declaration]) -> Iterator[Problem]:
    met = {n.name for d in file.declarations for v in (d.value, *d.decorators) for n in used(v) if n.name != d.name}
    for name, declaration in symbols.items():
        rule = _UNUSED.get(declaration.kind, "no-unused-existing-resources" if declaration.existing else "")
        if rule and name not in met:
            yield Problem(file.name, declaration.line, rule, f'"{name}" is declared but never used.')


def _circles(file: File, symbols: Mapping[str, Declaration]) -> Iterator[Problem]:
    leads = {name: {n.name for n in used(d.value) if n.name in symbols} for name, d in symbols.items()}
    for name, declaration in symbols.items():
        if name in leads[name]:
            text = f'"{name}" references its own declaration, which is not allowed.'
            yield Problem(file.name, declaration.line, "BCP079", text)
        elif path := _way_back(name, leads):
            yield Problem(file.name, declaration.line, "BCP080", f"A cycle: {' -> '.join(path)}.")


def _way_back(start: str, leads: Mapping[str, set[str]]) -> list[str]:
    """The shortest way from a symbol to itself."""
    ways, met = [[start]], {start}
    for way in ways:
        for following in sorted(leads[way[-1]]):
            if following == start:
                return [*way, start]
            if following not in met:
                met.add(following)
                ways.append([*way, following])
    return []


def _late(file: File, symbols: Mapping[str, Declaration]) -> Iterator[Problem]:
    """Names, scopes, conditions and loops are settled before anything is made."""
    late = _late_variables(symbols)
    for declaration in symbols.values():
        if declaration.kind not in ("resource", "module"):
            continue
        settled = {f'the "{key}" property': e for key, e in _entries(declaration).items() if key in ("name", "scope")}
        codes = {**dict.fromkeys(settled, "BCP120"), "an if-condition": "BCP177", "a for-expression": "BCP178"}
        value = declaration.value
        while value is not None and value.kind in ("if", "for"):
            settled["an if-condition" if value.kind == "if" else "a for-expression"] = value.parts[0]
            value = value.parts[-1]
        for where, expr in settled.items():
            if found := _late_names(expr, symbols) | (late & {n.name for n in used(expr)}):
                text = f"{where} requires a value that is known at the start of the deployment: {sorted(found)} is not."
                yield Problem(file.name, expr.line, codes[where], text)


def _entries(declaration: Declaration) -> dict[str, Expr]:
    return declaration.body.entries() if declaration.body else {}


def _late_variables(symbols: Mapping[str, Declaration]) -> set[str]:
    variables = {n: d.value for n, d in symbols.items() if d.kind == "var" and d.value}
    late = {n for n, value in variables.items() if _late_names(value, symbols)}
    for _ in variables:
        late |= {n for n, value in variables.items() if late & {u.name for u in used(value)}}
    return late


def _late_names(value: Expr, symbols: Mapping[str, Declaration]) -> set[str]:
    """The modules and resources of which more is read than is known beforehand."""
    found = set()
    for expr in value.walk():
        if expr.kind != "member" or expr.parts[0].kind != "name" or expr.parts[0].name not in symbols:
            continue
        kind = symbols[expr.parts[0].name].kind
        if (kind == "module" and expr.name != "name") or (kind == "resource" and expr.name not in READ):
            found.add(expr.parts[0].name)
    return found
