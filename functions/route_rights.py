"""What each HTTP function needs, its pace, and what it tells of notebooks.

A function without a row here is closed to everybody. A test holds every registered route to a row, and every row to
a route.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.access import Pace, Right


class Tells(StrEnum):
    """What a route tells of notebooks, for people who may see some folders alone.

    `NOTHING` of any. `NOTEBOOK`: of those that its parameters name, which have to be inside. `FOLDER`: of those below
    the parameter `folder`, which has to be given and inside. `INSIDE`: the function itself shows what is inside alone.
    `ALL`: of all; it is refused to them.
    """

    NOTHING = "nothing"
    NOTEBOOK = "notebook"
    FOLDER = "folder"
    INSIDE = "inside"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class RouteRule:
    """The right that a route needs, how often it may be asked for, and what it tells of notebooks."""

    right: Right
    pace: Pace
    tells: Tells = Tells.NOTHING


ROUTES: Mapping[str, RouteRule] = {
    "get_health": RouteRule(Right.PUBLIC, Pace.READ),
    "get_openapi": RouteRule(Right.PUBLIC, Pace.READ),
    "get_status": RouteRule(Right.READ, Pace.READ, Tells.ALL),
    "list_runs": RouteRule(Right.READ, Pace.READ, Tells.ALL),
    "get_run": RouteRule(Right.READ, Pace.READ, Tells.ALL),
    "start_run": RouteRule(Right.OPERATE, Pace.CHANGE),
    "get_doctor": RouteRule(Right.OPERATE, Pace.COSTLY),
    "list_poison": RouteRule(Right.OPERATE, Pace.READ, Tells.ALL),
    "requeue_poison": RouteRule(Right.OPERATE, Pace.CHANGE),
    "drop_poison": RouteRule(Right.OPERATE, Pace.CHANGE),
    "list_credentials": RouteRule(Right.OPERATE, Pace.READ),
    "check_credentials": RouteRule(Right.OPERATE, Pace.CHANGE),
    "rotate_credential": RouteRule(Right.OPERATE, Pace.CHANGE),
    "list_git_folders": RouteRule(Right.OPERATE, Pace.READ, Tells.ALL),
    "start_git_folder_operation": RouteRule(Right.OPERATE, Pace.CHANGE, Tells.ALL),
    "get_git_folder_operation": RouteRule(Right.OPERATE, Pace.READ, Tells.ALL),
    "list_verifications": RouteRule(Right.READ, Pace.READ, Tells.ALL),
    "get_verification": RouteRule(Right.READ, Pace.READ, Tells.ALL),
    "start_verification": RouteRule(Right.OPERATE, Pace.CHANGE),
    "start_rebuild": RouteRule(Right.OPERATE, Pace.CHANGE),
    "get_rebuild": RouteRule(Right.OPERATE, Pace.READ),
    "get_capacity": RouteRule(Right.READ, Pace.READ, Tells.ALL),
    "page_dashboard": RouteRule(Right.READ, Pace.READ, Tells.ALL),
    "find_notebooks": RouteRule(Right.READ, Pace.COSTLY, Tells.INSIDE),
    "get_tree": RouteRule(Right.READ, Pace.READ, Tells.INSIDE),
    "get_versions": RouteRule(Right.READ, Pace.READ, Tells.NOTEBOOK),
    "get_content": RouteRule(Right.READ, Pace.COSTLY, Tells.NOTEBOOK),
    "get_diff": RouteRule(Right.READ, Pace.COSTLY, Tells.NOTEBOOK),
    "list_tags": RouteRule(Right.READ, Pace.READ),
    "create_tag": RouteRule(Right.OPERATE, Pace.CHANGE),
    "get_change_report": RouteRule(Right.READ, Pace.COSTLY, Tells.FOLDER),
    "page_browse": RouteRule(Right.READ, Pace.COSTLY, Tells.INSIDE),
    "page_history": RouteRule(Right.READ, Pace.READ, Tells.NOTEBOOK),
    "page_preview": RouteRule(Right.READ, Pace.COSTLY, Tells.NOTEBOOK),
    "page_compare": RouteRule(Right.READ, Pace.COSTLY, Tells.NOTEBOOK),
    "start_restore": RouteRule(Right.RESTORE, Pace.CHANGE, Tells.INSIDE),
    "undo_restore": RouteRule(Right.RESTORE, Pace.CHANGE, Tells.INSIDE),
    "list_restores": RouteRule(Right.RESTORE, Pace.READ, Tells.INSIDE),
    "get_restore": RouteRule(Right.RESTORE, Pace.READ, Tells.INSIDE),
    "page_restore": RouteRule(Right.RESTORE, Pace.COSTLY, Tells.INSIDE),
    "page_restore_now": RouteRule(Right.RESTORE, Pace.CHANGE, Tells.INSIDE),
    "page_result": RouteRule(Right.RESTORE, Pace.READ, Tells.INSIDE),
    "page_undo": RouteRule(Right.RESTORE, Pace.CHANGE, Tells.INSIDE),
    "get_listing": RouteRule(Right.READ, Pace.COSTLY, Tells.ALL),
    "get_parity": RouteRule(Right.READ, Pace.COSTLY, Tells.ALL),
    "get_parity_day": RouteRule(Right.READ, Pace.READ, Tells.ALL),
    "keep_parity": RouteRule(Right.OPERATE, Pace.CHANGE, Tells.ALL),
    "keep_import": RouteRule(Right.OPERATE, Pace.CHANGE),
    "get_audit": RouteRule(Right.AUDIT, Pace.COSTLY),
    "get_audit_verify": RouteRule(Right.AUDIT, Pace.COSTLY),
}
PAGES = frozenset({"page_restore_now", "page_undo"})
"""Routes that take a form of our own pages, with its token."""
NOTEBOOK_PARAMETERS = ("path", "from_path")
