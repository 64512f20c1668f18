"""What Bicep's compiler and linter would say of a template, by their own codes.

The grammar is tree-sitter's, the rules are those of
https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-core-diagnostics and `.../bicep/linter`. A
form that the rules do not know is a problem itself (`BCP007`), so that nothing passes unread. What a verified
module takes and gives is what `avm.json` has of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.infra.compiler import decorators, names, placed
from tests.infra.compiler.resources import COMMON, SHAPES
from tests.infra.compiler.shapes import ANY, Shape, mismatches, of_module, of_value
from tests.infra.compiler.tree import Declaration, Expr, File, Problem, read
from tests.infra.compiler.typed import Types, declared

_VERIFIED = re.compile(r"br/public:(avm/[\w./-]+):(\d+\.\d+\.\d+)")
_HOLE = re.compile(r"\$\{[A-Z_]+(?:=(?P<default>.*))?\}")


def compile_folder(folder: Path, verified: Mapping[str, Any]) -> list[Problem]:
    """Every problem of every `.bicep` file below a folder, and of `main.parameters.json`, in their order."""
    folder = folder.resolve()
    files = {path: read(str(path.relative_to(folder)), path.read_text()) for path in sorted(folder.rglob("*.bicep"))}
    found = [p for file in files.values() for p in file.problems]
    if not found:
        found = [p for path in files for p in _Checked(path, files, verified).problems()]
        found += _parameters(folder, files.get(folder / "main.bicep"))
    return sorted(set(found))


class _Checked:
    """One file among its neighbours."""

    def __init__(self, path: Path, files: Mapping[Path, File], verified: Mapping[str, Any]) -> None:
        self._path, self._files, self._verified, self._file = path, files, verified, files[path]

    @cached_property
    def _types(self) -> Types:
        return Types(self._file, self._path.parent, self._outputs)

    def problems(self) -> Iterator[Problem]:
        yield from names.check(self._file)
        yield from decorators.check(self._file)
        yield from placed.check(self._file)
        for declaration in self._file.declarations:
            self._declaration(declaration)
        yield from self._types.problems

    def _say(self, line: int, code: str, text: str) -> None:
        self._types.problem(line, code, text)

    def _declaration(self, declaration: Declaration) -> None:
        if declaration.kind in ("param", "output"):
            self._typed(declaration)
        elif declaration.value is not None and declaration.kind != "targetScope":
            given: dict[str, Shape] = {}
            value = declaration.value
            while value.kind in ("if", "for") and declaration.kind in ("resource", "module"):
                if value.kind == "if":
                    self._types.condition(value.parts[0], given)
                else:
                    given |= self._types.loop(value, given)
                value = value.parts[-1]
            self._types.of(value, given)
            if declaration.kind == "resource" and not declaration.existing:
                self._resource(declaration, value, given)
            elif declaration.kind == "module":
                self._module(declaration, value, given)

    def _typed(self, declaration: Declaration) -> None:
        shape = declared(declaration)
        if shape is None:
            self._say(declaration.line, "BCP302", f'The name "{declaration.type}" is not a valid type.')
        elif declaration.value is not None:
            code = "BCP027" if declaration.kind == "param" else "BCP033"
            self._types.fits(declaration.value, shape, declaration.name, code)
        if declaration.kind == "output" and declaration.value:
            self._secret(declaration)

    def _secret(self, output: Declaration) -> None:
        secure = {n for n, d in self._file.of("param").items() if any(x.name == "secure" for x in d.decorators)}
        for name in (n for n in names.used(output.value) if n.name in secure):
            text = f'Outputs should not contain secrets. Found secure parameter "{name.name}".'
            self._say(name.line, "outputs-should-not-contain-secrets", text)

    def _resource(self, declaration: Declaration, body: Expr, given: Mapping[str, Shape]) -> None:
        shape = SHAPES.get(declaration.what.partition("@")[0])
        if shape is None:
            self._say(declaration.line, "BCP081", f'Resource type "{declaration.what}" does not have types available.')
            return
        known = {**(shape.properties or {}), **dict.fromkeys(COMMON, ANY)}
        whole = Shape("object", properties=known, required=shape.required)
        self._types.fits(body, whole, declaration.name, given=given)

    def _module(self, declaration: Declaration, body: Expr, given: Mapping[str, Shape]) -> None:
        taken = self._parameters(declaration)
        if taken is None:
            return
        entries = body.entries()
        if "params" in entries:
            self._types.fits(entries["params"], taken, f"{declaration.name}.params", given=given)
        elif taken.required:
            self._say(declaration.line, "BCP035", f'"{declaration.name}" is missing the required property "params".')
        target = self._local(declaration)
        wanted = target.scope if target else "resourceGroup"
        scope = placed.scope_of(self._file, declaration)
        if scope != wanted:
            text = f'Scope "{scope or "unknown"}" is not valid for this module. Permitted scopes: "{wanted}".'
            self._say(declaration.line, "BCP134", text)

    def _local(self, module: Declaration) -> File | None:
        return self._files.get((self._path.parent / module.what).resolve())

    def _parameters(self, module: Declaration) -> Shape | None:
        """What a module takes; none, and a problem, where there is no such module."""
        verified = _VERIFIED.fullmatch(module.what)
        if verified and self._verified.get(verified[1], {}).get("version") == verified[2]:
            return of_module(self._verified[verified[1]]["parameters"])
        if module.what.startswith("br") or ":" in module.what:
            self._say(module.line, "BCP192", f'Unable to restore the artifact with reference "{module.what}".')
            return None
        target = self._local(module)
        if target is None:
            self._say(module.line, "BCP091", f'An error occurred reading file "{module.what}".')
            return None
        taken = target.of("param")
        return Shape(
            "object",
            properties={name: declared(d) or ANY for name, d in taken.items()},
            required=frozenset(n for n, d in taken.items() if d.value is None and not d.type.endswith("?")),
        )

    def _outputs(self, module: Declaration) -> Mapping[str, Shape] | None:
        verified = _VERIFIED.fullmatch(module.what)
        if verified and verified[1] in self._verified:
            return dict.fromkeys(self._verified[verified[1]]["outputs"], ANY)
        target = self._local(module)
        return {n: declared(d) or ANY for n, d in target.of("output").items()} if target else None


def _parameters(folder: Path, main: File | None) -> Iterator[Problem]:
    """`main.parameters.json` gives what `main.bicep` takes. azd puts a variable, or its default, in place of a hole."""
    path = folder / "main.parameters.json"
    if main is None or not path.is_file():
        return
    lines = path.read_text().splitlines()
    given = {name: entry.get("value") for name, entry in json.loads(path.read_text())["parameters"].items()}
    taken = main.of("param")
    for name, declaration in taken.items():
        if name not in given and declaration.value is None:
            yield Problem(path.name, 1, "BCP258", f'The parameter "{name}" is missing an assignment.')
    for name, value in given.items():
        line = next((n for n, text in enumerate(lines, 1) if f'"{name}"' in text), 1)
        if name not in taken:
            yield Problem(path.name, line, "BCP259", f'The parameter "{name}" is assigned without being declared.')
        elif text := _unfit(value, taken[name]):
            yield Problem(path.name, line, "BCP260", f'The parameter "{name}" {text}')


def _unfit(value: Any, parameter: Declaration) -> str:
    """What is wrong with a value of the parameter file; an empty text where nothing is."""
    shape = declared(parameter) or ANY
    hole = _HOLE.fullmatch(value) if isinstance(value, str) else None
    if hole and hole["default"] is None:
        return ""
    if hole:
        value = _as(hole["default"], shape)
    return next((text for _, text in mismatches(of_value(value), shape, parameter.name)), "")


def _as(text: str, shape: Shape) -> Any:
    """A default's text as the type that it is for, as far as it can be read so."""
    if shape.kind == "int" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if shape.kind == "bool" and text in ("true", "false"):
        return text == "true"
    return text
