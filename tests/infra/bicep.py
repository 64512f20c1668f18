"""What a deployment of `infra/` would ask Azure for: the templates, read by pycep-parser and worked out.

Only what the templates use is understood, and anything else raises `NotImplementedError`. pycep-parser does not tell a
literal from a name, and reads operators from the right: `test_templates.py` holds the templates to a form where neither
matters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).resolve().parent.parent.parent
INFRA = ROOT / "infra"
_HOLE = re.compile(r"\$\{([^}]*)\}")
_STEP = re.compile(r"\.?([A-Za-z_]\w*)(\(\))?|\[(\d+)\]")
_FIXED: dict[str, Any] = {
    "tenant": {"tenantId": "00000000-0000-0000-0000-0000000000aa"},
    "subscription": {"id": "/subscriptions/one"},
    "environment": {
        "suffixes": {"storage": "core.windows.net"},
        "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
    },
    "resource_group": {"id": "/subscriptions/one/resourceGroups/rg"},
}


class Later(str):
    """What is known once Azure has made it: an output of a module, an id of a resource."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One verified module, or one resource (`version` is its API's), with what it is given."""

    file: str
    symbol: str
    kind: str
    version: str
    given: Mapping[str, Any]
    existing: bool = False


@dataclass(slots=True)
class Deployment:
    """All that is asked for, the outputs, and which outputs of verified modules were read."""

    asked: list[Asked] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    read: set[tuple[str, str]] = field(default_factory=set)

    def of(self, kind: str) -> list[Asked]:
        """What is asked for of one kind, such as `avm/res/web/site`."""
        return [a for a in self.asked if a.kind == kind and not a.existing]

    def one(self, kind: str) -> Mapping[str, Any]:
        """What the only one of a kind is given."""
        (found,) = self.of(kind)
        return found.given


@cache
def parsed(file: Path) -> dict[str, Any]:
    """A template as pycep-parser reads it."""
    tree: dict[str, Any] = BicepParser().parse(file_path=file)
    return tree


def templates() -> list[Path]:
    """Every Bicep file of the project."""
    return sorted(INFRA.rglob("*.bicep"))


def defaults(file: Path = INFRA / "main.bicep") -> dict[str, Any]:
    """The parameters of a template that have a default, with it."""
    return {n: p["default"] for n, p in parsed(file)["parameters"].items() if p["default"] is not None}


def deploy(**parameters: Any) -> Deployment:
    """The whole template with these parameters, and with what it cannot do without."""
    needed = {
        "environmentName": "test",
        "location": "westeurope",
        "databricksHost": "https://adb-1.2.azuredatabricks.net",
        "gitRemoteUrl": "https://dev.azure.com/org/project/_git/notebooks",
        "alertEmails": "ops@example.com, lead@example.com",
    }
    deployment = Deployment()
    deployment.outputs = _Scope(INFRA / "main.bicep", {**needed, **parameters}, deployment).run()
    return deployment


