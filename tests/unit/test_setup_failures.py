"""What goes wrong in a set-up is told in lines, with what to do; once it is put right, the next run ends well."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.cli.setup.failures import known_failures, remedy_for, shortened
from tests.setup_machine import ANSWERS, IDS, Machine

TRACEBACK = 'Traceback (most recent call last):\n  File "/opt/az/cli.py", line 1, in main\n    raise it\n'
REFUSED = (
    # Command that fails, what the tool says, what the person is told to do.
    ("./package", "no package was made: this machine has no git", "docs/packaging.md"),
    ("./package", "OSError: [Errno 28] No space left on device", "make room"),
    ("az version", "PermissionError: [Errno 13] Permission denied: '/root/.azure'", "may not write there"),
    ("account set", "ERROR: Please run 'az login' to setup account.", "az login --tenant"),
    (
        "account set",
        "ERROR: The subscription of '1b2c' doesn't exist in cloud 'AzureCloud'.",
        "az account list --all --output table",
    ),
    ("signed-in-user", "ERROR: AADSTS70043: The refresh token has expired", "az logout"),
    ("signed-in-user", "ERROR: AADSTS50076: you must use multi-factor authentication", "second factor"),
    ("signed-in-user", "ERROR: AADSTS530003: Your device is required to be managed", "Cloud Shell"),
    ("account set", f"{TRACEBACK}ConnectionError: Max retries exceeded with url: /subscriptions", "HTTPS_PROXY"),
    ("account show", "ERROR: HTTPSConnectionPool: getaddrinfo failed", "HTTPS_PROXY"),
    ("account show", "SSLError: certificate verify failed: self signed certificate", "REQUESTS_CA_BUNDLE"),
    ("role assignment list", "ERROR: (AuthorizationFailed) The client 'x' does not have authorization", "Owner"),
    ("functionapp list-flex", "ERROR: 'list-flex' is misspelled or not recognized by the system.", "az upgrade"),
    ("group list", "ERROR: (TooManyRequests) retry after 17 seconds", "wait some minutes"),
    ("authorizationPolicy", "ERROR: Forbidden(Insufficient privileges)", "Application Developer"),
    ("scim/v2/Me", "ERROR: AADSTS500011: The resource principal named 2ff8 was not found", "connected to the tenant"),
    ("scim/v2/Me", "ERROR: Forbidden(Source IP is blocked by Databricks IP ACL for workspace)", "IP access list"),
    ("get-status", "ERROR: Not Found(RESOURCE_DOES_NOT_EXIST: Path (/Clients) doesn't exist.)", "--root"),
    ("sql/warehouses", "ERROR: Not Found(RESOURCE_DOES_NOT_EXIST: warehouse)", "--warehouse"),
    ("_apis/projects", "ERROR: Not Found(TF200016: The following project does not exist: data)", "--project"),
    ("_apis/projects", "ERROR: <html><title>Azure DevOps Services | Sign In</title>", "another tenant"),
    ("_apis/permissions", "ERROR: Unauthorized(TF400813: The user is not authorized)", "Collection Administrator"),
    ("provider register", "ERROR: (AuthorizationFailed) does not have authorization to perform action", "Owner"),
    ("sub validate", "ERROR: (RequestDisallowedByPolicy) Resource 'st1' was disallowed by policy.", "extraTags"),
    ("sub validate", "ERROR: (StorageAccountAlreadyTaken) The name st1 is already taken.", "./backup setup OTHER"),
    ("sub validate", "ERROR: Failed to download Bicep CLI: <urlopen error>", "az bicep install"),
    ("sub validate", "ERROR: (InvalidTemplate) the template has no parameter 'x'", "docs/azure.md"),
    ("app list", "ERROR: Insufficient privileges to complete the operation.", "Application Developer"),
    ("app create", "ERROR: Directory_QuotaExceeded: The directory object quota limit is exceeded", "in the bin too"),
    ("identifier-uris", "ERROR: Another object with the same value for property identifierUris exists.", "bin too"),
    ("sp create", "ERROR: (ServiceUnavailable) try again later", "wait some minutes"),
    ("sub create", "ERROR: (QuotaExceeded) Current Limit (Total VMs): 0", "Quotas"),
    ("sub create", "ERROR: (LocationNotAvailableForResourceType) not available in location", "--location"),
    ("sub create", "ERROR: (InvalidResourceGroupLocation) rg-backup is there", "another region already"),
    ("sub create", "ERROR: A vault with the same name already exists in deleted state.", "az keyvault recover"),
    ("sub create", "ERROR: (MissingSubscriptionRegistration) Microsoft.App", "--again providers"),
    ("sub create", "ERROR: (ScopeLocked) because following scope(s) are locked", "remove the lock"),
    ("sub create", "ERROR: (PrincipalNotFound) Principal 12 does not exist in the directory", "wait a minute"),
    ("sub create", "ERROR: (DeploymentActive) The deployment is still active", "wait until it is over"),
    ("sub create", "ERROR: (DeploymentFailed) At least one resource deployment operation failed", "operation sub list --name notebook-backup-backup-westeurope"),  # noqa: E501
    ("sub create", "ERROR: (ZonesNotSupported) Standard_ZRS", "storageSkuName=Standard_LRS"),
    ("federated-credential create", "ERROR: FederatedIdentityCredential with name app-service-sign-in already exists", "federated-credential delete --id 00000000-0000-0000-0000-000000000001"),  # noqa: E501
    ("scim/v2/ServicePrincipals", "ERROR: Forbidden(Only accessible by admins)", "admin of the Databricks"),
    ("permissions/directories", "ERROR: Forbidden(PERMISSION_DENIED)", "admin of the Databricks"),
    ("sql/statements", "ERROR: Forbidden(User does not have permission MANAGE)", "admin of the metastore"),
    ("method post --url https://dev.azure.com", "ERROR: Conflict(TF400948: repository already exists)", "--repository"),
    ("serviceprincipalentitlements", "ERROR: Bad Request(no license available)", "Basic licence"),
    ("config-zip", "ERROR: Operation returned an invalid status 'Ip Forbidden'", "from within"),
    ("config-zip", "ERROR: 504 Gateway Timeout", "wait some minutes"),
    ("config-zip", "", "private networking"),
    ("get-access-token", "ERROR: AADSTS65001: The user has not consented", "az login"),
    ("sync --no-wait", "The app refused the key or token.", "./backup status"),
)  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _stopped(told: str) -> dict[str, str]:
    """The lines of a stop by their first words."""
    lines = told[told.index("Stopped at: ") :].splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith(" "))


@pytest.mark.parametrize(("fault", "said", "remedy"), REFUSED, ids=[f"{n}-{r[0]}" for n, r in enumerate(REFUSED)])
def test_a_failure_is_told_with_what_to_do_and_the_next_run_ends_well(
    machine: Machine, fault: str, said: str, remedy: str
) -> None:
    machine.fault, machine.said = fault, said
    told = machine.run(**ANSWERS)
    stopped = _stopped(told)
    assert stopped.keys() == {"Stopped at", "Tried", "Failed", "What to do", "Then"}
    assert remedy in stopped["What to do"]
    assert "./backup setup backup" in stopped["Then"]
    assert ("Traceback" in told, "Done: " in told) == (False, False)
    machine.fault = ""
    assert "Done: https://" in machine.run()
    assert (machine.done, len(machine.cloud["apps"])) == (IDS, 1)


FOUND = (
    # What the cloud holds, what is said of it, and that nothing was made.
    ({"state": "Disabled"}, "the subscription is disabled (Disabled)", "sets it active"),
    ({"roles": ["Reader"]}, "you hold Reader on the subscription", "have an owner of the subscription"),
    ({"groups": [{"location": "westeurope", "tags": {}}]}, "rg-backup is there, and not of this set-up", "OTHER"),
    (
        {"groups": [{"location": "eastus", "tags": {"azd-env-name": "backup"}}]},
        "rg-backup is in eastus, not in westeurope",
        "OTHER",
    ),
    (
        {"look_ups": {"authorizationPolicy": {"defaultUserRolePermissions": {"allowedToCreateApps": False}}}},
        "only some may register applications",
        "Application Developer",
    ),
    ({"look_ups": {"/scim/v2/Me": {"groups": [{"display": "users"}]}}}, "no admin of the workspace", "group admins"),
    ({"look_ups": {"/get-status": {"object_id": 7, "object_type": "NOTEBOOK"}}}, "/Clients is no folder", "--root"),
    ({"look_ups": {"bfa7/2": {"value": [False]}}}, "no Project Collection Administrator", "--leave"),
    ({"look_ups": {"bfa7/2": ["another", "form"]}}, None, None),
    ({"look_ups": {"/scim/v2/Me": ["another", "form"]}}, "no admin of the workspace", "group admins"),
    ({"look_ups": {"/scim/v2/Me": {"groups": [1]}}}, "of another form than is known here", "group admins"),
    ({"deleted_vaults": ["kv-x"]}, "soft-deleted vault kv-x", "az keyvault recover"),
)


@pytest.mark.parametrize(("cloud", "said", "remedy"), FOUND, ids=[str(n) for n in range(len(FOUND))])
def test_what_is_amiss_is_found_before_anything_is_made(
    machine: Machine, cloud: dict[str, object], said: str | None, remedy: str | None
) -> None:
    machine.change_cloud(**cloud)
    told = machine.run(**ANSWERS)
    if said is None or remedy is None:
        assert machine.done == IDS
        return
    stopped = _stopped(told)
    assert said in stopped["Failed"]
    assert remedy in stopped["What to do"]
    assert not {"apps", "deployed", "scim"} & machine.cloud.keys()
    machine.change_cloud(
        **{name: {} if name == "look_ups" else [] for name in cloud} | {"roles": ["Owner"], "state": "Enabled"}
    )
    assert "Done: https://" in machine.run()


def test_a_region_is_held_against_those_that_there_are_and_that_offer_the_plan(machine: Machine) -> None:
    assert "westeurop is no region of this subscription; near it: westeurope" in machine.run(
        **ANSWERS, location="westeurop"
    )
    told = machine.run(location="antarctica")
    assert "antarctica does not offer Flex Consumption; these do: northeurope, swedencentral, westeurope" in told
    assert "Done: " in machine.run(location="swedencentral")


@pytest.mark.parametrize(("tool", "publish"), [("az", "az"), ("func", "func")])
def test_a_tool_that_is_missing_is_named_before_anything_is_made(machine: Machine, tool: str, publish: str) -> None:
    machine.missing = tool
    stopped = _stopped(machine.run(publish_with=publish, **ANSWERS))
    assert (stopped["Failed"], "nstall" in stopped["What to do"]) == (f"{tool} is not installed", True)
    machine.missing = ""
    assert "Done: " in machine.run()


def test_an_answer_that_lacks_something_is_told_and_not_taken(machine: Machine) -> None:
    machine.change_cloud(look_ups={"/_apis/projects/data": {"name": "data"}})
    stopped = _stopped(machine.run(**ANSWERS))
    assert stopped["Failed"] == "its answer lacks project_id"


def test_where_nobody_can_look_nothing_is_made_a_second_time(machine: Machine) -> None:
    machine.run(**ANSWERS)
    machine.fault, machine.said = "sp list", "ERROR: Connection reset by peer"
    assert "HTTPS_PROXY" in _stopped(machine.run("service-principal"))["What to do"]
    assert machine.count("ad", "sp", "create") == 1


def test_a_long_message_is_cut_to_its_end_without_its_traceback() -> None:
    said = f"{TRACEBACK}ValueError: it\n" + "\n".join(f"line {n} {'x' * 400}" for n in range(20))
    lines = shortened(said).splitlines()
    assert (lines[0], len(lines)) == ("(13 lines before)", 9)
    assert lines[-1].strip().startswith("line 19 ")
    assert max(map(len, lines)) < 320


def test_every_known_failure_has_a_remedy_that_ends_as_a_sentence() -> None:
    assert len(known_failures()) >= 30
    assert [remedy for _, remedy in known_failures() if not remedy.endswith((".", ")", "`"))] == []
    assert remedy_for("all is well") == ""
