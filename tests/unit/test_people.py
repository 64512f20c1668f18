"""Who people are, from the setting that maps them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.domain.people import UNKNOWN, People, Person
from shared.settings import Settings

ADA = '{"Ada@Example.com": {"name": "Ada", "team": "Sales"}, "bob@example.com": {}}'


def test_a_person_is_found_by_mail_whatever_its_case() -> None:
    people = People.parse(ADA)
    assert people.of("ADA@example.COM ") == Person("Ada", "Ada@Example.com", "Sales")
    assert people.of("bob@example.com") == Person("bob@example.com", "bob@example.com", None)


def test_who_is_not_in_the_mapping_goes_by_their_mail_and_nobody_by_unknown() -> None:
    people = People.parse("")
    assert people.of("eve@example.com") == Person("eve@example.com", "eve@example.com", None)
    assert people.of(None) is people.of(" ") is UNKNOWN


def test_a_name_means_the_only_person_who_has_it() -> None:
    people = People.parse('{"ada@x.org": {"name": "Ada L"}, "bob@x.org": {"name": "B"}, "bo@x.org": {"name": "B"}}')
    assert people.of("ada l").mail == "ada@x.org"
    assert people.of("B") == Person("B", "B")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"ada@example.com": "Ada"}',
        '{"ada@example.com": {"nmae": "Ada"}}',
        '{"ada@example.com": {"name": 1}}',
        '{" ": {"name": "Ada"}}',
        '{"ada@example.com": {}, "ADA@example.com": {}}',
    ],
)
def test_a_wrong_mapping_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must be|entry \d)") as refused:
        People.parse(text)
    assert "ada" not in str(refused.value).casefold()


def test_the_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "adb-1.azuredatabricks.net")
    monkeypatch.setenv("GIT_REMOTE_URL", "https://dev.azure.com/o/p/_git/r")
    monkeypatch.setenv("BACKUP_PEOPLE", ADA)
    assert Settings.model_validate({}).people.of("ada@example.com").team == "Sales"
    monkeypatch.setenv("BACKUP_PEOPLE", "nonsense")
    with pytest.raises(ValidationError, match="BACKUP_PEOPLE"):
        Settings.model_validate({})
