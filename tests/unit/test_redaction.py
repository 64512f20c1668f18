"""A credential that was handed out shows in no error and in no log line, however it got there."""

from __future__ import annotations

import base64
import io
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from local.memory.clock import ManualClock
from local.memory.vault import MemoryVault
from shared import redaction
from shared.adapters.identity import GitAuthorization, VaultToken, setting_token
from shared.adapters.smtp_mail import SmtpAddress
from shared.errors import RepositoryError, WorkspaceError
from shared.redaction import MOST_PASSING, REDACTED, redact, redact_logs, remember
from shared.settings import Settings

CANARY = "canary/of+tests=1234567890"


def _forms(secret: str) -> list[str]:
    basic = base64.b64encode(f":{secret}".encode()).decode()
    return [secret, quote(secret, safe=""), f"Basic {basic}", f"Bearer {secret}"]


@pytest.fixture(autouse=True)
def own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_memory", redaction.Memory())


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    before, stream = logging.getLogRecordFactory(), io.StringIO()
    redact_logs()
    redact_logs()
    handler = logging.StreamHandler(stream)
    logging.getLogger("of.tests").addHandler(handler)
    yield stream
    logging.getLogger("of.tests").removeHandler(handler)
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("form", range(4))
def test_each_form_is_blotted_out_of_errors(form: int) -> None:
    GitAuthorization(setting_token(SecretStr(CANARY)), basic=True)()
    said = f"the server says {_forms(CANARY)[form]} is wrong"
    error = WorkspaceError(path="/Clients", error_code="X", detail=said)
    assert CANARY not in str(error) + repr(error) + repr(error.fields)
    assert _forms(CANARY)[form].removeprefix("Basic ").removeprefix("Bearer ") not in str(error)
    assert REDACTED in str(RepositoryError(action="push", detail=said))


def test_log_lines_arguments_and_tracebacks_are_cleaned(logged: io.StringIO) -> None:
    setting_token(SecretStr(CANARY))()
    log = logging.getLogger("of.tests")
    log.warning("plain %s and %(x)s" if False else "plain %s", CANARY)
    log.warning(f"in the text {CANARY} %d %%", 7)
    try:
        raise OSError(f"no route to https://x:{CANARY}@host")
    except OSError:
        log.exception("it failed")
    text = logged.getvalue()
    assert CANARY not in text
    assert text.count(REDACTED) >= 3
    assert "OSError" in text
    assert "7 %" in text


def test_settings_print_no_secret() -> None:
    values = {"databricks_host": "h", "git_remote_url": "https://g", "databricks_token": CANARY, "git_token": CANARY}
    mail = f"smtp://u:{quote(CANARY, safe='')}@h"
    made = Settings.model_validate({**values, "storage": f"AccountKey={CANARY}", "smtp_url": mail})
    shown = repr(made) + str(made) + made.model_dump_json()
    assert (CANARY in shown, quote(CANARY, safe="") in shown) == (False, False)


def test_wrong_settings_are_named_without_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TOKEN", CANARY)
    monkeypatch.setenv("BACKUP_VERIFY_DAYS", "none")
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    with pytest.raises(ValueError, match="BACKUP_VERIFY_DAYS") as caught:
        Settings.model_validate({})
    assert "DATABRICKS_HOST" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_old_tokens_are_forgotten_and_short_words_stay() -> None:
    for n in range(MOST_PASSING + 1):
        remember(f"token-of-hour-{n:04}")
    assert redact("token-of-hour-0000") == "token-of-hour-0000"
    assert redact(f"token-of-hour-{MOST_PASSING:04}") == REDACTED
    remember("short")
    assert redact("a short text") == "a short text"


@pytest.mark.parametrize("configured", ["setting", "vault", "smtp"])
def test_what_is_configured_is_blotted_out_for_as_long_as_the_process_lives(configured: str) -> None:
    if configured == "setting":
        setting_token(SecretStr(CANARY))
    elif configured == "vault":
        vault = MemoryVault()
        vault.write("git-token", CANARY, None, {})
        VaultToken(vault, "git-token", ManualClock(), 60.0)()
    else:
        SmtpAddress.parse(f"smtps://user:{quote(CANARY, safe='')}@mail.example.com")
    for hour in range(10 * MOST_PASSING):
        remember(f"token-of-hour-{hour:04}")
    assert all(CANARY not in redact(form) for form in _forms(CANARY))
    assert redact(CANARY) == REDACTED


def test_a_token_in_use_is_not_forgotten_for_newer_ones() -> None:
    for hour in range(10 * MOST_PASSING):
        remember(CANARY)
        remember(f"token-of-hour-{hour:04}")
    assert redact(CANARY) == REDACTED


def test_a_passing_token_that_turns_out_to_be_configured_is_kept() -> None:
    remember(CANARY)
    remember(CANARY, keep=True)
    for hour in range(2 * MOST_PASSING):
        remember(f"token-of-hour-{hour:04}")
    assert redact(CANARY) == REDACTED


def test_no_rest_of_a_secret_shows_where_another_is_its_beginning() -> None:
    remember("a-short-secret")
    remember("a-short-secret-with-a-longer-tail")
    assert redact("x a-short-secret-with-a-longer-tail y") == f"x {REDACTED} y"


def test_threads_that_remember_and_redact_at_once_do_not_disturb_each_other() -> None:
    def work(worker: int) -> bool:
        for n in range(MOST_PASSING):
            token = f"token-{worker}-of-hour-{n:04}"
            remember(token)
            redact(f"so {token}")
        return True

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))
    finally:
        sys.setswitchinterval(interval)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=8, max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_whatever_surrounds_a_secret_it_does_not_show(secret: str, before: str, after: str) -> None:
    redaction._memory = redaction.Memory()
    remember(secret)
    assert secret not in redact(before + secret + after) or secret in REDACTED
