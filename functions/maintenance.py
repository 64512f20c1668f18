"""Verification and rebuild: a daily timer, a queue, and HTTP."""

from __future__ import annotations

import logging

import azure.functions as func

from functions.answers import answer, guarded
from functions.requests import findings_page, origin_of, who_asks
from functions.tracing import traced
from shared.domain.messages import MalformedMessage, read_message
from shared.errors import BackupError
from shared.services.state.maintenance import MAINTENANCE_QUEUE, Kind
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]
_log = logging.getLogger("backup.maintenance")


@blueprint.timer_trigger("timer", schedule="%BACKUP_VERIFY_SCHEDULE%", use_monitor=True)
def daily_verification(timer: func.TimerRequest) -> None:
    """Have the backup prove its contents."""
    services().maintenance.start(Kind.VERIFY, "timer")


@blueprint.queue_trigger("message", MAINTENANCE_QUEUE, connection="AzureWebJobsStorage")
def maintenance_step(message: func.QueueMessage) -> None:
    """One verification, or one step of a rebuild."""
    kind, identity = _read(message)
    with traced(f"{kind.value}_step", identity):
        try:
            if kind is Kind.VERIFY:
                services().verify.verify(identity)
                _keep_history(identity)
                _measure()
            else:
                services().rebuild.rebuild(identity)
        except BackupError as error:
            if error.retriable:
                raise
            services().maintenance.stop(kind, identity, str(error))
            _log.error("%s %s stopped: %s", kind.value, identity, error, extra={"action": kind.value})
        _tell(kind, identity)


def _tell(kind: Kind, identity: str) -> None:
    if kind is Kind.VERIFY:
        services().telling.endings.verification_ended(identity)


def _keep_history(identity: str) -> None:
    """Find late authors, and keep a copy of the history's index; what fails waits for the next verification."""
    try:
        services().attribution.catch_up(identity)
        services().history.publish()
    except BackupError as error:
        _log.warning(
            "late authors, or a copy of the history, must wait: %s", error, extra={"action": "history.publish"}
        )


def _measure() -> None:
    """Enter the repository's size for the day; a server that does not say it leaves the day without one."""
    try:
        found = services().capacity.measure()
        if found:
            services().telling.size_measured(found)
    except Exception as error:  # noqa: BLE001 - what was verified stays verified, and tomorrow is another measurement
        told = str(error) if isinstance(error, BackupError) else type(error).__name__
        _log.warning("the repository was not measured: %s", told, extra={"action": "capacity"})


@blueprint.queue_trigger("message", f"{MAINTENANCE_QUEUE}-poison", connection="AzureWebJobsStorage")
def maintenance_poison(message: func.QueueMessage) -> None:
    """End a verification or rebuild that failed at every delivery."""
    try:
        kind, identity = _read(message)
    except MalformedMessage as error:
        _log.error("a message was dropped: %s", error, extra={"action": "message.drop"})
        return
    services().maintenance.stop(kind, identity, "it failed at every delivery: run `./backup doctor`, then start again")
    _tell(kind, identity)


@blueprint.route("verifications", methods=["GET"])
@guarded
def list_verifications(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/verifications`: the newest first."""
    return answer({"verifications": services().maintenance.recent(Kind.VERIFY)})


@blueprint.route("verifications", methods=["POST"])
@guarded
def start_verification(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/verifications`: prove the backup's contents now."""
    return _started(req, Kind.VERIFY, "verifications")


@blueprint.route("verifications/{id}", methods=["GET"])
@guarded
def get_verification(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/verifications/{id}?limit=&offset=`: what one found."""
    return answer(findings_page(req, lambda: services().maintenance.get(Kind.VERIFY, req.route_params["id"])))


@blueprint.route("rebuilds", methods=["POST"])
@guarded
def start_rebuild(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/rebuilds`: make manifest and checkpoint again from Git and a listing."""
    return _started(req, Kind.REBUILD, "rebuilds")


@blueprint.route("rebuilds/{id}", methods=["GET"])
@guarded
def get_rebuild(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/rebuilds/{id}?limit=&offset=`: how one stands."""
    return answer(findings_page(req, lambda: services().maintenance.get(Kind.REBUILD, req.route_params["id"])))


def _started(req: func.HttpRequest, kind: Kind, route: str) -> func.HttpResponse:
    identity = services().maintenance.start(kind, "http", who_asks(req), origin_of(req))
    headers = {"Location": f"/api/{route}/{identity}"}
    return answer({"id": identity, "status": "queued"}, status=202, headers=headers)


def _read(message: func.QueueMessage) -> tuple[Kind, str]:
    kind, identity = read_message(message.get_body(), "kind", "id")
    if kind not in Kind:
        raise MalformedMessage(f"there is no maintenance called {kind}")
    return Kind(kind), identity
