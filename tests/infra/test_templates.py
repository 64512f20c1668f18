"""The templates hold together: what they declare is used and documented, what they ask of verified modules exists.

`avm.json` holds the parameters and outputs of each verified module at the version that is used, as its `main.json` in
https://github.com/Azure/bicep-registry-modules has them. A new version is looked up there, and entered here.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.packaging.__main__ import main as make_package
from tests.infra.bicep import INFRA, ROOT, Asked, Later, defaults, deploy, parsed, templates
from tests.infra.documents import table
from tests.infra.variants import VARIANTS

AVM: dict[str, Any] = json.loads(Path(__file__).with_name("avm.json").read_text())
TYPES = {"string": str, "securestring": str, "bool": bool, "int": int, "array": list, "object": dict}
FILES = [pytest.param(file, id=file.name) for file in templates()]


def _code(file: Path) -> str:
    """A template without comments, descriptions and metadata."""
    text = re.sub(r"@metadata\(\{.*?^\}\)", "", file.read_text(), flags=re.DOTALL | re.MULTILINE)
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("//", "@description")))


def test_the_layout_is_that_of_azures_samples() -> None:
    expected = {"main.bicep", "main.parameters.json", "abbreviations.json", "workbook.json", "app", "queries"}
    assert {p.name for p in INFRA.iterdir()} >= expected
    assert len(templates()) >= 8


@pytest.mark.parametrize("file", FILES)
def test_a_template_can_be_read_in_one_way_alone(file: Path) -> None:
    code = _code(file)
    tree = parsed(file)
    symbols = {n for part in ("parameters", "variables", "modules", "resources") for n in tree.get(part, {})}
    symbols |= set(re.findall(r"\bfor (\w+) in", code))
    assert symbols & set(re.findall(r"'([^'$\\\n]*)'", code)) == set(), "the parser takes a literal for the symbol"
    for line in code.splitlines():
        mixed = re.search(r" (==|!=|&&|\|\||\+|>|<) ", line) and " ? " in line
        assert not mixed or re.search(r"\([^()]+ (==|!=|&&) [^()]+\) \?", line), f"set in brackets: {line}"


@pytest.mark.parametrize("file", FILES)
def test_every_parameter_and_variable_is_described_and_used(file: Path) -> None:
    code, tree = _code(file), parsed(file)
    for name, parameter in tree["parameters"].items():
        assert [d for d in parameter["decorators"] if d["type"] == "description"], f"{name} has no description"
    for name in (*tree["parameters"], *tree.get("variables", {})):
        assert len(re.findall(rf"\b{name}\b", code)) > 1, f"{name} is declared and not used"
    for name, resource in tree.get("resources", {}).items():
        assert not resource["existing"] or len(re.findall(rf"\b{name}\b", code)) > 1, f"{name} is not used"


@pytest.mark.parametrize("file", FILES)
def test_every_output_of_a_template_is_read(file: Path) -> None:
    if file.name == "main.bicep":
        documents = "".join(p.read_text() for p in (ROOT / "docs").glob("*.md"))
        assert [n for n in parsed(file)["outputs"] if f"`{n}`" not in documents] == []
        return
    main = (INFRA / "main.bicep").read_text()
    assert [n for n in parsed(file).get("outputs", {}) if f".outputs.{n}" not in main] == []


def _parameter_file() -> dict[str, str]:
    body = json.loads((INFRA / "main.parameters.json").read_text())
    return {name: value["value"] for name, value in body["parameters"].items()}


def test_azd_can_set_every_parameter_and_falls_back_to_the_templates_default() -> None:
    entries, known = _parameter_file(), defaults()
    # azd takes objects from its configuration: azd env config set infra.parameters.extraAppSettings '{...}'.
    objects = {"extraTags", "extraAppSettings"}
    assert entries.keys() == parsed(INFRA / "main.bicep")["parameters"].keys() - objects
    for name, entry in entries.items():
        found = re.fullmatch(r"\$\{([A-Z_]+)(?:=(.*))?\}", entry)
        assert found, f"{name}: {entry}"
        default = known.get(name)
        expected = default if default is None else str(default).lower() if isinstance(default, bool) else str(default)
        assert found[2] == expected, name


def test_every_parameter_is_in_the_guides_table_with_its_variable_and_default() -> None:
    documented, entries, known = table("docs/azure.md", "Parameters"), _parameter_file(), defaults()
    assert documented.keys() == parsed(INFRA / "main.bicep")["parameters"].keys()
    for name, (variable, default, meaning) in documented.items():
        expected = re.sub(r"[${}]|=.*", "", entries[name]) if name in entries else ""
        assert variable.strip("`") == expected, name
        shown = known.get(name)
        shown = "required" if shown is None else "" if shown in ("", {}) else str(shown)
        assert default.strip("`") == (shown.lower() if shown in ("True", "False") else shown), name
        assert meaning


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_verified_module_is_given_is_what_it_takes(variant: str) -> None:
    deployment = deploy(**VARIANTS[variant])
    verified = [a for a in deployment.asked if a.kind.startswith("avm/")]
    assert len(verified) > 15
    assert [p for a in verified for p in _problems(a)] == []
    assert {(kind, name) for kind, name in deployment.read if name not in AVM[kind]["outputs"]} == set()


def _problems(asked: Asked) -> Iterator[str]:
    module = AVM[asked.kind]
    if asked.version != module["version"]:
        yield f"{asked.symbol}: version {asked.version} of {asked.kind} was not looked up"
    yield from _unlike(asked.given, {"properties": module["parameters"], "type": "object"}, asked.symbol)


def _unlike(value: Any, shape: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is not as the module declares it. What it does not declare (`resourceInput`) is not looked into."""
    if value is None or isinstance(value, Later):
        return
    kind = TYPES.get(shape["type"])
    if kind and not isinstance(value, kind):
        yield f"{where}: {value!r} is not of type {shape['type']}"
    elif "allowed" in shape and not isinstance(value, list) and value not in shape["allowed"]:
        yield f"{where}: {value!r} is none of {shape['allowed']}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unlike(item, shape.get("items", {"type": "any"}), f"{where}[{number}]")
    elif isinstance(value, dict):
        yield from _unlike_object(value, shape, where)


