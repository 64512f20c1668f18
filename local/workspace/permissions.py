"""`/api/2.0/permissions/{directories|notebooks|repos}/{id}`: grants on an object, and those it inherits.

What an object in a Git folder allows is what the Git folder allows: its own grants cannot be set (inferred).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.workspace.model import ApiError, Node, WorkspaceModel

KINDS = {"directories": "DIRECTORY", "notebooks": "NOTEBOOK", "repos": "REPO"}
LEVELS = ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
PRINCIPALS = ("user_name", "group_name", "service_principal_name")
_TYPES = {kind: name for name, kind in KINDS.items()}
type Json = dict[str, Any]


class Permissions:
    """Reads and sets grants. GET shows all, PUT replaces an object's own, PATCH adds to them."""

    def __init__(self, model: WorkspaceModel, user: str) -> None:
        self._model, self._user = model, user

    def call(self, method: str, kind: str, number: int, values: Mapping[str, Any]) -> Json:
        """One call. Raises `ApiError`."""
        node = self._model.by_id(number)
        if node is None or node.kind != KINDS[kind]:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"There is no {kind} object {number}.")
        if method in ("PUT", "PATCH"):
            given = [_grant(row) for row in values.get("access_control_list", [])]
            if _git_folder_above(node):
                raise ApiError(400, "INVALID_PARAMETER_VALUE", "Permissions are those of the Git folder.")
            fields = {"path": node.path, "grants": given, "replace": method == "PUT"}
            self._model.apply("grant", self._user, **fields)
        return _shown(node, kind)


def _git_folder_above(node: Node) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.kind == "REPO":
            return True
        parent = parent.parent
    return False


def _grant(row: Mapping[str, Any]) -> list[str]:
    names = [name for name in PRINCIPALS if row.get(name)]
    if len(names) != 1 or row.get("permission_level") not in LEVELS:
        raise ApiError(400, "INVALID_PARAMETER_VALUE", "A grant needs one principal and a permission level.")
    return [names[0], str(row[names[0]]), str(row["permission_level"])]


def _shown(node: Node, kind: str) -> Json:
    rows: dict[tuple[str, str], Json] = {}
    above: Node | None = node
    while above is not None:
        for (principal, name), level in above.grants.items():
            row = rows.setdefault((principal, name), {principal: name, "all_permissions": []})
            found: Json = {"permission_level": level, "inherited": above is not node}
            if above is not node:
                found["inherited_from_object"] = [f"/{_TYPES.get(above.kind, 'directories')}/{above.object_id}"]
            row["all_permissions"].append(found)
        above = above.parent
    admins = rows.setdefault(("group_name", "admins"), {"group_name": "admins", "all_permissions": []})
    admins["all_permissions"].append(
        {"permission_level": "CAN_MANAGE", "inherited": True, "inherited_from_object": ["/directories/"]}
    )
    kinds = {"directories": "directory", "notebooks": "notebook", "repos": "repo"}
    acl = [*rows.values()]
    return {"object_id": f"/{kind}/{node.object_id}", "object_type": kinds[kind], "access_control_list": acl}
