"""The settings as the audit trail may hold them: no secret, nothing that one could be guessed by, no list of people."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.domain.people import People
from shared.settings import Settings


def shown_settings(settings: Settings) -> dict[str, str]:
    """Each setting by its name in Azure; of a secret, whether it is set; of an address, no credentials."""
    values = {str(field.validation_alias): getattr(settings, name) for name, field in Settings.model_fields.items()}
    return {name: _shown(value) for name, value in values.items() if value is not None}


def _shown(value: object) -> str:
    if isinstance(value, People):
        return f"{len(value.by_mail)} people"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "empty"
    text = str(value)
    if "://" not in text:
        return text
    parts = urlsplit(text)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
