"""The deployments that the tests look at: as it comes, and with everything that can be switched on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRIVATE: Mapping[str, Any] = {
    "plan": "elasticPremium",
    "privateNetworking": True,
    "privateInbound": True,
    "communicationServices": True,
    "rotateSecrets": True,
    "operatorPrincipalId": "00000000-0000-0000-0000-0000000000bb",
    "authClientId": "00000000-0000-0000-0000-0000000000cc",
    "databricksWarehouseId": "abc123",
    "mailTo": "ops@example.com",
}
FLEX_PRIVATE: Mapping[str, Any] = {**PRIVATE, "plan": "flexConsumption", "alwaysReadyInstances": 1}
SMTP: Mapping[str, Any] = {"mailTo": "ops@example.com", "mailFrom": "backup@example.com"}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "as it comes": {},
    "everything, on Elastic Premium": PRIVATE,
    "everything, on Flex Consumption": FLEX_PRIVATE,
    "mail by a server": SMTP,
}
