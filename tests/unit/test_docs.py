"""Every setting, command, route and start option is documented."""

from __future__ import annotations

from pathlib import Path

import azure.functions as func
import typer

from functions import runs_http
from local import app as start
from shared.cli import app as backup
from shared.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def test_every_setting_is_in_the_administrators_guide() -> None:
    guide = _text("docs/administrator.md")
    names = [str(f.validation_alias) for f in Settings.model_fields.values()]
    assert len(names) > 20
    assert [n for n in names if f"`{n}`" not in guide] == []


def test_every_command_is_in_the_readme() -> None:
    readme = _text("README.md")
    names = [c.name or c.callback.__name__ for c in backup.registered_commands if c.callback]
    assert len(names) >= 4
    assert [n for n in names if f"`./backup {n}" not in readme] == []


def test_every_start_option_is_in_the_readme() -> None:
    command = typer.main.get_command(_app())
    options = [o for p in command.params for o in p.opts if o not in ("--install-completion", "--show-completion")]
    assert [o for o in options if f"`{o}" not in _text("README.md")] == []


def _app() -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(start.main)
    return app


def test_every_route_is_in_the_api_guide() -> None:
    app = func.FunctionApp()
    app.register_functions(runs_http.blueprint)
    guide = _text("docs/api.md")
    found = 0
    for function in app.get_functions():
        trigger = function.get_trigger().get_dict_repr()
        for method in trigger["methods"]:
            found += 1
            assert f"`{method.value} /api/{trigger['route']}`" in guide
    assert found >= 6
