"""Each answer is held to its form: all that is wrong is named at once, or asked again until it is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from shared.cli.setup.answers import QUESTIONS, collected
from tests.setup_machine import ANSWERS, Machine

WRONG = {
    "subscription": ("", "mine", "1b2c3d4e-0000-4000-8000-00000000000", "------------------------------------"),
    "location": ("", "west.europe", "westeurope; rm"),
    "databricks_host": (
        "",
        "adb-1.2.azuredatabricks.net",
        "http://adb-1.2.azuredatabricks.net",
        "https://adb-1.2.azuredatabricks.net/?o=1",
        "https://adb-1.2.azuredatabricks.net.example.com",
        "https://azuredatabricks.net@example.com",
    ),
    "warehouse": ("abc123", "0123456789abcdeg"),
    "root": ("", "Clients", "/", "/Clients//acme", "/Clients/../Users", "/Clients?x=1"),
    "organisation": ("", "https://dev.azure.com/contoso", "contoso/", "-contoso"),
    "project": ("", "two words", "a/b", ".git"),
    "repository": ("", "two words", "a/b"),
    "branch": ("", "-main", "a..b", "main.lock", "/main", "main/", "a b"),
    "alert_emails": ("", "ops", "ops@example.com,", "ops@example.com lead@example.com", "a@b@c"),
    "mail_to": ("ops", '{"default":'),
    "plan": ("", "free"),
    "publish_with": ("", "azd"),
}
RIGHT = {
    "location": ("North Europe", "northeurope"),
    "databricks_host": ("https://adb-1.2.azuredatabricks.net/", "https://adb-1.2.azuredatabricks.net"),
    "root": ("/Clients/two words/", "/Clients/two words"),
    "warehouse": ("", ""),
    "branch": ("backup/main", "backup/main"),
    "alert_emails": ("ops@example.com, lead@example.com", "ops@example.com, lead@example.com"),
    "mail_to": ('{"default": ["ops@example.com"]}', '{"default": ["ops@example.com"]}'),
}


def _collected(**given: str) -> dict[str, str]:
    return collected({}, {**ANSWERS, **given}, None, lambda _: None)


def test_every_question_has_answers_that_are_wrong() -> None:
    assert WRONG.keys() == {question.name for question in QUESTIONS}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_answer_is_refused_with_what_to_give(name: str, value: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(ValueError, match=rf"^(give )?{flag}.* must (be|have) [^\n]*$"):
        _collected(**{name: value})


@pytest.mark.parametrize(("name", "value", "taken"), [(n, v, taken) for n, (v, taken) in RIGHT.items()])
def test_a_right_answer_is_taken_without_what_came_along(name: str, value: str, taken: str) -> None:
    assert _collected(**{name: value})[name] == taken


def test_all_that_is_wrong_is_named_at_once_and_before_anything_runs(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    wrong = {"subscription": "mine", "root": "Clients", "location": "?"}
    given = {name: value for name, value in {**ANSWERS, **wrong}.items() if name != "alert_emails"}
    with pytest.raises(ValueError, match="--subscription") as caught:
        machine.run(parameters=("location",), app_id="mine", **given)
    lines = str(caught.value).splitlines()
    named = ["--subscription", "--location", "--root", "--alert-emails", "--parameter location", "--app-id mine"]
    assert [name for name, line in zip(named, lines, strict=True) if name not in line] == []
    assert machine.commands == []


def test_a_wrong_answer_is_asked_again_and_the_earlier_one_offered() -> None:
    asked: list[tuple[str, str | None]] = []
    typed = iter(["mine", ANSWERS["subscription"], ""])

    def ask(text: str, offered: str | None) -> str:
        asked.append((text, offered))
        answer = next(typed, None)
        if answer is None:
            raise typer.Abort
        return answer or offered or ""

    kept: list[dict[str, str]] = []
    with pytest.raises(typer.Abort):
        collected({"location": "northeurope"}, {"root": "Clients"}, ask, lambda found: kept.append(dict(found)))
    assert asked[0] == ("Subscription id", None)
    assert asked[1][0].startswith("--subscription must be an id such as")
    assert asked[2] == ("Region", "northeurope")
    assert kept[-1] == {"location": "northeurope", "subscription": ANSWERS["subscription"]}


def test_what_a_flag_says_is_not_asked_and_what_it_says_wrongly_is() -> None:
    asked: list[str] = []

    def ask(text: str, offered: str | None) -> str:
        asked.append(text)
        return "/Clients" if "absolute path" in text else offered or ""

    found = collected({}, {**ANSWERS, "root": "Clients"}, ask, lambda _: None)
    assert found["root"] == "/Clients"
    assert [text for text in asked if "Subscription" in text] == []
    assert len([text for text in asked if text.startswith("--root must be")]) == 1


def test_an_answer_that_may_be_empty_is_emptied_by_a_dash() -> None:
    found = collected({**ANSWERS, "mail_to": "ops@example.com"}, {}, _dashes, lambda _: None)
    assert (found["mail_to"], found["warehouse"], found["root"]) == ("", "", "/Clients")


def _dashes(text: str, offered: str | None) -> str:
    return "-" if "for none" in text else offered or ""
