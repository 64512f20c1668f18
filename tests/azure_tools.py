"""Stand-ins for `az` and `func`: they check a command line against the real tool's syntax, and answer.

`python tests/azure_tools.py TOOL ARGUMENTS...`, with a folder for what it remembers in `STAND_IN_STATE`. The options
are those of the Azure CLI's reference (https://learn.microsoft.com/cli/azure/reference-index, `role/_params.py` and
`appservice/_params.py` of Azure/azure-cli) and of Core Tools (https://learn.microsoft.com/azure/azure-functions/
functions-core-tools-reference). What a real tool refuses is refused: an unknown option, a missing one, a body that is
no JSON, a role definition without an id, a second object where the service keeps one.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

GLOBAL = {"--output", "--query", "--subscription", "--only-show-errors"}
FLAGS = {"--include-inherited", "--include-groups", "--all", "--wait", "--python", "--no-build"}
SYNTAX: dict[str, tuple[set[str], set[str]]] = {
    "version": (set(), set()),
    "account set": (set(), set()),
    "account show": (set(), set()),
    "account get-access-token": (set(), {"--resource", "--scope", "--tenant", "--resource-type"}),
    "ad signed-in-user show": (set(), set()),
    "role assignment list": (
        set(),
        {"--assignee", "--all", "--include-inherited", "--include-groups", "--scope", "--role", "--resource-group"},
    ),
    "account list-locations": (set(), set()),
    "functionapp list-flexconsumption-locations": (set(), {"--zone-redundant", "--details", "--runtime"}),
    "group list": (set(), {"--tag"}),
    "identity list": (set(), {"--resource-group"}),
    "keyvault list-deleted": (set(), {"--resource-type"}),
    "provider list": (set(), {"--expand-resource-types"}),
    "provider register": ({"--namespace"}, {"--wait", "--consent-to-permissions"}),
    "ad app list": (set(), {"--display-name", "--filter", "--app-id", "--all", "--identifier-uri"}),
    "ad app create": (
        {"--display-name"},
        {"--sign-in-audience", "--app-roles", "--enable-id-token-issuance", "--web-redirect-uris", "--identifier-uris"},
    ),
    "ad app update": (
        {"--id"},
        {"--app-roles", "--identifier-uris", "--web-redirect-uris", "--sign-in-audience", "--set"},
    ),
    "ad app show": ({"--id"}, set()),
    "ad app owner list": ({"--id"}, set()),
    "ad app owner add": ({"--id", "--owner-object-id"}, set()),
    "ad app federated-credential list": ({"--id"}, set()),
    "ad app federated-credential create": ({"--id", "--parameters"}, set()),
    "ad sp list": (set(), {"--filter", "--display-name", "--all"}),
    "ad sp create": ({"--id"}, set()),
    "rest": ({"--url"}, {"--method", "--resource", "--headers", "--body", "--url-parameters"}),
    "deployment sub create": (
        {"--location"},
        {"--name", "--template-file", "--parameters", "--what-if", "--no-prompt"},
    ),
    "deployment sub validate": ({"--location"}, {"--name", "--template-file", "--parameters", "--no-prompt"}),
    "functionapp deployment source config-zip": (
        {"--resource-group", "--name", "--src"},
        {"--build-remote", "--slot", "--timeout"},
    ),
    "functionapp restart": ({"--resource-group", "--name"}, {"--slot"}),
    "storage blob upload": (
        {"--file"},
        {"--blob-url", "--auth-mode", "--overwrite", "--container-name", "--account-name", "--name"},
    ),
    "azure functionapp publish": (set(), {"--python", "--no-build", "--build", "--slot"}),
}
RESOURCES = {
    "https://graph.microsoft.com/": "",
    "https://adb-1.2.azuredatabricks.net/": "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
    "https://dev.azure.com/": "499b84ac-1321-427f-aa17-267ca6975798",
    "https://vsaex.dev.azure.com/": "499b84ac-1321-427f-aa17-267ca6975798",
}
"""The resource whose token each service takes; `az rest` finds that of Graph by itself."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


FORBIDDEN = "ERROR: (Forbidden) the stand-in was told to refuse this"
REGIONS = ("northeurope", "swedencentral", "westeurope")


LOOK_UPS: dict[str, Any] = {
    "/policies/authorizationPolicy": {"defaultUserRolePermissions": {"allowedToCreateApps": True}},
    "/me/transitiveMemberOf/microsoft.graph.directoryRole": {"value": []},
    "/scim/v2/Me": {"groups": [{"display": "users"}, {"display": "admins"}]},
    "/sql/warehouses/0123456789abcdef": {"id": "0123456789abcdef"},
    "/_apis/permissions/3e65f728-f8bc-4ecd-8764-7e378b19bfa7/2": {"value": [True]},
}
"""What services answer to those who may see it, by the end of the path; `look_ups` of the cloud go before them."""


