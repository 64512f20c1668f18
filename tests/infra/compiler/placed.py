"""Resources and modules: types, names, parents, scopes; and loops and texts where they may stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from tests.infra.compiler.names import used
from tests.infra.compiler.resources import AT_GROUP_NEVER, AT_SUBSCRIPTION, COMMON, EXTENSIONS, is_reference
from tests.infra.compiler.tree import Declaration, Expr, File, Problem

_SCOPES: Final = {"resourceGroup", "subscription", "managementGroup", "tenant"}
_MODULE_KEYS: Final = {"name", "params", "scope", "dependsOn", "identity"}
_HOSTS: Final = (
    *("core.windows.net", "database.windows.net", "graph.windows.net", "login.microsoftonline.com"),
    *("management.azure.com", "management.core.windows.net", "vault.azure.net", "gallery.azure.com"),
    *("azuredatalakestore.net", "azuredatalakeanalytics.net", "trafficmanager.net", "api.loganalytics.io"),
)
"""What the linter's rule `no-hardcoded-env-urls` knows: `environment()` has them."""


def check(file: File) -> Iterator[Problem]:
    """Everything about where things stand in a file."""
    symbols = file.of("param", "var", "resource", "module")
    if file.scope not in _SCOPES:
        yield Problem(file.name, 1, "BCP033", f'"{file.scope}" is no target scope.')
    for declaration in file.declarations:
        found = list(_loops(declaration))
        if declaration.kind == "resource":
            found += [*_body(declaration), *_resource(file, declaration, symbols)]
        elif declaration.kind == "module":
            found += _body(declaration)
        for line, code, text in [*found, *_hosts(declaration)]:
            yield Problem(file.name, line, code, text)
    yield from _names_twice(file)


type _Found = Iterator[tuple[int, str, str]]


def _loops(declaration: Declaration) -> _Found:
    """A loop is a declaration's value, or that of a property."""
    if declaration.value is None:
        return
    may = {id(declaration.value)} if declaration.kind != "param" else set()
    if declaration.value.kind == "if":
        yield from _condition(declaration)
    for expr in declaration.value.walk():
        if expr.kind == "object":
            may |= {id(part) for part in expr.parts}
        elif expr.kind == "for" and id(expr) not in may:
            yield expr.line, "BCP138", "For-expressions are not supported in this context."


def _condition(declaration: Declaration) -> _Found:
    if declaration.kind not in ("resource", "module"):
        yield declaration.line, "BCP018", f"A {declaration.kind} has no condition."


def _body(declaration: Declaration) -> _Found:
    body = declaration.body
    if body is None or body.kind != "object":
        yield declaration.line, "BCP018", "Expected an object."
        return
    entries = body.entries()
    if declaration.kind == "resource" and "name" not in entries:
        yield declaration.line, "BCP035", f'"{declaration.name}" is missing the required property "name".'
    if declaration.kind == "module":
        for key in sorted(entries.keys() - _MODULE_KEYS):
            yield entries[key].line, "BCP037", f'The property "{key}" is not allowed on a module.'
    yield from _in_loop(declaration, entries)
    yield from _waits(declaration, entries)


def _in_loop(declaration: Declaration, entries: Mapping[str, Expr]) -> _Found:
    if not declaration.is_loop or declaration.value is None:
        return
    loop = next(e for e in declaration.value.walk() if e.kind == "for")
    told = {n.name for key in ("name", "scope", "parent") if key in entries for n in used(entries[key])}
    if not told & set(loop.name.split(",")):
        text = f'The loop item variable "{loop.name}" must be referenced in "name" or "scope".'
        yield declaration.line, "BCP179", text


def _waits(declaration: Declaration, entries: Mapping[str, Expr]) -> _Found:
    waited = entries.get("dependsOn")
    if waited is None:
        return
    elsewhere = {n.name for key, e in entries.items() if key != "dependsOn" for n in used(e)}
    for part in waited.parts:
        if part.kind != "name":
            yield part.line, "BCP034", 'The enclosing array expected an item of type "module | resource".'
        elif part.name in elsewhere:
            yield part.line, "no-unnecessary-dependson", f'"{part.name}" is depended on anyhow.'


