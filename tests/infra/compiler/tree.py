"""A Bicep file as declarations and expressions, out of the grammar's tree.

What the grammar cannot read becomes a `Problem`; so does what it reads and these rules do not know (`BCP007`).
The grammar binds `.`, `[]` and calls to a whole unbracketed `a ? b : c`, `a == b` or `!a`, where the language
binds them to its last operand: `_postfix` puts that right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER: Final = Parser(Language(tree_sitter_bicep.language()))
_SKIPPED: Final = {"comment", "diagnostic_comment"}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What the compiler would say: `file:line: code: text`."""

    file: str
    line: int
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}: {self.text}"


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression. `kind` says what `name`, `value` and `parts` are: see `_READERS`."""

    kind: str
    line: int
    name: str = ""
    value: Any = None
    parts: tuple[Expr, ...] = ()
    keys: tuple[str, ...] = ()
    """Of an object: a key for each part; empty where it is worked out."""

    def entries(self) -> dict[str, Expr]:
        """An object's properties; none of anything else."""
        return dict(zip(self.keys, self.parts, strict=True)) if self.kind == "object" else {}

    def walk(self) -> Iterator[Expr]:
        """This expression and everything within it."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration of a file."""

    kind: str
    name: str
    line: int
    type: str = ""
    what: str = ""
    """The type of a resource, the path of a module."""
    existing: bool = False
    value: Expr | None = None
    decorators: tuple[Expr, ...] = ()

    @property
    def body(self) -> Expr | None:
        """The object of a resource or module, within its condition or loop."""
        value = self.value
        while value is not None and value.kind in ("if", "for"):
            value = value.parts[-1]
        return value

    @property
    def is_conditional(self) -> bool:
        return any(e.kind == "if" for e in self._wraps())

    @property
    def is_loop(self) -> bool:
        return any(e.kind == "for" for e in self._wraps())

    def _wraps(self) -> Iterator[Expr]:
        value = self.value
        while value is not None and value.kind in ("if", "for"):
            yield value
            value = value.parts[-1]


@dataclass(slots=True)
class File:
    """One file, read."""

    name: str
    declarations: list[Declaration] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def scope(self) -> str:
        """What the file is deployed to."""
        found = [d.value.value for d in self.declarations if d.kind == "targetScope" and d.value]
        return str(found[0]) if found else "resourceGroup"

    def of(self, *kinds: str) -> dict[str, Declaration]:
        """The declarations of some kinds by name."""
        return {d.name: d for d in self.declarations if d.kind in kinds}


def read(name: str, text: str) -> File:
    """Read a file."""
    return _Reader(name).read(text)