class Refused(Exception):
    """What the real tool prints on standard error."""


class Tools:
    """The cloud as far as the stand-ins have made it: one JSON file."""

    def __init__(self, folder: Path, fault: str = "", said: str = FORBIDDEN) -> None:
        self._file = folder / "cloud.json"
        self.cloud: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.fault, self.said = fault, said
        self._log = folder / "commands.log"

    def call(self, tool: str, arguments: list[str]) -> Any:
        """Run one command line. Raises `Refused`."""
        with self._log.open("a") as log:
            log.write(json.dumps([tool, *arguments]) + "\n")
        name, options, rest = _parsed(tool, arguments)
        if self.fault and self.fault in " ".join([tool, *arguments]):
            raise Refused(self.said)
        answers: dict[str, Callable[[dict[str, str], list[str]], Any]] = {
            "version": lambda o, r: {"azure-cli": "2.77.0"},
            "account set": lambda o, r: None,
            "account show": lambda o, r: {"id": "s", "tenantId": "t-1", "state": self.cloud.get("state", "Enabled")},
            "account list-locations": lambda o, r: [*REGIONS, "antarctica"],
            "functionapp list-flexconsumption-locations": lambda o, r: [{"name": name} for name in REGIONS],
            "group list": lambda o, r: self.cloud.get("groups", []),
            "identity list": lambda o, r: self._identities(),
            "keyvault list-deleted": lambda o, r: self.cloud.get("deleted_vaults", []),
            "provider list": lambda o, r: self.cloud.get("providers", []),
            "func --version": lambda o, r: "4.0.7030",
            "account get-access-token": lambda o, r: {"accessToken": "eyJ0.token", "expiresOn": "later"},
            "ad signed-in-user show": lambda o, r: {"id": "me-1"},
            "role assignment list": lambda o, r: self.cloud.get("roles", ["Owner"]),
            "provider register": lambda o, r: self.cloud.setdefault("providers", []).append(o["--namespace"]),
            "ad app list": self._list_apps,
            "ad app show": lambda o, r: self._app(o),
            "ad app owner list": lambda o, r: self._app(o)["owners"],
            "ad app owner add": self._add_owner,
            "ad app create": self._create_app,
            "ad app update": self._update_app,
            "ad app federated-credential list": self._list_federated,
            "ad app federated-credential create": self._federate,
            "ad sp list": lambda o, r: self.cloud.get("sps", []),
            "ad sp create": self._create_sp,
            "rest": self._rest,
            "deployment sub create": self._deploy,
            "deployment sub validate": lambda o, r: self._given(o, r) and "Succeeded",
            "functionapp deployment source config-zip": self._publish,
            "functionapp restart": lambda o, r: self.cloud.setdefault("restarted", o["--name"]) and None,
            "storage blob upload": self._upload,
            "azure functionapp publish": lambda o, r: self.cloud.setdefault("published", r) and None,
        }
        found = answers[name](options, rest)
        self._file.write_text(json.dumps(self.cloud))
        return found

    def _apps(self) -> list[dict[str, Any]]:
        apps: list[dict[str, Any]] = self.cloud.setdefault("apps", [])
        return apps

    def _create_app(self, options: dict[str, str], _: list[str]) -> Any:
        number = len(self._apps()) + 1
        app = {"appId": f"00000000-0000-0000-0000-00000000000{number}", "id": f"app-object-{number}"}
        app |= {"displayName": options["--display-name"], "owners": ["me-1"]}
        self._apps().append(app | {"appRoles": _roles(options["--app-roles"])})
        return app

    def _list_apps(self, options: dict[str, str], _: list[str]) -> Any:
        wanted = re.fullmatch(r"displayName eq '(.*)'", options["--filter"])
        found = [a for a in self._apps() if wanted and a["displayName"] == wanted[1]]
        return [
            {"appId": a["appId"], "id": a["id"], "notes": a.get("notes"), "passwords": a.get("passwords", 0), "keys": 0}
            for a in found
        ]

    def _app(self, options: dict[str, str]) -> dict[str, Any]:
        found = [a for a in self._apps() if options["--id"] in (a["appId"], a["id"])]
        if not found:
            raise Refused(f"ERROR: Resource '{options['--id']}' does not exist")
        return found[0]

    def _add_owner(self, options: dict[str, str], _: list[str]) -> None:
        owners = self._app(options)["owners"]
        owners += [options["--owner-object-id"]] if options["--owner-object-id"] not in owners else []

    def _list_federated(self, options: dict[str, str], _: list[str]) -> Any:
        rows = self.cloud.get("federated", [])
        if options["--query"] == "[].subject":
            return [row["subject"] for row in rows]
        return [row["name"] for row in rows if f"'{row['subject']}'" in options["--query"]]

    def _identities(self) -> list[str]:
        return [f"principal-{name}" for name in ("backup", "restore", "sign-in")] if "deployed" in self.cloud else []

    def _update_app(self, options: dict[str, str], _: list[str]) -> Any:
        app = self._app(options)
        if "--app-roles" in options:
            app["appRoles"] = _roles(options["--app-roles"])
        app |= {n: options[n] for n in ("--identifier-uris", "--web-redirect-uris") if n in options}
        return None

    def _federate(self, options: dict[str, str], _: list[str]) -> Any:
        body = _json(options["--parameters"])
        if body.keys() - {"description"} != {"name", "issuer", "subject", "audiences"}:
            raise Refused("ERROR: Property federatedIdentityCredential is invalid")
        if self.cloud.get("federated"):
            raise Refused("ERROR: FederatedIdentityCredential with name already exists")
        self.cloud["federated"] = [body]
        return body

    def _create_sp(self, options: dict[str, str], _: list[str]) -> Any:
        if self.cloud.get("sps"):
            raise Refused("ERROR: The service principal already exists")
        self.cloud["sps"] = [{"id": "sp-1", "appId": options["--id"]}]
        return self.cloud["sps"][0]

    def _given(self, options: dict[str, str], rest: list[str]) -> dict[str, str]:
        given = dict(p.partition("=")[::2] for p in [options["--parameters"], *rest])
        declared = set(re.findall(r"^param (\w+) ", _template(options["--template-file"]), re.MULTILINE))
        if declared and given.keys() - declared:
            raise Refused(f"ERROR: the template has no parameter {sorted(given.keys() - declared)}")
        return given

    def _deploy(self, options: dict[str, str], rest: list[str]) -> Any:
        self.cloud["deployed"] = self._given(options, rest)
        outputs = {
            "AZURE_RESOURCE_GROUP": "rg-backup",
            "AZURE_FUNCTION_NAME": "func-backup-x",
            "BACKUP_URL": self.cloud.get("app_url", "https://func-backup-x.azurewebsites.net"),
            "AZURE_TENANT_ID": "t-1",
            "BACKUP_IDENTITY_CLIENT_ID": "client-backup",
            "BACKUP_IDENTITY_PRINCIPAL_ID": "principal-backup",
            "RESTORE_IDENTITY_CLIENT_ID": "client-restore",
            "SIGN_IN_IDENTITY_PRINCIPAL_ID": "principal-sign-in",
            "PACKAGE_URL": "https://st.blob.core.windows.net/app-package/notebook-backup.zip",
        }
        return {name: {"type": "String", "value": value} for name, value in outputs.items()}

    def _publish(self, options: dict[str, str], _: list[str]) -> Any:
        if options.get("--build-remote") not in ("true", "false", None):
            raise Refused("ERROR: argument --build-remote: invalid choice")
        self.cloud["published"] = [*self.cloud.get("published", []), options["--name"]]
        return {"active": True, "complete": True}

    def _upload(self, options: dict[str, str], _: list[str]) -> Any:
        if options.get("--auth-mode") != "login":
            raise Refused("ERROR: Key based authentication is not permitted on this storage account.")
        self.cloud["uploaded"] = {options["--blob-url"]: options["--file"]}
        return {"etag": "1", "lastModified": "now"}

    def _rest(self, options: dict[str, str], _: list[str]) -> Any:
        url, method = options["--url"], options.get("--method", "get").upper()
        bases = [base for base in RESOURCES if url.startswith(base)]
        if not bases or options.get("--resource", "") != RESOURCES[bases[0]]:
            raise Refused(f"ERROR: Unauthorized(no token for {url})")
        if (method in ("POST", "PATCH")) != ("--body" in options):
            raise Refused("ERROR: Bad Request(a body goes with POST and PATCH)")
        body = _json(options["--body"]) if "--body" in options else None
        parts = urlsplit(unquote(url))
        if re.search(r"[\s]", url):
            raise Refused("ERROR: InvalidURL")
        return self._service(method, parts.path, parts.query, body)

    def _service(self, method: str, path: str, query: str, body: Any) -> Any:
        done: list[Any] = self.cloud.setdefault("rest", [])
        if method != "GET":
            done.append([method, path, body])
        looked_up = [*self.cloud.get("look_ups", {}).items(), *LOOK_UPS.items()]
        if (found := next((a for end, a in looked_up if path.endswith(end)), None)) is not None:
            return found
        return self._object(method, path, query, body)

    def _object(self, method: str, path: str, query: str, body: Any) -> Any:
        if "/applications/" in path and "notes" in body:
            self._app({"--id": path.rpartition("/")[2]})["notes"] = body["notes"]
        if path.endswith("/ServicePrincipals"):
            return self._scim(method, query, body)
        if path.endswith("/appRoleAssignments"):
            return {"value": self.cloud.get("operators", [])}
        if path.endswith("/appRoleAssignedTo"):
            self.cloud["operators"] = [{"id": "assignment-1", **body}]
            return self.cloud["operators"][0]
        if path.endswith("/workspace/get-status"):
            return {"object_id": 77, "object_type": "DIRECTORY", "path": query.partition("=")[2]}
        if path.endswith("/sql/statements"):
            return {"status": {"state": "SUCCEEDED"}}
        if "/_apis/projects/" in path:
            return {"id": "project-1"}
        if "/git/repositories" in path:
            return self._repository(method, path, body)
        if path.endswith("/serviceprincipalentitlements"):
            return {"operationResult": {"isSuccess": True}}
        return None if "/graph" in path or path.startswith("/v1.0") else {"object_id": "x"}

    def _scim(self, method: str, query: str, body: Any) -> Any:
        known: dict[str, Any] = self.cloud.setdefault("scim", {})
        if method == "GET":
            wanted = query.removeprefix("filter=applicationId eq ")
            rows = [known[wanted]] if wanted in known else []
            return {"totalResults": len(rows), **({"Resources": rows} if rows else {})}
        if body["applicationId"] in known:
            raise Refused("ERROR: Conflict(RESOURCE_CONFLICT)")
        known[body["applicationId"]] = {"id": f"scim-{len(known)}"}
        return known[body["applicationId"]]

    def _repository(self, method: str, path: str, body: Any) -> Any:
        if method == "POST":
            self.cloud["repository"] = {"id": "repo-1", "name": body["name"]}
        elif self.cloud.get("repository", {}).get("name") != path.rpartition("/")[2]:
            raise Refused("ERROR: Not Found(GitRepositoryNotFoundException)")
        return self.cloud["repository"]


