"""Capacity over HTTP, and the dashboard: a page that an administrator keeps open."""

from __future__ import annotations

import azure.functions as func

from functions.answers import answer, guarded
from functions.dashboard_views import view
from functions.page_views import page
from functions.pages import paged
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]


@blueprint.route("capacity", methods=["GET"])
@guarded
def get_capacity(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/capacity`: the repository's size, growth and forecast, what Git saves, and the archive plan."""
    return answer(services().capacity.overview())


@blueprint.route("dashboard", methods=["GET"])
@paged
def page_dashboard(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/dashboard?refresh=off`: how the backup stands; the page looks again by itself."""
    refreshing = req.params.get("refresh") != "off"
    return page(req, "dashboard.html", **view(services().dashboard.read(), refreshing=refreshing))
