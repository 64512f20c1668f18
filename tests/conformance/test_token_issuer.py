"""One suite for every issuer of tokens: Databricks and Azure DevOps over HTTP, and the one in memory."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import urllib3

from local.azure.entra import AZURE_DEVOPS, DATABRICKS
from local.azure.pats import PATH
from local.memory.clock import ManualClock
from local.memory.issuer import MemoryIssuer
from shared.adapters.databricks_tokens import DatabricksTokens
from shared.adapters.devops_pats import DevOpsTokens, _issued
from shared.adapters.identity import AZURE_DEVOPS_SCOPE, azure_credential
from shared.adapters.token_calls import TokenCalls
from shared.clock import SystemClock
from shared.errors import IssuerRefused, IssuerUnavailable
from shared.protocols import TokenIssuer
from tests.azure import BACKUP_ID, SECRETS, Azure, azure
from tests.servers import TOKEN, Serve, serve_for_all

__all__ = ["azure", "serve_for_all"]
pytestmark = pytest.mark.xdist_group("azure")
KINDS = ["databricks", "devops", "memory", "memory of a user"]
QUICK = urllib3.Retry(total=1, backoff_factor=0.001, raise_on_status=False)


@dataclass
class Made:
    """An issuer, a credential that may act, and the time that it goes by."""

    issuer: TokenIssuer
    using: str
    now: Callable[[], datetime]


@pytest.fixture(scope="module")
def databricks(serve_for_all: Serve) -> TokenIssuer:
    served = serve_for_all("local.workspace", "--notebooks", "5")
    return DatabricksTokens(served.url, "/Clients", TokenCalls("x", QUICK))


@pytest.fixture(scope="module")
def devops(serve_for_all: Serve) -> TokenIssuer:
    served = serve_for_all("local.git_server", ENTRA_KEY=SECRETS["entra"])
    api, remote = f"{served.url}{PATH}", f"{served.url}/notebooks.git"
    return DevOpsTokens(api, remote, SystemClock(), TokenCalls("x", QUICK))


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, azure: Azure, databricks: TokenIssuer, devops: TokenIssuer) -> Made:
    if request.param == "databricks":
        return Made(databricks, TOKEN, SystemClock().now)
    if request.param == "devops":
        return Made(devops, azure.user_token(AZURE_DEVOPS), SystemClock().now)
    clock = ManualClock()
    memory = MemoryIssuer(clock, users={"user"} if "user" in request.param else None)
    memory.add("first", "by hand", None)
    return Made(memory, "user" if memory.users else "first", clock.now)


def test_a_new_token_works_is_listed_and_ends_when_it_says(made: Made) -> None:
    before = {t.id for t in made.issuer.tokens(made.using)}
    assert before, "the one that was made by hand"
    comment = f"notebook-backup {uuid.uuid4().hex}"
    new = made.issuer.create(made.using, comment, 30)
    assert made.issuer.works(new.value)
    assert new.expires_at is not None
    assert 29 <= (new.expires_at - made.now()).total_seconds() / 86_400 <= 30.01
    (listed,) = [t for t in made.issuer.tokens(made.using) if t.id == new.id]
    assert {t.id for t in made.issuer.tokens(made.using)} == {*before, new.id}
    assert (listed.comment, listed.expires_at) == (comment, new.expires_at)
    assert new.value not in repr(new) + repr(listed)


def test_two_calls_make_two_tokens(made: Made) -> None:
    one, two = (made.issuer.create(made.using, "c", 1) for _ in range(2))
    assert one.id != two.id
    assert one.value != two.value


def test_a_revoked_token_is_over_and_revoking_it_again_is_nothing(made: Made) -> None:
    new, other = made.issuer.create(made.using, "c", 1), made.issuer.create(made.using, "c", 1)
    made.issuer.revoke(made.using, new.id)
    made.issuer.revoke(made.using, new.id)
    assert (made.issuer.works(new.value), made.issuer.works(other.value)) == (False, True)
    assert new.id not in {t.id for t in made.issuer.tokens(made.using)}


def test_an_id_that_follows_from_a_value_is_the_listed_one(made: Made) -> None:
    new = made.issuer.create(made.using, "c", 1)
    assert made.issuer.id_of(new.value) in (None, new.id)


def test_one_who_may_not_is_refused_and_a_wrong_token_does_not_work(made: Made) -> None:
    with pytest.raises(IssuerRefused, match=r"HTTP 40[13]"):
        made.issuer.create("dapi-of-nobody-at-all", "c", 1)
    with pytest.raises(IssuerRefused):
        made.issuer.tokens("dapi-of-nobody-at-all")
    assert made.issuer.works("dapi-of-nobody-at-all") is False


@pytest.mark.parametrize("kind", ["databricks", "devops"])
def test_one_that_does_not_answer_is_away(kind: str) -> None:
    gone, calls = "http://127.0.0.1:9", TokenCalls("x", QUICK)
    issuer: TokenIssuer = DatabricksTokens(gone, "/", calls)
    if kind == "devops":
        issuer = DevOpsTokens(f"{gone}{PATH}", f"{gone}/x.git", SystemClock(), calls)
    for call in (lambda: issuer.tokens("x" * 9), lambda: issuer.create("x" * 9, "c", 1), lambda: issuer.works("x" * 9)):
        with pytest.raises(IssuerUnavailable, match="did not answer"):
            call()


def test_azure_devops_takes_no_token_of_an_app(azure: Azure, devops: TokenIssuer) -> None:
    for wrong in (TOKEN, azure.user_token(DATABRICKS)):
        with pytest.raises(IssuerRefused, match="HTTP 401"):
            devops.tokens(wrong)
    with pytest.raises(IssuerRefused, match="HTTP 403"):
        devops.tokens(azure_credential(BACKUP_ID).get_token(AZURE_DEVOPS_SCOPE).token)


def test_dates_with_seven_digits_and_none_are_read() -> None:
    row = {"authorizationId": "a", "displayName": "n", "validTo": "2020-11-23T04:04:38.5233333Z"}
    assert _issued(row).expires_at == datetime(2020, 11, 23, 4, 4, 38, 523333, tzinfo=UTC)
    assert _issued({**row, "validTo": None}).expires_at is None
