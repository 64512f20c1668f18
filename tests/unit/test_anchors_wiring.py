"""Where the audit trail's heads are kept follows from the settings."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.settings import Settings
from shared.wiring.outside import connect

AZURITE = "DefaultEndpointsProtocol=http;AccountName=one;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/one;QueueEndpoint=http://127.0.0.1:1/one;TableEndpoint=http://127.0.0.1:1/one;"


def _settings(**values: str) -> Settings:
    needed = {
        "DATABRICKS_HOST": "https://workspace.example.com",
        "GIT_REMOTE_URL": "https://git.example.com/r",
        "AzureWebJobsStorage": AZURITE,
        "AZURE_CLIENT_ID": "one",
    }
    return Settings.model_validate({**needed, **values})


def _url(settings: Settings) -> str:
    anchors: Any = connect(settings).anchors
    return str(anchors._container.url)


def test_anchors_are_in_the_apps_account_or_in_one_of_their_own() -> None:
    assert connect(_settings()).anchors is None
    assert _url(_settings(BACKUP_AUDIT_ANCHOR_CONTAINER="heads")) == "http://127.0.0.1:1/one/heads"
    elsewhere = _settings(
        BACKUP_AUDIT_ANCHOR_CONTAINER="heads", BACKUP_AUDIT_ANCHOR_URI="https://anchors.blob.core.windows.net/"
    )
    assert _url(elsewhere) == "https://anchors.blob.core.windows.net/heads"


def test_an_account_of_anchors_is_never_reached_in_the_clear() -> None:
    with pytest.raises(ValidationError, match="BACKUP_AUDIT_ANCHOR_URI"):
        _settings(BACKUP_AUDIT_ANCHOR_URI="http://anchors.blob.core.windows.net/")