def _unlike_object(value: Mapping[str, Any], shape: Mapping[str, Any], where: str) -> Iterator[str]:
    if "variants" in shape:
        shape = shape["variants"][value[shape["discriminator"]]]
    known = shape.get("properties")
    if known is None:
        return
    for name, inner in known.items():
        if inner.get("required") and value.get(name) is None:
            yield f"{where}.{name} is required"
    for name, inner_value in value.items():
        if name in known:
            yield from _unlike(inner_value, known[name], f"{where}.{name}")
        elif "rest" not in shape:
            yield f"{where}.{name} is no parameter"


def _allowed(parameter: Mapping[str, Any]) -> set[Any] | None:
    found = [set(d["argument"]) for d in parameter["decorators"] if d["type"] == "allowed"]
    return found[0] if found else None


@pytest.mark.parametrize("file", FILES)
def test_what_is_passed_on_is_limited_to_what_is_taken(file: Path) -> None:
    """The compiler refuses any text where one of a few is taken."""
    tree = parsed(file)
    for symbol, module in tree.get("modules", {}).items():
        config = module["config"].get("config", module["config"])
        if module["type"] == "local":
            target = parsed((file.parent / module["detail"]["path"]).resolve())["parameters"]
            taken = {name: _allowed(parameter) for name, parameter in target.items()}
        else:
            target = AVM[module["detail"]["path"]]["parameters"]
            taken = {name: set(shape["allowed"]) for name, shape in target.items() if "allowed" in shape}
        for name, value in config["params"].items():
            if isinstance(value, str) and value in tree["parameters"] and taken.get(name):
                assert (_allowed(tree["parameters"][value]) or {"any"}) <= taken[name], f"{symbol}.{name}"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"allowSharedKeyAcces": False}, "stateAccount.allowSharedKeyAcces is no parameter"),
        ({"minimumTlsVersion": "TLS1_0"}, "none of"),
        ({"name": None}, "stateAccount.name is required"),
        ({"blobServices": {"containers": [{"publicAccess": "None"}]}}, "containers[0].name is required"),
        ({"allowSharedKeyAccess": "false"}, "not of type bool"),
    ],
)
def test_what_a_module_does_not_take_is_found(change: dict[str, Any], problem: str) -> None:
    found = deploy().of("avm/res/storage/storage-account")[0]
    wrong = Asked(found.file, found.symbol, found.kind, found.version, {**found.given, **change})
    assert any(problem in p for p in _problems(wrong))


def test_a_wrong_name_deep_within_sign_in_is_found() -> None:
    (found,) = deploy(authClientId="x").of("avm/res/web/site")
    body = json.dumps(found.given).replace('"allowedApplications"', '"allowedClients"')
    wrong = Asked(found.file, found.symbol, found.kind, found.version, json.loads(body))
    assert [p.rpartition(".")[2] for p in _problems(wrong)] == ["allowedClients is no parameter"]


def test_nothing_is_kept_of_modules_that_are_not_used() -> None:
    used = {a.kind for variant in VARIANTS.values() for a in deploy(**variant).asked}
    assert AVM.keys() == {kind for kind in used if kind.startswith("avm/")}


def test_what_has_no_verified_module_is_known() -> None:
    plain = {a.kind for v in VARIANTS.values() for a in deploy(**v).asked if not a.kind.startswith("avm/")}
    made = {a.kind for v in VARIANTS.values() for a in deploy(**v).asked if not a.existing} & plain
    assert made == {
        "Microsoft.Resources/resourceGroups",
        "Microsoft.Insights/workbooks",
        "Microsoft.Authorization/roleAssignments",
    }


def test_azd_publishes_the_package_that_is_made_and_has_nothing_built() -> None:
    declared = yaml.safe_load((ROOT / "azure.yaml").read_text())
    assert (ROOT / declared["infra"]["path"] / f"{declared['infra']['module']}.bicep").exists()
    ((name, service),) = declared["services"].items()
    assert deploy().one("avm/res/web/site")["tags"]["azd-service-name"] == name
    assert (service["host"], service["language"]) == ("function", "custom")
    made = inspect.signature(make_package).parameters["output"].default / "package"
    assert ROOT / service["project"] / service["dist"] == made
    script = ROOT / service["hooks"]["prepackage"]["posix"]["run"]
    assert script.stat().st_mode & 0o111, "it can be run"
    assert "docs/azure.md" in declared["hooks"]["postprovision"]["posix"]["run"]


def test_names_keep_to_azures_lengths() -> None:
    longest = {"avm/res/storage/storage-account": 24, "avm/res/key-vault/vault": 24, "avm/res/web/site": 60}
    for kind, most in longest.items():
        for asked in deploy().of(kind):
            assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", asked.given["name"]), asked.given["name"]
            assert len(asked.given["name"]) <= most
    for account in deploy().of("avm/res/storage/storage-account"):
        assert account.given["name"].isalnum()
