"""Three days of twelve people on a real system; `python -m bench.month` lives thirty."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from local.lab import Lab
from tests.month import Month, SignedInLab
from tests.signed_in import IN_AZURE

OPTIONS = {"notebooks": 30, "shifted": True}
DAYS, ACTS = 3, 12
pytestmark = pytest.mark.xdist_group("month")


@pytest.fixture(scope="module", autouse=True)
def in_azure() -> Iterator[None]:
    """The system is started with these settings, so that it knows people by their sign-in."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in IN_AZURE.items():
            patch.setenv(name, value)
        yield


def test_each_day_is_told_as_it_was_and_git_counts_the_same_authors(in_azure: None, lab: Lab) -> None:
    month = Month(SignedInLab(lab.system, lab.folder), random.Random(7))
    month.begin()
    for _ in range(DAYS):
        month.live(ACTS)
    assert [(day.wrong, day.at_night, day.in_the_morning) for day in month.days] == [
        ((), True, True),
        ((), True, True),
        ((), None, True),
    ]
    assert sum(day.restores for day in month.days) > 0
    assert month.days[-1].known_at_night < month.days[-1].changes, "no row came late"
    assert month.shortlog() == month.commits