def _parsed(tool: str, arguments: list[str]) -> tuple[str, dict[str, str], list[str]]:
    """The command's name, its options with their first values, and further values. Raises `Refused`."""
    if (tool, arguments) == ("func", ["--version"]):
        return "func --version", {}, []
    words = []
    for word in arguments:
        if word.startswith("-"):
            break
        words.append(word)
    names = [n for n in SYNTAX if words[: len(n.split())] == n.split()]
    name = max(names, key=len, default="")
    if not name or (tool == "func") != (name == "azure functionapp publish"):
        raise Refused(f"ERROR: '{' '.join(words)}' is misspelled or not recognized by the system.")
    required, optional = SYNTAX[name]
    options, more = _options(arguments[len(name.split()) :], required | optional | GLOBAL)
    if required - options.keys():
        raise Refused(f"ERROR: the following arguments are required: {', '.join(sorted(required - options.keys()))}")
    return name, options, more


def _options(words: list[str], allowed: set[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    more: list[str] = []
    waiting = ""
    for word in words:
        if word.startswith("--"):
            if word not in allowed:
                raise Refused(f"ERROR: unrecognized arguments: {word}")
            waiting = "" if word in FLAGS else word
            options[word] = ""
        elif waiting and not options[waiting]:
            options[waiting] = word
        else:
            more.append(word)
    return options, more


def _json(text: str) -> Any:
    try:
        return json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except ValueError as error:
        raise Refused(f"ERROR: Failed to parse string as JSON: {error}") from None


def _roles(text: str) -> list[Any]:
    roles: list[Any] = _json(text)
    wanted = {"id", "value", "displayName", "description", "isEnabled", "allowedMemberTypes"}
    if any(role.keys() != wanted or not UUID.fullmatch(role["id"]) for role in roles):
        raise Refused("ERROR: One or more properties are invalid: appRoles")
    return roles


def _template(name: str) -> str:
    file = Path(name)
    return file.read_text() if file.exists() else ""


def main() -> None:
    """One command of one tool."""
    tool, *arguments = sys.argv[1:]
    try:
        found = Tools(Path(os.environ["STAND_IN_STATE"])).call(tool, arguments)
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    if found is not None:
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
