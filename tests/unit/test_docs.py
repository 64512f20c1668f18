"""Every setting, command, route and start option is documented."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from functions.openapi import document
from local import app as start
from local.packaging import __main__ as package
from shared.cli import app as backup
from shared.settings import Settings
from tests.registered import functions

ROOT = Path(__file__).resolve().parent.parent.parent


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def test_every_setting_is_in_the_administrators_guide() -> None:
    guide = _text("docs/administrator.md")
    names = [str(f.validation_alias) for f in Settings.model_fields.values()]
    assert len(names) > 20
    assert [n for n in names if f"`{n}`" not in guide] == []


def test_every_command_is_in_its_guide() -> None:
    readme = _text("docs/command-line.md")
    names = [c.name or c.callback.__name__ for c in backup.registered_commands if c.callback]
    assert len(names) >= 4
    assert [n for n in names if f"`./backup {n}" not in readme] == []


def test_every_start_option_is_in_its_guide() -> None:
    command = typer.main.get_command(_app())
    options = [o for p in command.params for o in p.opts if o not in ("--install-completion", "--show-completion")]
    assert [o for o in options if f"`{o}" not in _text("docs/command-line.md")] == []


def test_every_option_of_the_package_is_in_its_guide() -> None:
    command = typer.main.get_command(_app(package.main))
    options = [o for p in command.params for o in p.opts]
    assert "--output" in options
    assert [o for o in options if f"`{o}" not in _text("docs/packaging.md")] == []


def _app(main: Callable[..., None] = start.main) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(main)
    return app


@functools.cache
def _http_triggers() -> list[dict[str, Any]]:
    triggers = [function.get_trigger().get_dict_repr() for function in functions()]
    return [trigger for trigger in triggers if str(trigger["type"]) == "httpTrigger"]


def test_every_route_of_the_api_is_described_in_openapi() -> None:
    described = {(m.upper(), path) for path, ways in document()["paths"].items() for m in ways}
    pages = (
        "browse",
        "history",
        "preview",
        "compare",
        "restore",
        "restore-result",
        "undo",
        "openapi.json",
        "dashboard",
    )
    served = {
        (str(method.value), f"/api/{trigger['route']}")
        for trigger in _http_triggers()
        if trigger["route"] not in pages
        for method in trigger["methods"]
    }
    assert described == served


def test_every_route_is_in_the_api_guide() -> None:
    guide = _text("docs/api.md")
    found = 0
    for trigger in _http_triggers():
        for method in trigger["methods"]:
            found += 1
            assert f"`{method.value} /api/{trigger['route']}`" in guide
    assert found >= 25
