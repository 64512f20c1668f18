"""A rotation is killed at every call that it makes: a token that works is always there, and none is left over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import Crash
from local.faults.taps import Call, QuietTap
from local.memory.issuer import MemoryIssuer
from local.memory.world import World
from shared.adapters.identity import VaultToken
from shared.domain.audit import AuditAction, AuditRecord
from shared.domain.credentials import TOKEN_TAG
from shared.errors import IssuerUnavailable, LeaseLost, VaultUnavailable
from shared.services.audit.trail import AuditTrail
from shared.services.credentials.secrets import NotRotatable, UnknownCredential, UserTokenNeeded

VAULT_URI = "https://backup.vault.azure.net"
DATABRICKS, GIT, USER = "databricks-token", "git-token", "token-of-a-user"
OLD = {"workspace": "old-databricks-token", "repository": "old-git-token"}
SECRET = {"workspace": DATABRICKS, "repository": GIT}
WATCHED = ("vault", "databricks_tokens", "git_tokens", "tables", "blobs")
MOST_CALLS = 200
FIVE_MINUTES = 300


@dataclass
class Killer(QuietTap):
    """Dies at the `at`-th call of a rotation, before it or after its effect; counts calls otherwise."""

    at: int = 0
    when: str = "before"
    calls: list[str] = field(default_factory=list)
    dead: bool = False

    def meet(self, when: str, call: Call) -> None:
        """See `QuietTap.meet`."""
        if call.port not in WATCHED:
            return
        if when == "before":
            self.calls.append(f"{call.port}.{call.method}")
        if self.dead or (len(self.calls) == self.at and when == self.when):
            self.dead = True
            raise Crash


@pytest.fixture
def world(tmp_path: Path) -> World:
    return _world(tmp_path)


def _world(scratch: Path) -> World:
    world = World(
        scratch, key_vault_uri=VAULT_URI, databricks_token_secret=DATABRICKS, git_token_secret=GIT, token_days=90
    )
    world.git_tokens.users = {USER}
    for name, secret in SECRET.items():
        soon = world.clock.now() + timedelta(days=5)
        made = _issuer(world, name).add(OLD[name], "made by hand", soon)
        # Which of a user's tokens it is, nobody tells: as the rotation before this one left it.
        world.vault.write(secret, OLD[name], soon, {TOKEN_TAG: made.id} if name == "repository" else {})
    return world


def _issuer(world: World, name: str) -> MemoryIssuer:
    return world.databricks_tokens if name == "workspace" else world.git_tokens


def _user_token(name: str) -> str:
    return USER if name == "repository" else ""


def _reads(world: World, name: str) -> str:
    """What a process that starts now would use."""
    return VaultToken(world.vault, SECRET[name], world.clock, 60)()


def _works(world: World, name: str) -> bool:
    return _issuer(world, name).works(_reads(world, name))


def _step(world: World, name: str) -> str:
    return str((world.app.credentials.rotation.shown(name) or {})["step"])


def _let_it_end(world: World, name: str) -> None:
    """The timer, as often as it takes; a user comes back with a token where one is needed."""
    for _ in range(4):
        world.clock.sleep(FIVE_MINUTES)
        if (world.app.credentials.rotation.shown(name) or {"step": "done"})["step"] in ("done", "failed"):
            return
        world.app.credentials.rotation.go_on_all()
        if _user_token(name) and _step(world, name) not in ("done", "failed"):
            world.app.credentials.rotation.start(name, "ada", user_token=USER)


def _records(world: World) -> list[AuditRecord]:
    found = AuditTrail(world.tables, world.clock).records()
    return [r for r in found if r.action == AuditAction.CREDENTIAL_ROTATED]


def _rotate(world: World, name: str) -> dict[str, Any]:
    return world.app.credentials.rotation.start(name, "ada", "10.0.0.1", _user_token(name))


def _calls_of_a_rotation(tmp_path: Path, name: str, prepare: Callable[[World], None]) -> int:
    world, counted = _world(tmp_path / "count"), Killer()
    prepare(world)
    world.process(counted)
    _rotate(world, name)
    _let_it_end(world, name)
    return len(counted.calls)


def _nothing(world: World) -> None:
    pass


def _break(world: World) -> None:
    world.databricks_tokens.breaks = world.git_tokens.breaks = True


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("name", "prepare", "ends"),
    [
        ("workspace", _nothing, "done"),
        ("repository", _nothing, "done"),
        ("workspace", _break, "failed"),
        ("repository", _break, "failed"),
    ],
)
def test_killed_at_any_call_a_token_works_and_none_is_left_over(
    tmp_path: Path, name: str, prepare: Callable[[World], None], ends: str, when: str
) -> None:
    calls = _calls_of_a_rotation(tmp_path, name, prepare)
    assert 25 < calls < MOST_CALLS
    for at in range(1, calls + 1):
        world = _world(tmp_path / f"{at}")
        prepare(world)
        killer = Killer(at, when)
        world.process(killer)
        with pytest.raises(Crash):
            _rotate(world, name)
            for _ in range(3):
                world.clock.sleep(FIVE_MINUTES)
                world.app.credentials.rotation.go_on_all()
        told = f"killed {when} call {at}, {killer.calls[-1]}"
        assert _works(world, name), told
        world.process()
        assert _works(world, name), told
        _let_it_end(world, name)
        _rotate_where_nothing_was_begun(world, name)
        assert _step(world, name) == ends, told
        assert _works(world, name), told
        left = list(_issuer(world, name).issued)
        assert left == [_reads(world, name)], told
        assert (left == [OLD[name]]) == (ends == "failed"), told
        _check_records(world, ends, told)


def _rotate_where_nothing_was_begun(world: World, name: str) -> None:
    if world.app.credentials.rotation.shown(name) is None:
        _rotate(world, name)
        _let_it_end(world, name)


def _check_records(world: World, ends: str, told: str) -> None:
    """Each step is in the trail once, but that a token may have been made anew."""
    steps = [str(r.detail["step"]) for r in _records(world)]
    assert steps[0] == "asked", told
    assert steps[-1] == "ended", told
    once = {"asked", "ended"} | ({"switched"} if ends == "done" else set())
    assert {s: steps.count(s) for s in once} == dict.fromkeys(once, 1), told
    assert "made" in steps, told
    assert ("switched" in steps) == (ends == "done"), told
    assert AuditTrail(world.tables, world.clock).verify().fault is None


@dataclass
class Late(QuietTap):
    """A process that is held up before its first call of `method`, while `meanwhile` happens."""

    method: str
    meanwhile: Callable[[], None]
    is_over: bool = False

    def meet(self, when: str, call: Call) -> None:
        """See `QuietTap.meet`."""
        if not self.is_over and (when, call.method) == ("before", self.method):
            self.is_over = True
            self.meanwhile()


@pytest.mark.parametrize("method", ["tokens", "create", "write", "works", "tag", "renew_lease"])
def test_a_process_that_was_held_up_undoes_nothing(world: World, method: str) -> None:
    def another() -> None:
        world.clock.sleep(10 * FIVE_MINUTES)
        before = world.app
        world.process()
        _let_it_end(world, "workspace")
        assert _step(world, "workspace") == "done"
        world.app = before

    world.process(Late(method, another))
    with suppress(LeaseLost):
        _rotate(world, "workspace")
    world.process()
    assert _works(world, "workspace")
    assert _step(world, "workspace") == "done"
    world.app.credentials.watch.look()
    assert _works(world, "workspace")
    assert list(world.databricks_tokens.issued) == [_reads(world, "workspace")]
    assert world.vault.read(DATABRICKS).value == _reads(world, "workspace"), "for those who read the newest, too"


class Faulty(QuietTap):
    """The `at`-th call to vault or issuer fails once, before its effect or after it."""

    def __init__(self, at: int, when: str) -> None:
        self._at, self._when, self.calls = at, when, 0

    def meet(self, when: str, call: Call) -> None:
        """See `QuietTap.meet`."""
        if call.port not in ("vault", "databricks_tokens") or call.method == "id_of":
            return
        self.calls += when == "before"
        if (self.calls, when) == (self._at, self._when):
            self._at = -1
            error = VaultUnavailable(name="x", detail="HTTP 503")
            raise error if call.port == "vault" else IssuerUnavailable(name="x", action="y", detail="HTTP 503")


@pytest.mark.parametrize("when", ["before", "after"])
def test_each_call_to_vault_and_issuer_may_fail_once(tmp_path: Path, when: str) -> None:
    counted = Faulty(-1, when)
    world = _world(tmp_path / "count")
    world.process(counted)
    _rotate(world, "workspace")
    _let_it_end(world, "workspace")
    assert counted.calls > 10
    for at in range(1, counted.calls + 1):
        world = _world(tmp_path / f"{at}")
        world.process(Faulty(at, when))
        _rotate(world, "workspace")
        assert _works(world, "workspace")
        _let_it_end(world, "workspace")
        assert _step(world, "workspace") == "done", at
        assert list(world.databricks_tokens.issued) == [_reads(world, "workspace")], at


def test_the_old_token_stays_good_for_those_who_still_hold_it(world: World) -> None:
    reader = VaultToken(world.vault, DATABRICKS, world.clock, 60)
    assert reader() == OLD["workspace"]
    assert _rotate(world, "workspace")["step"] == "switched"
    assert reader() == OLD["workspace"], "it is kept for a minute"
    assert world.databricks_tokens.works(reader())
    world.clock.sleep(61)
    assert reader() not in OLD.values()
    world.app.credentials.rotation.go_on_all()
    assert _step(world, "workspace") == "switched", "the grace is not over"
    world.clock.sleep(FIVE_MINUTES)
    world.app.credentials.rotation.go_on_all()
    assert _step(world, "workspace") == "done"
    assert not world.databricks_tokens.works(OLD["workspace"])
    assert world.databricks_tokens.works(reader())


def test_a_reader_that_is_refused_reads_again_at_once(world: World) -> None:
    reader = VaultToken(world.vault, GIT, world.clock, 60)
    before = reader()
    assert _rotate(world, "repository")["step"] == "done", "a user's token is there once: all is done with it"
    assert reader() == before
    assert reader.refused(before)
    assert world.git_tokens.works(reader())
    assert not reader.refused(reader()), "there is no newer one"


def test_the_new_token_has_its_date_in_the_vault_and_the_old_version_is_read_no_more(world: World) -> None:
    old = world.vault.current(DATABRICKS).version
    _rotate(world, "workspace")
    _let_it_end(world, "workspace")
    new = world.vault.current(DATABRICKS)
    assert new.expires_at is not None
    assert 89 <= (new.expires_at - world.clock.now()).days <= 90
    assert old in world.vault.disabled
    assert new.value not in repr(new)


def test_a_second_request_goes_on_with_the_first(world: World) -> None:
    first, second = _rotate(world, "workspace"), _rotate(world, "workspace")
    assert first["rotation"] == second["rotation"]
    assert len(world.databricks_tokens.issued) == 2


def test_an_issuer_that_is_away_is_asked_again_by_the_timer(world: World) -> None:
    class Away(QuietTap):
        def meet(self, when: str, call: Call) -> None:
            if (call.method, when) == ("create", "after"):
                raise IssuerUnavailable(name="the token", action="make a token", detail="HTTP 503")

    world.process(Away())
    shown = _rotate(world, "workspace")
    assert (shown["step"], "HTTP 503" in shown["error"]) == ("started", True)
    world.process()
    _let_it_end(world, "workspace")
    assert _step(world, "workspace") == "done"
    assert list(world.databricks_tokens.issued) == [_reads(world, "workspace")]


def test_tokens_of_others_are_not_touched(world: World) -> None:
    world.databricks_tokens.add("token-of-a-pipeline", "somebody's", None)
    world.databricks_tokens.add("other-backup", "notebook-backup 0123456789ab 20260101T000000Z-aa", None)
    _rotate(world, "workspace")
    _let_it_end(world, "workspace")
    assert {"token-of-a-pipeline", "other-backup"} < set(world.databricks_tokens.issued)
    assert len(world.databricks_tokens.issued) == 3


def test_a_secret_that_a_person_stores_meanwhile_wins(world: World) -> None:
    _rotate(world, "workspace")
    world.databricks_tokens.add("by-hand", "made by hand", None)
    world.vault.write(DATABRICKS, "by-hand", None, {})
    _let_it_end(world, "workspace")
    assert _reads(world, "workspace") == "by-hand"
    assert list(world.databricks_tokens.issued) == ["by-hand"]


def test_an_old_token_that_cannot_be_told_from_others_is_left_and_named(world: World) -> None:
    world.vault.tag(GIT, world.vault.current(GIT).version, {})
    shown = _rotate(world, "repository")
    assert (shown["step"], "revoke it by hand" in shown["note"]) == ("done", True)
    assert set(world.git_tokens.issued) == {OLD["repository"], _reads(world, "repository")}
    assert _records(world)[-1].result == "partial"


def test_what_cannot_be_rotated_says_why(tmp_path: Path) -> None:
    world = World(tmp_path, databricks_token="a-configured-token")
    rotation = world.app.credentials.rotation
    with pytest.raises(NotRotatable, match="DATABRICKS_TOKEN holds it"):
        rotation.start("workspace", "ada")
    with pytest.raises(NotRotatable, match="renews itself"):
        rotation.start("repository", "ada")
    with pytest.raises(UnknownCredential):
        rotation.start("nobody", "ada")


def test_a_personal_token_needs_its_user(world: World) -> None:
    with pytest.raises(UserTokenNeeded, match="--user-token"):
        world.app.credentials.rotation.start("repository", "ada")
    assert world.app.credentials.rotation.shown("repository") is None


def test_a_refusal_ends_the_rotation_and_changes_nothing(world: World) -> None:
    shown = world.app.credentials.rotation.start("repository", "ada", user_token="token-of-nobody")
    assert (shown["step"], "HTTP 403" in shown["error"]) == ("failed", True)
    assert list(world.git_tokens.issued) == [OLD["repository"]]
    assert _records(world)[-1].result == "failed"


def test_no_record_and_no_row_holds_a_token(world: World) -> None:
    for name in OLD:
        _rotate(world, name)
        _let_it_end(world, name)
    values = [*OLD.values(), USER, *world.git_tokens.issued, *world.databricks_tokens.issued]
    stored = repr(world.tables.stored) + repr(world.blobs.stored)
    assert len(values) == 5
    assert [value for value in values if value in stored] == []