class _Scope:
    """One template being worked out: its parameters, variables, and what its modules give back."""

    def __init__(self, file: Path, given: Mapping[str, Any], deployment: Deployment) -> None:
        self._file, self._deployment, self._tree = file, deployment, parsed(file)
        self._known: dict[str, Any] = {**defaults(file), **given}
        unknown = given.keys() - self._tree["parameters"].keys()
        missing = self._tree["parameters"].keys() - self._known.keys()
        if unknown or missing:
            raise ValueError(f"{file.name}: no parameter {sorted(unknown)}, not given {sorted(missing)}")

    def run(self) -> dict[str, Any]:
        """Ask for everything; the outputs."""
        for symbol, resource in self._tree.get("resources", {}).items():
            self._known[symbol] = {"id": Later(f"{symbol}.id"), "name": Later(f"{symbol}.name"), "symbol": symbol}
            self._resource(symbol, resource)
        for symbol in self._tree.get("modules", {}):
            self._value(symbol)
        return {name: self._value(output["value"]) for name, output in self._tree.get("outputs", {}).items()}

    def _resource(self, symbol: str, resource: Mapping[str, Any]) -> None:
        for given in self._bodies(resource["config"]):
            kind, version, existing = resource["type"], resource["api_version"], bool(resource["existing"])
            self._deployment.asked.append(Asked(self._file.name, symbol, kind, version, given, existing))

    def _module(self, symbol: str) -> Any:
        module = self._tree["modules"][symbol]
        outputs: Any = {}
        for body in self._bodies(module["config"]):
            if module["type"] == "local":
                inner = _Scope(
                    (self._file.parent / module["detail"]["path"]).resolve(), body["params"], self._deployment
                )
                outputs = inner.run()
            else:
                detail = module["detail"]
                asked = Asked(self._file.name, symbol, detail["path"], detail["tag"], body["params"])
                self._deployment.asked.append(asked)
                outputs = _Outputs(symbol, detail["path"], self._deployment.read)
        return {"outputs": outputs}

    def _bodies(self, config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """What a declaration is given: once, or once for each turn of its loop, or not at all."""
        if "loop_type" in config:
            yield from self._turns(config)
        elif config.keys() == {"condition", "config"}:
            if self._value(config["condition"]):
                yield self._value(config["config"])
        else:
            yield self._value(config)

    def _turns(self, loop: Mapping[str, Any]) -> Iterator[Any]:
        detail = loop["loop_type"]["detail"]
        for item in self._value(detail["array_name"]):
            self._known[detail["item_name"]] = item
            yield self._value(loop["config"])
            del self._known[detail["item_name"]]

    def _value(self, node: Any) -> Any:
        if isinstance(node, str):
            return self._text(node)
        if isinstance(node, list):
            return [self._value(item) for item in node]
        if not isinstance(node, dict):
            return node
        if node.keys() == {"function"}:
            return self._call(node["function"])
        if node.keys() == {"operator"} and isinstance(node["operator"], dict) and "operands" in node["operator"]:
            return self._operate(**node["operator"])
        if "loop_type" in node:
            return list(self._turns(node))
        # A scope and a dependency are names, of something that may not have been worked out yet.
        named = ("scope", "dependsOn")
        return {n.strip("'"): value if n in named else self._value(value) for n, value in node.items()}

    def _text(self, text: str) -> Any:
        """A name's value, or the text with its holes filled."""
        if text in self._known:
            return self._known[text]
        if text in self._tree.get("variables", {}):
            self._known[text] = self._value(self._tree["variables"][text]["value"])
        elif text in self._tree.get("modules", {}):
            self._known[text] = self._module(text)
        else:
            return _HOLE.sub(lambda hole: str(self._path(hole[1])), text)
        return self._known[text]

    def _path(self, path: str) -> Any:
        """`a.b[0].c()`, as it stands in a hole."""
        steps = list(_STEP.finditer(path))
        if "".join(s[0] for s in steps) != path:
            raise NotImplementedError(path)
        first = steps[0]
        value = _FIXED[_snake(first[1])] if first[2] else self._text(first[1])
        for step in steps[1:]:
            value = value[int(step[3])] if step[3] else value[step[1]]
        return value

    def _operate(self, type: str, operands: Mapping[str, Any]) -> Any:
        if type == "property_accessor":
            return self._access(self._value(operands["operand_1"]), operands["operand_2"])
        if type == "conditional":
            chosen = "true_value" if self._value(operands["condition"]) else "false_value"
            return self._value(operands[chosen])
        values = [self._value(operand) for operand in operands.values()]
        known = {
            "equals": lambda a, b: a == b,
            "and": lambda a, b: a and b,
            "not": lambda a: not a,
            "index_accessor": lambda a, b: a[b],
        }
        if type not in known:
            raise NotImplementedError(type)
        return known[type](*values)

    def _access(self, value: Any, steps: Any) -> Any:
        """`a.b.c` is read as `a` and (`b` and `c`)."""
        while isinstance(steps, dict):
            inner = steps["operator"]
            if inner["type"] not in ("property_accessor", "index_accessor"):
                raise NotImplementedError(inner["type"])
            value, steps = value[inner["operands"]["operand_1"]], inner["operands"]["operand_2"]
        return value[steps]

    def _call(self, function: Mapping[str, Any]) -> Any:
        name, parameters = function["type"], function.get("parameters", {})
        if name in _FIXED:
            return _FIXED[name]
        if name.startswith("load_"):
            content = (self._file.parent / parameters["file_path"]).read_text()
            return json.loads(content) if name == "load_json_content" else content
        arguments = [self._value(p) for p in _flat(parameters.values())]
        if name == "empty":
            return not arguments[0]
        return _FUNCTIONS[name](*arguments)


class _Outputs:
    """What a verified module gives back, once it is there."""

    def __init__(self, symbol: str, kind: str, read: set[tuple[str, str]]) -> None:
        self._symbol, self._kind, self._read = symbol, kind, read

    def __getitem__(self, name: str) -> Any:
        self._read.add((self._kind, name))
        return _Made(f"{self._symbol}.{name}")


class _Made(Later):
    """A value of a module that may be looked into further."""

    def __getitem__(self, step: Any) -> Any:
        return _Made(f"{self}.{step}")


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if value is not None:
            yield from value if isinstance(value, list) else [value]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _union(*maps: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for one in maps for name, value in one.items()}


_FUNCTIONS: dict[str, Any] = {
    "union": _union,
    "concat": lambda *lists: [item for one in lists for item in one],
    "string": str,
    "split": lambda text, by: text.split(by),
    "trim": str.strip,
    "guid": lambda *parts: "-".join(parts),
    "to_lower": str.lower,
    "unique_string": lambda *parts: "u123456789abc",
    "subscription_resource_id": lambda kind, name: f"/{kind}/{name}",
}