def _resource(file: File, declaration: Declaration, symbols: Mapping[str, Declaration]) -> _Found:
    kind = declaration.what.partition("@")[0]
    if not is_reference(declaration.what):
        text = f'"{declaration.what}" is not valid. Specify a resource type of format "<types>@<apiVersion>".'
        yield declaration.line, "BCP029", text
        return
    entries = declaration.body.entries() if declaration.body else {}
    if declaration.existing:
        for key in sorted(entries.keys() - COMMON | entries.keys() & {"dependsOn"}):
            text = f'The property "{key}" cannot be used in an existing resource declaration.'
            yield entries[key].line, "BCP173", text
    yield from _segments(declaration, kind, entries, symbols)
    yield from _scope(file, declaration, kind, entries, symbols)


def _segments(
    declaration: Declaration, kind: str, entries: Mapping[str, Expr], symbols: Mapping[str, Declaration]
) -> _Found:
    name, parent = entries.get("name"), entries.get("parent")
    wanted = kind.count("/") - 1
    if parent is not None:
        above = symbols.get(parent.name) if parent.kind == "name" else None
        if above is None or above.kind != "resource" or above.what.partition("@")[0] != kind.rpartition("/")[0]:
            yield parent.line, "BCP036", f'"parent" expects a resource of type "{kind.rpartition("/")[0]}".'
        wanted = 0
    if name is None or name.kind not in ("text", "interpolated"):
        return
    slashes = name.value.count("/")
    if slashes != wanted:
        code = "BCP170" if parent is not None else "BCP169"
        yield name.line, code, f'Expected resource name to contain {wanted} "/" character(s), and it has {slashes}.'


def _scope(
    file: File, declaration: Declaration, kind: str, entries: Mapping[str, Expr], symbols: Mapping[str, Declaration]
) -> _Found:
    scope = entries.get("scope")
    if scope is None:
        misplaced = kind not in AT_SUBSCRIPTION if file.scope == "subscription" else kind in AT_GROUP_NEVER
        if misplaced and not declaration.existing:
            yield declaration.line, "BCP135", f'Scope "{file.scope}" is not valid for this resource type.'
        return
    target = symbols.get(scope.name) if scope.kind == "name" else None
    if scope.kind == "call" and scope.name in _SCOPES:
        if not declaration.existing and (scope.name != file.scope or scope.parts):
            text = "A resource's scope must match the scope of the Bicep file for it to be deployable."
            yield scope.line, "BCP139", text
    elif target is None or target.kind != "resource":
        yield scope.line, "BCP036", 'The property "scope" expects a resource or a scope.'
    elif kind not in EXTENSIONS and not declaration.existing:
        yield scope.line, "BCP135", f'Scope "resource" is not valid for "{kind}".'


def scope_of(file: File, module: Declaration) -> str | None:
    """What a module is deployed to; none where that is not understood."""
    scope = module.body.entries().get("scope") if module.body else None
    if scope is None:
        return file.scope
    if scope.kind == "call" and scope.name in _SCOPES:
        return scope.name
    target = file.of("resource").get(scope.name) if scope.kind == "name" else None
    is_group = target is not None and target.what.startswith("Microsoft.Resources/resourceGroups@")
    return "resourceGroup" if is_group else None


def _names_twice(file: File) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], str] = {}
    for declaration in file.declarations:
        entries = declaration.body.entries() if declaration.kind in ("resource", "module") and declaration.body else {}
        name = entries.get("name")
        if name is None or name.kind != "text" or declaration.existing:
            continue
        scope = entries["scope"].name if "scope" in entries else ""
        kind = declaration.what.partition("@")[0] if declaration.kind == "resource" else "module"
        key = (kind, scope, name.value.lower())
        if key in seen:
            code = "BCP122" if declaration.kind == "module" else "BCP121"
            text = f'"{seen[key]}" and "{declaration.name}" are defined with this same name in one scope.'
            yield Problem(file.name, name.line, code, text)
        seen[key] = declaration.name


def _hosts(declaration: Declaration) -> _Found:
    for expr in declaration.value.walk() if declaration.value else ():
        if expr.kind in ("text", "interpolated") and declaration.kind != "param":
            for host in _HOSTS:
                if re.search(rf"(?<![\w-]){re.escape(host)}(?!\w)", expr.value):
                    yield expr.line, "no-hardcoded-env-urls", f'Found "{host}": environment() has it.'
