"""Bicep's functions and decorators: how many arguments, of which types, and what comes back.

As https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions and
`.../bicep/parameters#decorators` list them. A last type counts for all further arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.infra.compiler.shapes import ANY, ARRAY, BOOL, INT, OBJECT, STRING, Shape

_MANY: Final = 1_000
_TEXTS: Final = Shape("array", item=STRING)
_EITHER: Final = Shape("union", options=(STRING, ARRAY))
_SIZED: Final = Shape("union", options=(STRING, ARRAY, OBJECT))


@dataclass(frozen=True, slots=True)
class Function:
    """`least` to `most` arguments."""

    space: str
    least: int
    most: int
    takes: tuple[Shape, ...]
    gives: Shape


def _sys(least: int, most: int, gives: Shape, *takes: Shape) -> Function:
    return Function("sys", least, most, takes, gives)


def _az(least: int, most: int, gives: Shape, *takes: Shape) -> Function:
    return Function("az", least, most, takes, gives)


def _having(*names: str, **inner: Shape) -> Shape:
    return Shape("object", properties={**dict.fromkeys(names, STRING), **inner})


_ENVIRONMENT: Final = _having(
    *("name", "activeDirectoryDataLake", "batch", "gallery", "graph", "graphAudience", "media", "portal"),
    *("resourceManager", "sqlManagement", "vmImageAliasDoc"),
    authentication=_having("loginEndpoint", "tenant", "identityProvider", audiences=_TEXTS),
    suffixes=_having(
        *("acrLoginServer", "azureDatalakeAnalyticsCatalogAndJob", "azureDatalakeStoreFileSystem"),
        *("azureFrontDoorEndpointSuffix", "keyvaultDns", "sqlServerHostname", "storage"),
    ),
)
_GROUP: Final = _having("id", "name", "type", "location", "managedBy", tags=OBJECT, properties=OBJECT)
_SUBSCRIPTION: Final = _having("id", "subscriptionId", "tenantId", "displayName")
_TENANT: Final = _having("tenantId", "countryCode", "displayName")

FUNCTIONS: Final[Mapping[str, Function]] = {
    "any": _sys(1, 1, ANY, ANY),
    "array": _sys(1, 1, ARRAY, ANY),
    "base64": _sys(1, 1, STRING, STRING),
    "base64ToJson": _sys(1, 1, ANY, STRING),
    "base64ToString": _sys(1, 1, STRING, STRING),
    "bool": _sys(1, 1, BOOL, ANY),
    "cidrHost": _sys(2, 2, STRING, STRING, INT),
    "cidrSubnet": _sys(3, 3, STRING, STRING, INT, INT),
    "concat": _sys(1, _MANY, ANY, Shape("union", options=(STRING, ARRAY, INT, BOOL))),
    "contains": _sys(2, 2, BOOL, _SIZED, ANY),
    "dataUri": _sys(1, 1, STRING, ANY),
    "dataUriToString": _sys(1, 1, STRING, STRING),
    "dateTimeAdd": _sys(2, 3, STRING, STRING, STRING, STRING),
    "dateTimeFromEpoch": _sys(1, 1, STRING, INT),
    "dateTimeToEpoch": _sys(1, 1, INT, STRING),
    "empty": _sys(1, 1, BOOL, Shape("union", options=(STRING, ARRAY, OBJECT, Shape("null")))),
    "endsWith": _sys(2, 2, BOOL, STRING, STRING),
    "fail": _sys(1, 1, ANY, STRING),
    "first": _sys(1, 1, ANY, _EITHER),
    "flatten": _sys(1, 1, ARRAY, ARRAY),
    "format": _sys(2, _MANY, STRING, STRING, ANY),
    "guid": _sys(1, _MANY, STRING, STRING),
    "indexOf": _sys(2, 2, INT, _EITHER, ANY),
    "int": _sys(1, 1, INT, Shape("union", options=(STRING, INT))),
    "intersection": _sys(2, _MANY, ANY, Shape("union", options=(ARRAY, OBJECT))),
    "items": _sys(1, 1, ARRAY, OBJECT),
    "join": _sys(2, 2, STRING, ARRAY, STRING),
    "json": _sys(1, 1, ANY, STRING),
    "last": _sys(1, 1, ANY, _EITHER),
    "lastIndexOf": _sys(2, 2, INT, _EITHER, ANY),
    "length": _sys(1, 1, INT, _SIZED),
    "loadDirectoryFileInfo": _sys(1, 2, ARRAY, STRING, STRING),
    "loadFileAsBase64": _sys(1, 1, STRING, STRING),
    "loadJsonContent": _sys(1, 3, ANY, STRING),
    "loadTextContent": _sys(1, 2, STRING, STRING),
    "loadYamlContent": _sys(1, 3, ANY, STRING),
    "max": _sys(1, _MANY, INT, ANY),
    "min": _sys(1, _MANY, INT, ANY),
    "newGuid": _sys(0, 0, STRING),
    "objectKeys": _sys(1, 1, _TEXTS, OBJECT),
    "padLeft": _sys(2, 3, STRING, ANY, INT, STRING),
    "parseCidr": _sys(1, 1, OBJECT, STRING),
    "range": _sys(2, 2, Shape("array", item=INT), INT, INT),
    "replace": _sys(3, 3, STRING, STRING, STRING, STRING),
    "shallowMerge": _sys(1, 1, OBJECT, ARRAY),
    "skip": _sys(2, 2, ANY, _EITHER, INT),
    "split": _sys(2, 2, _TEXTS, STRING, Shape("union", options=(STRING, _TEXTS))),
    "startsWith": _sys(2, 2, BOOL, STRING, STRING),
    "string": _sys(1, 1, STRING, ANY),
    "substring": _sys(2, 3, STRING, STRING, INT, INT),
    "take": _sys(2, 2, ANY, _EITHER, INT),
    "toLower": _sys(1, 1, STRING, STRING),
    "toUpper": _sys(1, 1, STRING, STRING),
    "trim": _sys(1, 1, STRING, STRING),
    "union": _sys(2, _MANY, ANY, Shape("union", options=(ARRAY, OBJECT))),
    "uniqueString": _sys(1, _MANY, Shape("string", least=13, most=13), STRING),
    "uri": _sys(2, 2, STRING, STRING, STRING),
    "uriComponent": _sys(1, 1, STRING, STRING),
    "uriComponentToString": _sys(1, 1, STRING, STRING),
    "utcNow": _sys(0, 1, STRING, STRING),
    "deployer": _az(0, 0, _having("objectId", "tenantId", "userPrincipalName")),
    "deployment": _az(0, 0, OBJECT),
    "environment": _az(0, 0, _ENVIRONMENT),
    "extensionResourceId": _az(3, _MANY, STRING, STRING),
    "managementGroup": _az(0, 1, OBJECT, STRING),
    "managementGroupResourceId": _az(2, _MANY, STRING, STRING),
    "pickZones": _az(3, 5, _TEXTS, STRING, STRING, STRING, INT, INT),
    "providers": _az(1, 2, OBJECT, STRING),
    "reference": _az(1, 3, ANY, STRING),
    "resourceGroup": _az(0, 2, _GROUP, STRING),
    "resourceId": _az(2, _MANY, STRING, STRING),
    "subscription": _az(0, 1, _SUBSCRIPTION, STRING),
    "subscriptionResourceId": _az(2, _MANY, STRING, STRING),
    "tenant": _az(0, 0, _TENANT),
    "tenantResourceId": _az(2, _MANY, STRING, STRING),
}
"""Without those that take a lambda, which the grammar's reader does not know either."""

