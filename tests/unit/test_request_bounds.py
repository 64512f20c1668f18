"""Every parameter and every member of a body has a bound: the API's description says it, and the routes hold to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import azure.functions as func
import pytest

from functions.gate import MOST_ADDRESS_CHARACTERS
from functions.openapi import document
from functions.requests import MOST_FINDINGS, findings_page
from tests.pages_site import LOAD, Site
from tests.signed_in import IN_AZURE, principal, send, set_up

OPERATOR = principal("Backup.Operator")
BOUNDS = {"string": ("maxLength", "pattern", "enum", "format"), "integer": ("maximum",), "array": ("maxItems",)}
type Schema = dict[str, Any]


def _operations() -> Iterator[Schema]:
    for routes in document()["paths"].values():
        yield from routes.values()


def _parts(schema: Schema, name: str) -> Iterator[tuple[str, Schema]]:
    """A schema with all that it holds."""
    yield name, schema
    for member, of in schema.get("properties", {}).items():
        yield from _parts(of, f"{name}.{member}")
    for key in ("anyOf", "allOf", "oneOf"):
        for of in schema.get(key, ()):
            yield from _parts(of, name)
    if "items" in schema:
        yield from _parts(schema["items"], f"{name}[]")


def _unbounded(schema: Schema, name: str) -> list[str]:
    found = []
    for part, of in _parts(schema, name):
        kinds = of.get("type", ())
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            if kind in BOUNDS and not any(bound in of for bound in (*BOUNDS[kind], "const")):
                found.append(f"{part}: {kind}")
    return found


def test_every_parameter_and_member_of_a_body_says_its_bound() -> None:
    found, parameters = [], 0
    for operation in _operations():
        for parameter in operation["parameters"]:
            parameters += 1
            found += _unbounded(parameter["schema"], f"{operation['operationId']} {parameter['name']}")
        for media in operation.get("requestBody", {}).get("content", {}).values():
            found += _unbounded(media["schema"], f"{operation['operationId']} body")
    assert parameters > 40
    assert found == []


def _beyond(schema: Schema) -> str | None:
    """A value that is just over a parameter's bound."""
    if "maximum" in schema:
        return str(schema["maximum"] + 1)
    if "maxLength" in schema:
        return "/" + "x" * schema["maxLength"]
    if "enum" in schema or "format" in schema or "pattern" in schema:
        return "x" * 65
    return None


CASES = [
    (operation["operationId"], parameter["name"], _beyond(parameter["schema"]))
    for operation in _operations()
    for parameter in operation["parameters"]
    if parameter["in"] == "query"
]


@pytest.mark.parametrize(("name", "parameter", "value"), CASES)
def test_a_parameter_over_its_bound_is_refused(
    site: Site, past: str, monkeypatch: pytest.MonkeyPatch, name: str, parameter: str, value: str
) -> None:
    set_up(monkeypatch, **IN_AZURE)
    assert 0 < len(value) < MOST_ADDRESS_CHARACTERS
    needed = {"path": LOAD} if name in ("get_content", "get_diff", "get_versions") else {}
    answer = send(name, OPERATOR, params={**needed, parameter: value})
    assert answer.status_code == 400, answer.get_body()


def test_what_a_run_could_not_bring_in_comes_in_pages() -> None:
    run: Schema = {"run_id": "r", "failures": [f"f{n}" for n in range(2 * MOST_FINDINGS + 1)], "notices": ["n"]}
    pages: list[Schema] = []
    following: int | None = 0
    while following is not None:
        request = func.HttpRequest("GET", "https://x/api/runs/r", params={"offset": str(following)}, body=b"")
        pages.append(findings_page(request, lambda: run))
        following = pages[-1]["next"]
    assert [len(page["failures"]) for page in pages] == [MOST_FINDINGS, MOST_FINDINGS, 1]
    assert [part for page in pages for part in page["failures"]] == run["failures"]
    assert [page["notices"] for page in pages] == [["n"], [], []]
    assert {page["run_id"] for page in pages} == {"r"}
