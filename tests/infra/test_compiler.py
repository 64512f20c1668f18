"""The templates compile, and each kind of mistake that the compiler refuses is found where it is made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep import INFRA
from tests.infra.compiler import compile_folder

AVM: Mapping[str, Any] = json.loads(Path(__file__).with_name("avm.json").read_text())
MAIN, STORAGE, RBAC = "main.bicep", "app/storage.bicep", "app/rbac.bicep"
API, ALERTS, MONITORING = "app/api.bicep", "app/alerts.bicep", "app/monitoring.bicep"
NETWORK, MAIL, JSON = "app/network.bicep", "app/mail.bicep", "main.parameters.json"
_ROLE = "resource backupRotation 'Microsoft.Authorization/roleAssignments@2022-04-01' = "

PLANTED: Mapping[str, tuple[str, str, str, str]] = {
    # What cannot be read.
    "a text that is not closed": (MAIN, "name: 'mail-resources'", "name: 'mail-resources", "BCP018"),
    "a hole that is not closed": (
        MAIN,
        "'https://${api.outputs.hostName}'",
        "'https://${api.outputs.hostName'",
        "BCP018",
    ),
    "a brace too few": (API, "  platform: {\n            enabled: hasSignIn\n          }", "  platform: {", "BCP018"),
    "an equals sign left out": (STORAGE, "var isPrivate = !empty", "var isPrivate !empty", "BCP018"),
    "two properties on one line": (
        MAIL,
        "  domainManagement: 'AzureManaged'\n       ",
        "  domainManagement: 'AzureManaged'",
        "BCP019",
    ),
    "a declaration that is none": (MAIL, "var emailOwner =", "let emailOwner =", "BCP018"),
    "a decorator of nothing": (
        MAIL,
        "output sender string = ",
        "@description('x')\n// output sender string = ",
        "BCP132",
    ),
    "a condition on a variable": (API, "var hasSignIn = !empty", "var hasSignIn = if (isFlex) !empty", "BCP018"),
    # Names.
    "a name that is not there": (MAIN, "retentionDays: logRetentionDays", "retentionDays: logRetention", "BCP057"),
    "a name within a text": (
        MAIN,
        "'${abbrs.keyVaultVaults}${resourceToken}'",
        "'${abbrs.keyVaultVaults}${token}'",
        "BCP057",
    ),
    "a loop's name outside of it": (ALERTS, "groupShortName: 'backup'", "groupShortName: address", "BCP057"),
    "a function that is not there": (ALERTS, "split(emails, ',')", "splitText(emails, ',')", "BCP082"),
    "a function of ARM": (API, "empty(mailTo) ? {} :", "equals(mailTo, '') ? {} :", "BCP082"),
    "a decorator called in a value": (API, "string(heartbeatHours)", "minValue(heartbeatHours)", "BCP109"),
    "a time outside of defaults": (MONITORING, "version: 'Notebook/1.0'", "version: utcNow()", "BCP065"),
    "a parameter twice": (MAIL, "param dataLocation string", "param dataLocation string\nparam tags object", "BCP028"),
    "an output twice": (MAIL, "output sender string", "output endpoint string", "BCP145"),
    "a variable that is the name of a parameter": (
        MAIL,
        "var emailOwner =",
        "var tags = {}\nvar emailOwner =",
        "BCP028",
    ),
    "an unused parameter": (
        MAIL,
        "param dataLocation string",
        "param dataLocation string\nparam spare string",
        "no-unused-params",
    ),
    "an unused variable": (STORAGE, "var isPrivate", "var spare = 1\nvar isPrivate", "no-unused-vars"),
    "an unused resource": (
        RBAC,
        "resource vault ",
        "resource spare 'Microsoft.KeyVault/vaults@2024-11-01' existing = {\n  name: 'a'\n}\n\nresource vault ",
        "no-unused-existing-resources",
    ),
    "a variable of itself": (STORAGE, "isPrivate ? 'Disabled' : 'Enabled'", "publicNetworkAccess", "BCP079"),
    "two modules in a circle": (MAIN, "dataLocation: mailDataLocation", "dataLocation: api.outputs.name", "BCP080"),
    "a default of a variable": (
        MAIN,
        "param backupRoot string = '/Clients'",
        "param backupRoot string = resourceToken",
        "BCP072",
    ),
    "a name of an output": (MAIN, "name: 'vault-resources'", "name: monitoring.outputs.componentName", "BCP120"),
    "a condition of an output": (
        MAIN,
        "= if (communicationServices) {",
        "= if (!empty(vault.outputs.uri)) {",
        "BCP177",
    ),
    "a loop over an output": (ALERTS, "[for rule in rules: {", "[for rule in actionGroup.outputs.name: {", "BCP178"),
    # Types.
    "a number where a text is taken": (STORAGE, "kind: 'StorageV2'", "kind: 2", "BCP036"),
    "a truth as a text": (STORAGE, "allowSharedKeyAccess: false", "allowSharedKeyAccess: 'false'", "BCP036"),
    "a value that is none of those allowed": (STORAGE, "'TLS1_2'", "'TLS1_4'", "BCP036"),
    "any text where few are allowed": (MAIN, "\n    plan: plan", "\n    plan: premiumSku", "BCP036"),
    "a text for a list": (API, "tags: union(tags, { 'azd-service-name': 'api' })", "tags: 'api'", "BCP036"),
    "a property that is misspelt": (STORAGE, "kind: 'StorageV2'", "kind: 'StorageV2'\n    skuNames: skuName", "BCP037"),
    "a property misspelt far within": (API, "convention: 'FixedTime'", "conventions: 'FixedTime'", "BCP037"),
    "a property that is required": (NETWORK, "priority: 100\n", "\n", "BCP035"),
    "a property twice": (STORAGE, "kind: 'StorageV2'", "kind: 'StorageV2'\n    kind: 'StorageV2'", "BCP025"),
    "an operator on texts": (API, "plan == 'flexConsumption'", "plan && 'flexConsumption'", "BCP045"),
    "a comparison that is never true": (API, "plan == 'flexConsumption'", "plan == 'flex'", "BCP045"),
    "a comparison of two types": (API, "(alwaysReadyInstances == 0)", "(alwaysReadyInstances == '0')", "BCP045"),
    "a not of a text": (
        STORAGE,
        "var isPrivate = !empty(endpointSubnetResourceId)",
        "var isPrivate = !endpointSubnetResourceId",
        "BCP044",
    ),
    "a condition that is a text": (
        API,
        "isFlex ? 'functionapp' : 'elastic'",
        "plan ? 'functionapp' : 'elastic'",
        "BCP046",
    ),
    "a condition of a resource that is a text": (
        RBAC,
        f"{_ROLE}if (rotateSecrets)",
        f"{_ROLE}if (vaultName)",
        "BCP046",
    ),
    "a property of a text": (MAIN, "api.outputs.hostName", "api.outputs.hostName.length", "BCP055"),
    "an abbreviation that is not there": (MAIN, "abbrs.keyVaultVaults", "abbrs.keyVaults", "BCP053"),
    "a property that the cloud does not have": (
        NETWORK,
        "environment().suffixes.storage",
        "environment().suffixes.blob",
        "BCP053",
    ),
    "a loop over a text": (ALERTS, "[for rule in rules: {", "[for rule in rulePrefix: {", "BCP137"),
    "a field of a loop's item that is not there": (ALERTS, "severity: rule.severity", "severity: rule.level", "BCP053"),
    "too few arguments": (
        RBAC,
        "subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)",
        "subscriptionResourceId(metricsPublisher)",
        "BCP071",
    ),
    "too many arguments": (ALERTS, "trim(address)", "trim(address, ' ')", "BCP071"),
    "an argument of a wrong type": (ALERTS, "split(emails, ',')", "split(tags, ',')", "BCP070"),
    "a group that a subscription does not have": (MAIN, "tenant().tenantId", "resourceGroup().id", "BCP071"),
    "a file that is not there": (ALERTS, "run-failed.kql", "run-fails.kql", "BCP091"),
    "an output of another type": (MAIL, "output sender string", "output sender int", "BCP033"),
    "a type that is none": (MAIL, "param dataLocation string", "param dataLocation text", "BCP302"),
    "a default of another type": (MAIN, "int = 4\n", "int = '4'\n", "BCP027"),
    "a default that is not allowed": (MAIN, "string = 'EP1'", "string = 'EP9'", "BCP027"),
    "a default above the most": (MAIN, "noSuccessHours int = 26", "noSuccessHours int = 48", "BCP327"),
    "a default below the least": (MAIN, "logRetentionDays int = 90", "logRetentionDays int = 7", "BCP328"),
    "a default too short": (MAIN, "param location string", "param location string = ''", "BCP333"),
    # Modules.
    "a parameter that is not given": (MAIN, "    backupRoot: backupRoot\n", "", "BCP035"),
    "a parameter that the module does not have": (
        MAIN,
        "emails: alertEmails",
        "emails: alertEmails\n    mails: 'x'",
        "BCP037",
    ),
    "a parameter of a wrong type": (MAIN, "heartbeatHours: noSuccessHours", "heartbeatHours: 'noon'", "BCP036"),
    "a verified module without what it needs": (
        MAIL,
        "    dataLocation: dataLocation\n    domains",
        "    domains",
        "BCP035",
    ),
    "no parameters at all": (MAIN, "  params: {\n    prefix", "  parameters: {\n    prefix", "BCP035"),
    "an output that the module does not have": (
        MAIN,
        "storage.outputs.queueEndpoint",
        "storage.outputs.queueUri",
        "BCP053",
    ),
    "an output that a verified module does not have": (
        MAIL,
        "email.outputs.domainResourceIds",
        "email.outputs.domainIds",
        "BCP053",
    ),
    "an output without its module's outputs": (MAIN, "vault.outputs.uri", "vault.uri", "BCP053"),
    "an output of a module that may not be": (MAIN, "mail!.outputs.sender", "mail.outputs.sender", "BCP318"),
    "a module that is not there": (MAIN, "'./app/mail.bicep'", "'./app/mails.bicep'", "BCP091"),
    "a version that was not looked up": (MAIL, "email-service:0.4.5", "email-service:0.4.6", "BCP192"),
    "a module of a group in a subscription": (
        MAIN,
        "name: 'mail-resources'\n  scope: rg\n",
        "name: 'mail-resources'\n",
        "BCP134",
    ),
    "a scope that is no scope": (
        MAIN,
        "name: 'mail-resources'\n  scope: rg\n",
        "name: 'mail-resources'\n  scope: tags\n",
        "BCP134",
    ),
    "two modules of one name": (MAIN, "name: 'vault-resources'", "name: 'mail-resources'", "BCP122"),
    "a loop of modules of one name": (ALERTS, "name: 'rule-${rule.name}'", "name: 'rule'", "BCP179"),
    "a property that no module has": (
        MAIL,
        "  name: 'email-service'\n",
        "  name: 'email-service'\n  location: 'x'\n",
        "BCP037",
    ),
    # Resources.
    "a type without a version": (
        MONITORING,
        "'Microsoft.Insights/workbooks@2023-06-01'",
        "'Microsoft.Insights/workbooks'",
        "BCP029",
    ),
    "a version that is no date": (MONITORING, "workbooks@2023-06-01", "workbooks@2023-06-31", "BCP029"),
    "a type without a provider": (RBAC, "'Microsoft.KeyVault/vaults@2024-11-01'", "'vaults@2024-11-01'", "BCP029"),
    "a resource without a name": (MONITORING, "  name: guid(resourceGroup().id, 'notebook-backup')\n", "", "BCP035"),
    "a resource without what it needs": (MONITORING, "    category: 'workbook'\n", "", "BCP035"),
    "a resource with what it does not have": (
        MONITORING,
        "kind: 'shared'",
        "kind: 'shared'\n  colour: 'red'",
        "BCP037",
    ),
    "a principal of no kind": (RBAC, "principalType: 'ServicePrincipal'", "principalType: 'Program'", "BCP036"),
    "a resource of a group in a subscription": (
        MAIN,
        "Microsoft.Resources/resourceGroups@2024-11-01",
        "Microsoft.KeyVault/vaults@2024-11-01",
        "BCP135",
    ),
    "a resource that cannot lie on another": (
        MONITORING,
        "  kind: 'shared'\n",
        "  kind: 'shared'\n  scope: backupWorkbook\n",
        "BCP079",
    ),
    "a scope of a resource that is a text": (RBAC, "scope: component\n", "scope: componentName\n", "BCP036"),
    "a scope elsewhere": (RBAC, "scope: component\n", "scope: subscription()\n", "BCP139"),
    "a name with a segment too few": (
        RBAC,
        "'${packageAccountName}/default/${packageContainerName}'",
        "'${packageAccountName}/${packageContainerName}'",
        "BCP169",
    ),
    "a parent of another type": (
        RBAC,
        "resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {\n",
        "resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {\n  parent: component\n",
        "BCP036",
    ),
    "a name below a parent with segments": (
        RBAC,
        "existing = {\n  name: '${packageAccountName}/default/",
        "existing = {\n  parent: packageAccount\n  name: '${packageAccountName}/default/",
        "BCP170",
    ),
    "a setting of what only exists": (
        RBAC,
        "  name: componentName\n",
        "  name: componentName\n  location: 'x'\n",
        "BCP173",
    ),
    "a property of a resource that is not there": (RBAC, "guid(component.id,", "guid(component.ident,", "BCP053"),
    "a dependency that is a text": (MAIN, "    rbac\n", "    'rbac'\n", "BCP034"),
    "a dependency that is there anyhow": (MAIN, "    rbac\n", "    rbac\n    vault\n", "no-unnecessary-dependson"),
    "a loop within a call": (ALERTS, "split(emails, ',')", "concat([for a in split(emails, ','): a])", "BCP138"),
    "an address that differs between clouds": (
        NETWORK,
        "'privatelink.blob.${environment().suffixes.storage}'",
        "'privatelink.blob.core.windows.net'",
        "no-hardcoded-env-urls",
    ),
    # Decorators.
    "a decorator that is not there": (MAIN, "@maxLength(64)", "@longest(64)", "BCP057"),
    "a function as a decorator": (MAIN, "@maxLength(64)", "@length(64)", "BCP152"),
    "a decorator without its value": (MAIN, "@maxLength(64)", "@maxLength()", "BCP071"),
    "a decorator of a text on a number": (MAIN, "@maxValue(47)", "@maxLength(47)", "BCP124"),
    "a decorator of a number on a text": (MAIN, "@maxLength(64)", "@maxValue(64)", "BCP124"),
    "a secret that is a number": (MAIN, "@maxValue(47)", "@secure()", "BCP124"),
    "a decorator twice": (MAIN, "@maxLength(64)", "@minLength(2)", "BCP166"),
    "a bound that is a text": (MAIN, "@maxLength(64)", "@maxLength('64')", "BCP070"),
    "a bound that is worked out": (MAIN, "@maxLength(64)", "@maxLength(noSuccessHours)", "BCP032"),
    "a least above the most": (MAIN, "@minLength(1)\n@maxLength(64)", "@minLength(65)\n@maxLength(64)", "BCP331"),
    "nothing that is allowed": (MAIN, "@allowed([\n  512\n  2048\n  4096\n])", "@allowed([])", "BCP099"),
    "a text among numbers": (MAIN, "  512\n  2048\n", "  '512'\n  2048\n", "BCP070"),
    "a secret on a variable": (STORAGE, "var isPrivate", "@secure()\nvar isPrivate", "BCP126"),
    "allowed values of an output": (MAIL, "output sender string", "@allowed(['a'])\noutput sender string", "BCP129"),
    "a secret's default": (
        MAIN,
        "param mailDataLocation string",
        "@secure()\nparam mailDataLocation string",
        "secure-parameter-default",
    ),
    "a secret put out": (
        MAIL,
        "@description('Where data is kept.')\nparam dataLocation string",
        "@secure()\nparam dataLocation string\noutput put string = dataLocation",
        "outputs-should-not-contain-secrets",
    ),
    # The parameter file.
    "a parameter without a value": (JSON, '    "alertEmails": { "value": "${ALERT_EMAILS}" },\n', "", "BCP258"),
    "a value without a parameter": (JSON, '"alertEmails"', '"alertMails"', "BCP259"),
    "a value that is no number": (JSON, "NO_SUCCESS_HOURS=26", "NO_SUCCESS_HOURS=day", "BCP260"),
    "a value that is no truth": (JSON, "ROTATE_SECRETS=false", "ROTATE_SECRETS=no", "BCP260"),
    "a value that is not allowed": (JSON, "PREMIUM_SKU=EP1", "PREMIUM_SKU=P1", "BCP260"),
}


def test_the_templates_compile() -> None:
    assert [str(p) for p in compile_folder(INFRA, AVM)] == []


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_mistake_is_found(mistake: str, tmp_path: Path) -> None:
    name, right, wrong, code = PLANTED[mistake]
    folder = shutil.copytree(INFRA, tmp_path / "infra")
    text = (folder / name).read_text()
    assert right in text
    (folder / name).write_text(text.replace(right, wrong, 1))
    found = compile_folder(folder, AVM)
    assert code in {p.code for p in found}, [str(p) for p in found]