IN_DEFAULTS_ALONE: Final = {"newGuid", "utcNow"}
LOADING: Final = {"loadTextContent", "loadJsonContent", "loadYamlContent", "loadFileAsBase64"}


@dataclass(frozen=True, slots=True)
class Decorator:
    """Which declarations it stands on, of which types, and what it takes."""

    on: frozenset[str]
    types: frozenset[str]
    takes: tuple[Shape, ...]


_TYPED: Final = frozenset({"param", "output"})
_EVERY: Final = frozenset({"param", "output", "var", "resource", "module"})
_ALL: Final = frozenset({"string", "int", "bool", "array", "object"})

DECORATORS: Final[Mapping[str, Decorator]] = {
    "description": Decorator(_EVERY, _ALL, (STRING,)),
    "metadata": Decorator(_TYPED, _ALL, (OBJECT,)),
    "allowed": Decorator(frozenset({"param"}), frozenset({"string", "int", "bool", "array"}), (ARRAY,)),
    "secure": Decorator(_TYPED, frozenset({"string", "object"}), ()),
    "minLength": Decorator(_TYPED, frozenset({"string", "array"}), (INT,)),
    "maxLength": Decorator(_TYPED, frozenset({"string", "array"}), (INT,)),
    "minValue": Decorator(_TYPED, frozenset({"int"}), (INT,)),
    "maxValue": Decorator(_TYPED, frozenset({"int"}), (INT,)),
    "batchSize": Decorator(frozenset({"resource", "module"}), _ALL, (INT,)),
    "export": Decorator(frozenset({"var"}), _ALL, ()),
}