class _Reader:
    def __init__(self, name: str) -> None:
        self._file = File(name)

    def _problem(self, node: Node, code: str, text: str) -> None:
        self._file.problems.append(Problem(self._file.name, _line(node), code, text))

    def read(self, text: str) -> File:
        root = _PARSER.parse(text.encode()).root_node
        self._syntax(root)
        if self._file.problems:
            return self._file
        waiting: tuple[Expr, ...] = ()
        for node in _named(root):
            if node.type == "decorators":
                waiting = tuple(self._expr(_named(d)[0]) for d in _named(node))
                continue
            self._declare(node, waiting)
            waiting = ()
        if waiting:
            line = waiting[-1].line
            self._file.problems.append(
                Problem(self._file.name, line, "BCP132", "Expected a declaration after the decorator.")
            )
        return self._file

    def _syntax(self, node: Node) -> None:
        if node.is_error or node.is_missing:
            what = f'Expected "{node.type}".' if node.is_missing else f"Not understood: {_text(node)[:40]!r}."
            self._problem(node, "BCP018", what)
            return
        before: Node | None = None
        for child in node.children:
            self._syntax(child)
            if node.type in ("object", "array") and child.is_named and child.type not in _SKIPPED:
                if before is not None and before.next_sibling == child and _row(before) == child.start_point.row:
                    self._problem(child, "BCP019", "Expected a new line or a comma at this location.")
                before = child

    def _declare(self, node: Node, decorators: tuple[Expr, ...]) -> None:
        named = _named(node)
        if node.type == "target_scope_assignment":
            made = Declaration("targetScope", "targetScope", _line(node), value=self._expr(named[0]))
        elif node.type in _KINDS:
            kind = _KINDS[node.type]
            found = {n.type: n for n in named}
            typed = _text(found["type"]) if "type" in found else ""
            texts = kind in ("resource", "module")
            made = Declaration(
                kind,
                _text(named[0]),
                _line(node),
                typed,
                _text(named[1]).strip("'") if texts else "",
                any(c.type == "existing" for c in node.children),
                self._value(node, named),
            )
        else:
            self._problem(node, "BCP007", f"Not recognized: {node.type}.")
            return
        self._file.declarations.append(replace(made, decorators=decorators))

    def _value(self, node: Node, named: Sequence[Node]) -> Expr | None:
        equals = next((c for c in node.children if c.type == "="), None)
        after = [n for n in named if equals is not None and n.start_byte > equals.start_byte]
        return self._expr(after[0]) if after else None

    def _expr(self, node: Node) -> Expr:
        reader = _READERS.get(node.type)
        if reader is None:
            self._problem(node, "BCP007", f"Not recognized: {node.type}.")
            return Expr("null", _line(node))
        return reader(self, node)

    def _string(self, node: Node) -> Expr:
        holes = [n for n in _named(node) if n.type == "interpolation"]
        if not holes:
            return Expr("text", _line(node), value="".join(_plain(n) for n in _named(node)))
        # What stands between the holes, each of which is a zero byte.
        text = "".join("\0" if n.type == "interpolation" else _plain(n) for n in _named(node))
        return Expr("interpolated", _line(node), value=text, parts=tuple(self._expr(_named(h)[0]) for h in holes))

    def _object(self, node: Node) -> Expr:
        keys, parts = [], []
        for entry in _named(node):
            key, *value = _named(entry)
            if not value:
                self._problem(entry, "BCP007", f"Not recognized: {_text(entry)[:40]}.")
                continue
            holes = any(n.type == "interpolation" for n in _named(key))
            keys.append("" if holes else _text(key).strip("'"))
            parts.append(self._expr(value[0]))
        for twice in {k for k in keys if k and keys.count(k) > 1}:
            line = parts[len(keys) - 1 - keys[::-1].index(twice)].line
            text = f'The property "{twice}" is declared multiple times in this object.'
            self._file.problems.append(Problem(self._file.name, line, "BCP025", text))
        return Expr("object", _line(node), parts=tuple(parts), keys=tuple(keys))

    def _array(self, node: Node) -> Expr:
        return Expr("array", _line(node), parts=tuple(self._expr(n) for n in _named(node)))

    def _ternary(self, node: Node) -> Expr:
        return Expr("ternary", _line(node), parts=tuple(self._expr(n) for n in _named(node)))

    def _binary(self, node: Node) -> Expr:
        operator = next(c.type for c in node.children if not c.is_named)
        return Expr("binary", _line(node), operator, parts=tuple(self._expr(n) for n in _named(node)))

    def _unary(self, node: Node) -> Expr:
        operator = next(c.type for c in node.children if not c.is_named)
        return Expr("unary", _line(node), operator, parts=(self._expr(_named(node)[0]),))

    def _member(self, node: Node) -> Expr:
        base, name = _named(node)
        marks = {c.type for c in node.children}
        asserted, safe = "!" in marks, any("?" in mark for mark in marks)
        return _postfix(
            self._expr(base), lambda b: Expr("member", _line(name), _text(name), "!" if asserted else safe, (b,))
        )

    def _subscript(self, node: Node) -> Expr:
        base, index = (self._expr(n) for n in _named(node))
        return _postfix(base, lambda b: Expr("index", _line(node), parts=(b, index)))

    def _call(self, node: Node) -> Expr:
        function, arguments = _named(node)
        given = tuple(self._expr(n) for n in _named(arguments))

        def called(what: Expr) -> Expr:
            # `sys.` and `az.` name where a function is from.
            plain = what.kind == "name" or (what.kind == "member" and what.parts[0].name in ("sys", "az"))
            if not plain:
                self._problem(node, "BCP007", f"Not recognized: a method, {_text(node)[:40]}.")
            return Expr("call", _line(node), what.name, parts=given)

        return _postfix(self._expr(function), called)

    def _for(self, node: Node) -> Expr:
        *names, source, body = _named(node)
        variables = [n for outer in names for n in (_named(outer) or [outer])]
        label = ",".join(_text(n) for n in variables)
        return Expr("for", _line(node), label, parts=(self._expr(source), self._expr(body)))

    def _if(self, node: Node) -> Expr:
        condition, body = _named(node)
        return Expr("if", _line(node), parts=(self._expr(condition), self._expr(body)))

    def _bracketed(self, node: Node) -> Expr:
        return Expr("bracketed", _line(node), parts=(self._expr(_named(node)[0]),))


def _postfix(base: Expr, made: Callable[[Expr], Expr]) -> Expr:
    if base.kind in ("ternary", "binary", "unary"):
        return replace(base, parts=(*base.parts[:-1], _postfix(base.parts[-1], made)))
    return made(base)


def _named(node: Node) -> list[Node]:
    return [n for n in node.named_children if n.type not in _SKIPPED]


def _row(node: Node) -> int:
    return node.end_point.row


def _line(node: Node) -> int:
    return node.start_point.row + 1


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _plain(node: Node) -> str:
    text = _text(node)
    return {"\\n": "\n", "\\t": "\t"}.get(text, text[1:]) if node.type == "escape_sequence" else text


_KINDS: Final = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
}
_READERS: Final[dict[str, Callable[[_Reader, Node], Expr]]] = {
    "string": _Reader._string,
    "number": lambda _, n: Expr("number", _line(n), value=int(_text(n))),
    "boolean": lambda _, n: Expr("bool", _line(n), value=_text(n) == "true"),
    "null": lambda _, n: Expr("null", _line(n)),
    "identifier": lambda _, n: Expr("name", _line(n), _text(n)),
    "object": _Reader._object,
    "array": _Reader._array,
    "ternary_expression": _Reader._ternary,
    "binary_expression": _Reader._binary,
    "unary_expression": _Reader._unary,
    "member_expression": _Reader._member,
    "subscript_expression": _Reader._subscript,
    "call_expression": _Reader._call,
    "for_statement": _Reader._for,
    "if_statement": _Reader._if,
    "parenthesized_expression": _Reader._bracketed,
}
