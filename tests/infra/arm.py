"""A deployment as the plain resources that its verified modules would make, for checkov, which knows no modules.

Which parameter becomes which property is as in each module's `main.bicep`. A skipped check is a comment in the module's
block, with its reason: `// checkov:skip=CKV_AZURE_1: because`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.infra.bicep import INFRA, Asked, Deployment

_SKIP = re.compile(r"// checkov:skip=(\w+): (\S.*)")


def template(deployment: Deployment) -> dict[str, Any]:
    """An ARM template of everything that checkov may have something to say about."""
    resources = [r for asked in deployment.asked if asked.kind in _MAKERS for r in _resources(asked)]
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": resources,
    }


def skips(file: str, symbol: str) -> dict[str, str]:
    """The checks that a module's block skips, with the reasons."""
    text = (INFRA / "app" / file).read_text()
    block = re.search(rf"^(?:module|resource) {symbol} .*?^\}}", text, re.DOTALL | re.MULTILINE)
    assert block, f"no {symbol} in {file}"
    return dict(_SKIP.findall(block[0]))


def _resources(asked: Asked) -> list[dict[str, Any]]:
    made = _MAKERS[asked.kind](asked.given)
    reasons = [{"id": name, "comment": why} for name, why in skips(asked.file, asked.symbol).items()]
    for resource in made:
        resource["metadata"] = {"checkov": reasons}
        resource.setdefault("location", "westeurope")
    return made


def _storage(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    blobs = given["blobServices"]
    account = {
        "type": "Microsoft.Storage/storageAccounts",
        "apiVersion": "2024-01-01",
        "name": given["name"],
        "kind": given["kind"],
        "sku": {"name": given["skuName"]},
        "properties": {
            "allowBlobPublicAccess": given["allowBlobPublicAccess"],
            "allowSharedKeyAccess": given["allowSharedKeyAccess"],
            "allowCrossTenantReplication": given["allowCrossTenantReplication"],
            "minimumTlsVersion": given["minimumTlsVersion"],
            "supportsHttpsTrafficOnly": given["supportsHttpsTrafficOnly"],
            "isLocalUserEnabled": given.get("isLocalUserEnabled", False),
            "publicNetworkAccess": given["publicNetworkAccess"],
            "networkAcls": given["networkAcls"],
            "encryption": {"requireInfrastructureEncryption": given["requireInfrastructureEncryption"]},
        },
    }
    service = {
        "type": "Microsoft.Storage/storageAccounts/blobServices",
        "apiVersion": "2024-01-01",
        "name": f"{given['name']}/default",
        "properties": {
            "deleteRetentionPolicy": {
                "enabled": blobs["deleteRetentionPolicyEnabled"],
                "days": blobs["deleteRetentionPolicyDays"],
            }
        },
    }
    containers = [
        {
            "type": "Microsoft.Storage/storageAccounts/blobServices/containers",
            "apiVersion": "2024-01-01",
            "name": f"{given['name']}/default/{container['name']}",
            "properties": {"publicAccess": container["publicAccess"]},
        }
        for container in blobs["containers"]
    ]
    return [account, service, *containers]


def _vault(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    properties = {
        "enableRbacAuthorization": given["enableRbacAuthorization"],
        "enablePurgeProtection": given["enablePurgeProtection"],
        "enableSoftDelete": given["enableSoftDelete"],
        "softDeleteRetentionInDays": given["softDeleteRetentionInDays"],
        "publicNetworkAccess": given["publicNetworkAccess"],
        "networkAcls": given["networkAcls"],
    }
    kind = "Microsoft.KeyVault/vaults"
    return [{"type": kind, "apiVersion": "2024-11-01", "name": given["name"], "properties": properties}]


def _site(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Without its `configs`: checkov takes each of them for `web`, and knows authentication in its first version."""
    site = {
        "type": "Microsoft.Web/sites",
        "apiVersion": "2024-04-01",
        "name": given["name"],
        "kind": given["kind"],
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {"one": {}}},
        "properties": {
            "httpsOnly": given["httpsOnly"],
            "publicNetworkAccess": given["publicNetworkAccess"],
            "siteConfig": dict(given["siteConfig"]),
            "clientCertEnabled": given.get("clientCertEnabled", False),
        },
    }
    return [site]


def _plan(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    plan = {
        "type": "Microsoft.Web/serverfarms",
        "apiVersion": "2024-04-01",
        "name": given["name"],
        "kind": given["kind"],
        "sku": {"name": given["skuName"], "capacity": given["skuCapacity"]},
        "properties": {"zoneRedundant": given["zoneRedundant"], "reserved": given["reserved"]},
    }
    return [plan]


def _security_group(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    properties = {"securityRules": given["securityRules"]}
    kind = "Microsoft.Network/networkSecurityGroups"
    return [{"type": kind, "apiVersion": "2024-05-01", "name": given["name"], "properties": properties}]


def _network(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    subnets = [
        {
            "name": subnet["name"],
            "properties": {
                "addressPrefix": subnet["addressPrefix"],
                "networkSecurityGroup": {"id": subnet["networkSecurityGroupResourceId"]},
            },
        }
        for subnet in given["subnets"]
    ]
    network = {
        "type": "Microsoft.Network/virtualNetworks",
        "apiVersion": "2024-05-01",
        "name": given["name"],
        "properties": {"addressSpace": {"addressPrefixes": given["addressPrefixes"]}, "subnets": subnets},
    }
    return [network]


_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], list[dict[str, Any]]]] = {
    "avm/res/storage/storage-account": _storage,
    "avm/res/key-vault/vault": _vault,
    "avm/res/web/site": _site,
    "avm/res/web/serverfarm": _plan,
    "avm/res/network/network-security-group": _security_group,
    "avm/res/network/virtual-network": _network,
}
