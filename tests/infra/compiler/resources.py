"""What is known of the resource types that the templates name without a verified module.

As https://learn.microsoft.com/azure/templates has them: what a declaration may and must hold beside `name`, and where
it can be deployed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from tests.infra.compiler.shapes import ANY, OBJECT, STRING, Shape

_REFERENCE: Final = re.compile(r"[A-Z]\w*(?:\.\w+)+(?:/\w+)+@(\d{4})-(\d{2})-(\d{2})(?:-preview)?")
COMMON: Final = {"name", "scope", "parent", "dependsOn"}
"""What any resource may have."""
READ: Final = {"id", "name", "type", "apiVersion"}
"""What is known of a resource before it is made."""
EXTENSIONS: Final = {"Microsoft.Authorization/roleAssignments", "Microsoft.Authorization/locks"}
"""Resources that lie on another one, their `scope`."""
AT_SUBSCRIPTION: Final = {"Microsoft.Resources/resourceGroups", *EXTENSIONS}
AT_GROUP_NEVER: Final = {"Microsoft.Resources/resourceGroups"}

SHAPES: Final[Mapping[str, Shape]] = {
    "Microsoft.Resources/resourceGroups": Shape(
        "object",
        properties={"location": STRING, "tags": OBJECT, "managedBy": STRING, "properties": OBJECT},
        required=frozenset({"location"}),
    ),
    "Microsoft.Authorization/roleAssignments": Shape(
        "object",
        properties={
            "properties": Shape(
                "object",
                properties={
                    "roleDefinitionId": STRING,
                    "principalId": STRING,
                    "principalType": Shape("string", ("Device", "ForeignGroup", "Group", "ServicePrincipal", "User")),
                    "description": STRING,
                    "condition": STRING,
                    "conditionVersion": STRING,
                    "delegatedManagedIdentityResourceId": STRING,
                },
                required=frozenset({"roleDefinitionId", "principalId"}),
            )
        },
        required=frozenset({"properties"}),
    ),
    "Microsoft.Insights/workbooks": Shape(
        "object",
        properties={
            "location": STRING,
            "tags": OBJECT,
            "identity": ANY,
            "kind": Shape("string", ("shared",)),
            "properties": Shape(
                "object",
                properties={
                    "displayName": STRING,
                    "category": STRING,
                    "serializedData": STRING,
                    "sourceId": STRING,
                    "version": STRING,
                    "description": STRING,
                    "tags": ANY,
                    "storageUri": STRING,
                },
                required=frozenset({"displayName", "category", "serializedData"}),
            ),
        },
        required=frozenset({"location"}),
    ),
}


def is_reference(text: str) -> bool:
    """Whether it is a type with an API version, whose date is one."""
    found = _REFERENCE.fullmatch(text)
    if not found:
        return False
    try:
        date(*map(int, found.groups()))
    except ValueError:
        return False
    return True
