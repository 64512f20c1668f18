"""A measurement of costs on a whole small system, held to what other witnesses counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from bench.cost_phase import Meters, Phase
from bench.costs import DAILY, SETTINGS
from bench.stored import stored_in
from local.ingestion import Envelope, EnvelopeCount, Ingestion
from local.lab import Lab
from local.system import REPOSITORY, LocalSystem, SystemOptions

NOTEBOOKS = 200
pytestmark = pytest.mark.xdist_group("costs")
QUIET_SECONDS = 12.0
"""Much longer than the five seconds in which log records leave."""
QUEUE_FUNCTIONS = {"plan_run", "export_batch", "send_mail"}


@dataclass(frozen=True)
class _Run:
    lab: Lab
    phase: Phase
    envelopes: list[Envelope]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Run]:
    """A first run, measured."""
    folder, telemetry = tmp_path_factory.mktemp("costs"), EnvelopeCount()
    envelopes: list[Envelope] = []

    def take(envelope: Envelope) -> None:
        envelopes.append(envelope)
        telemetry.take(envelope)

    with Ingestion(take) as insights:
        settings = {**SETTINGS, "APPLICATIONINSIGHTS_CONNECTION_STRING": insights.connection_string}
        options = SystemOptions(folder, 0, notebooks=NOTEBOOKS, plain=True, metered=True, settings=settings)
        with LocalSystem(options) as system:
            lab = Lab(system, folder)
            envelopes.clear()
            phase = Meters(lab, telemetry).measure("first run", DAILY[:1], QUIET_SECONDS)
            yield _Run(lab, phase, list(envelopes))


def test_the_run_that_was_measured_is_whole(run: _Run) -> None:
    found = run.lab.client.call("GET", "runs")["runs"]
    assert [(r["status"], r["notebooks"]) for r in found] == [("succeeded", NOTEBOOKS)]


def test_every_blob_that_lies_there_was_written(run: _Run) -> None:
    with BlobServiceClient.from_connection_string(run.lab.system.settings["AzureWebJobsStorage"]) as service:
        blobs = list(service.get_container_client("backup").list_blobs())
    batches = [b for b in blobs if b.name.startswith("batches/")]
    assert len(batches) == run.phase.executions["export_batch"] > 0
    assert run.phase.storage["blob"]["write"] >= len(blobs)
    assert sum(stored_in(run.lab.system).blobs.values()) == sum(b.size for b in blobs) > 0


def test_each_message_was_put_on_its_queue_and_taken_off(run: _Run) -> None:
    handled = sum(n for name, n in run.phase.executions.items() if name in QUEUE_FUNCTIONS)
    assert run.phase.executions.keys() & QUEUE_FUNCTIONS == QUEUE_FUNCTIONS
    assert run.phase.storage["queue"]["class 1"] - _put_by_nobody(run) == 2 * handled
    assert run.phase.storage["queue"]["receive"] > 0


def _put_by_nobody(run: _Run) -> int:
    """The queues that were made anew, as the log itself says: a client makes one before it sends."""
    lines = run.lab.system.storage_log.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if "/messages?" in line)
    return sum(1 for line in lines[first:] if '"PUT /backup/backup-' in line and "?" not in line)


def test_log_lines_and_figures_are_counted_as_they_came(run: _Run) -> None:
    kinds = [str(e["data"]["baseType"]) for e in run.envelopes]
    messages = [e["data"]["baseData"]["message"] for e in run.envelopes if e["data"]["baseType"] == "MessageData"]
    assert any("starts" in m for m in messages)
    assert any("ended: succeeded" in m for m in messages)
    assert run.phase.telemetry_items == {kind: kinds.count(kind) for kind in set(kinds)}
    assert run.phase.telemetry_bytes["MessageData"] > sum(len(m) for m in messages)


def test_git_got_the_pack_that_it_holds(run: _Run) -> None:
    packs: list[Path] = list((run.lab.system.options.data / "git" / REPOSITORY).rglob("*.pack"))
    assert run.phase.git_bytes["received"] >= sum(p.stat().st_size for p in packs) > 0


def test_tokens_came_out_of_the_vault_and_notebooks_out_of_the_workspace(run: _Run) -> None:
    assert run.phase.vault_operations >= 2
    assert run.phase.workspace_calls["workspace/list"] >= 1
    assert run.phase.workspace_calls["workspace/export"] >= run.phase.executions["export_batch"]


def test_charged_seconds_are_no_more_than_the_run_took_for_each_group(run: _Run) -> None:
    groups = run.phase.active_seconds
    assert groups.keys() >= {"daily_backup", "plan_run", "export_batch", "durable"}
    assert all(1 <= seconds <= run.phase.seconds + 1 for seconds in groups.values())
    assert run.phase.peak_mb > 50
