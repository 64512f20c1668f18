"""Errors as answers: what people may read of them."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from functions.answers import problem_of
from functions.requests import told
from shared.domain.restore_request import RestoreBody
from shared.settings import Settings


def test_a_wrong_setting_is_not_quoted_to_whoever_asks() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"databricks_host": "x", "git_remote_url": "https://y", "stall_minutes": "hush"})
    answer = problem_of(caught.value, "get_status")
    assert (answer.status_code, b"hush" in answer.get_body()) == (500, False)


def test_a_wrong_request_is_told_by_member() -> None:
    with pytest.raises(ValueError, match="paths") as caught, told():
        RestoreBody.model_validate({"at": "latest", "paths": ["relative"]})
    answer = problem_of(caught.value, "start_restore")
    assert (answer.status_code, json.loads(answer.get_body())["title"]) == (400, "invalid request")
