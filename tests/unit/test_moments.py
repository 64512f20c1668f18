"""How a moment of the history may be named."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from shared.domain.moments import MOMENT_PATTERN, checked_moment
from shared.domain.restore_request import RestoreBody
from shared.domain.tag_request import TagBody

GOOD = [
    *("latest", "live", "3f2a9c1", "A" * 40, "2026-11-24", "2026-11-24T08:00:00Z", "2026-11-24 08:00:00.5+01:00"),
    *("tag:v1", "tag:backup/2026-11", "tag:ü"),
]
BAD = [
    *("--all", "-n1", "HEAD~1", "HEAD^", "a..b", "main@{1}", ":/fix", "a:b.py\n", "\0", "", " 2026-11-24", "a\\b", "*"),
    *("tag:", "tag:-x", "tag:a..b", "tag:a b", "tag:x^{}", "à la carte"),
]


@pytest.mark.parametrize("at", GOOD)
def test_a_moment_passes_as_it_is(at: str) -> None:
    assert checked_moment(at) == at
    assert re.search(MOMENT_PATTERN, at)
    assert TagBody(name="v1", at=at).at == RestoreBody(at=at, paths=["/Clients/a"]).at == at


@pytest.mark.parametrize("at", BAD)
def test_what_git_would_read_otherwise_is_none(at: str) -> None:
    with pytest.raises(ValueError, match=r"7 or more of its hexadecimal digits|A tag's name has"):
        checked_moment(at)
    for model, more in ((TagBody, {"name": "v1"}), (RestoreBody, {"paths": ["/Clients/a"]})):
        with pytest.raises(ValidationError):
            model.model_validate({"at": at, **more})
