"""Azure Repos' REST API of one repository: pull requests, policies, and what reviewers do.

https://learn.microsoft.com/rest/api/azure/devops/git/pull-requests. Error codes and bodies are those that clients
report (docs/decisions/0025-pull-requests.md). A protected branch refuses a push as Azure Repos does, by a
`proc-receive` hook.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

PROJECT = "/organisation/project"
NAME = "notebooks"
REMOTE = f"{PROJECT}/_git/{NAME}"
API = f"{PROJECT}/_apis/git/repositories/{NAME}"
MOST_DESCRIPTION = 4_000
CREATOR = {"id": "11111111-2222-3333-4444-555555555555", "displayName": "Notebook Backup"}
_HEADS = "refs/heads/"
_STRATEGIES = ("noFastForward", "squash", "rebase", "rebaseMerge")
_NOT_FOUND = "TF401180: The requested pull request was not found."
_NO_BRANCH = (
    "TF401398: The pull request cannot be activated because the source and/or the target branch no longer exists, "
    "or the requested refs are not branches"
)
_HOOK = Path(__file__).with_name("proc_receive.py")
type Json = dict[str, Any]


class AzureRepos:
    """The pull requests of one served repository. `policies` are protected branches with the approvals they need."""

    def __init__(self, repository: Path, stored: Path) -> None:
        self._repository, self._stored = repository, stored
        empty: Json = {"requests": [], "policies": {}, "strategy": ""}
        known: Json = json.loads(stored.read_text()) if stored.exists() else empty
        self._requests: list[Json] = known["requests"]
        self._policies: dict[str, int] = known["policies"]
        self._strategy: str = known["strategy"]

    async def handle(self, request: web.Request) -> web.Response:
        """One call of the API, by whoever may."""
        if "api-version" not in request.query:
            return _refusal(400, "VssVersionNotSpecifiedException", "No api-version was supplied for the request.")
        parts = request.path.removeprefix(API).strip("/").split("/")
        body = await request.json() if request.can_read_body else {}
        return await asyncio.to_thread(self._call, request, parts, body)

    def control(self, body: Json) -> Json:
        """What administrators and reviewers do: protect a branch, approve, reject."""
        action = body["action"]
        if action == "protect":
            self._protect(str(body["branch"]), int(body.get("approvals", 1)), str(body.get("strategy", "")))
        elif action in ("approve", "reject"):
            found = self._find(int(body["id"]))
            if found is None:
                raise web.HTTPNotFound
            if action == "approve":
                found["approvals"] += 1
                self._complete_if_due(found)
            else:
                found["status"] = "abandoned"
        self._save()
        return {"requests": [self._shown(r) for r in self._requests]}

    def _call(self, request: web.Request, parts: list[str], body: Json) -> web.Response:
        if parts == [""]:
            return web.json_response(self._about())
        if parts[0].lower() != "pullrequests":
            return _refusal(404, "VssResourceNotFoundException", "The resource cannot be found.")
        if len(parts) == 1:
            return self._create(body) if request.method == "POST" else self._list(request)
        found = self._find(int(parts[1])) if parts[1].isdecimal() else None
        if found is None:
            return _refusal(
                404, "GitPullRequestNotFoundException", "TF401180: The requested pull request was not found."
            )
        if len(parts) == 3 and parts[2].lower() == "threads" and request.method == "POST":
            found["threads"].append(body["comments"][0]["content"])
            self._save()
            return web.json_response({"id": len(found["threads"]), "status": body.get("status"), "comments": []})
        return self._change(found, body) if request.method == "PATCH" else web.json_response(self._shown(found))

    def _list(self, request: web.Request) -> web.Response:
        asked = {n.removeprefix("searchCriteria."): v for n, v in request.query.items() if n.startswith("searchC")}
        found = [self._shown(r) for r in reversed(self._requests)]
        status = asked.pop("status", "active")
        found = [r for r in found if status in ("all", r["status"]) and all(r.get(n) == v for n, v in asked.items())]
        start, top = int(request.query.get("$skip", 0)), int(request.query.get("$top", 100))
        page = found[start : start + top]
        return web.json_response({"value": page, "count": len(page)})

    def _create(self, body: Json) -> web.Response:
        source, target = str(body.get("sourceRefName")), str(body.get("targetRefName"))
        if not source.startswith(_HEADS) or not self._commit(source) or not self._commit(target):
            text = (
                "TF401398: The pull request cannot be activated because the source and/or the target branch no longer"
            )
            return _refusal(
                400, "GitPullRequestCannotBeActivated", f"{text} exists, or the requested refs are not branches"
            )
        if len(str(body.get("description", ""))) > MOST_DESCRIPTION or not body.get("title"):
            return _refusal(
                400, "InvalidArgumentValueException", "The title or the description is not as long as it may be."
            )
        for known in self._requests:
            same = (known["sourceRefName"], known["targetRefName"], known["status"]) == (source, target, "active")
            if same:
                text = "TF401179: An active pull request for the source and target branch already exists."
                return _refusal(409, "GitPullRequestExistsException", text)
        made = {
            "pullRequestId": len(self._requests) + 1,
            "status": "active",
            "title": body["title"],
            "description": body.get("description", ""),
            "sourceRefName": source,
            "targetRefName": target,
            "createdBy": CREATOR,
            "creationDate": datetime.now(UTC).isoformat(),
            "approvals": 0,
            "threads": [],
        }
        self._requests.append(made)
        self._save()
        return web.json_response(self._shown(made), status=201)

    def _change(self, found: Json, body: Json) -> web.Response:
        if found["status"] != "active":
            text = "TF401181: The pull request cannot be edited due to its state."
            return _refusal(400, "GitPullRequestNotEditableException", text)
        if body.get("status") == "completed" and body.get("lastMergeSourceCommit", {}).get("commitId") != self._commit(
            found["sourceRefName"]
        ):
            text = "TF401192: The source of the pull request was modified since the last merge attempt."
            return _refusal(409, "GitPullRequestStaleException", text)
        if body.get("completionOptions", {}).get("mergeStrategy", "squash") not in _STRATEGIES:
            return _refusal(400, "InvalidArgumentValueException", "mergeStrategy")
        found |= {n: body[n] for n in ("title", "description", "autoCompleteSetBy", "completionOptions") if n in body}
        if body.get("status") == "abandoned":
            found["status"] = "abandoned"
        self._complete_if_due(found)
        self._save()
        return web.json_response(self._shown(found))

    def _complete_if_due(self, found: Json) -> None:
        """Merge, where auto-complete is set, every policy is met and nothing conflicts."""
        branch = found["targetRefName"].removeprefix(_HEADS)
        due = found["status"] == "active" and found.get("autoCompleteSetBy")
        if not due or found["approvals"] < self._policies.get(branch, 0):
            return
        tree = self._merged_tree(found)
        if tree is None:
            return
        options = found.get("completionOptions") or {}
        strategy = self._strategy or options.get("mergeStrategy", "noFastForward")
        head, tip = self._commit(found["targetRefName"]), self._commit(found["sourceRefName"])
        parents = [head] if strategy == "squash" else [head, tip]
        text = options.get("mergeCommitMessage") or f"Merged PR {found['pullRequestId']}: {found['title']}"
        who = ["-c", "user.name=Azure Repos", "-c", "user.email=server@example.com"]
        made = self._git(*who, "commit-tree", tree, "-m", text, *(a for p in parents for a in ("-p", p)))
        self._git("update-ref", found["targetRefName"], made, head)
        if options.get("deleteSourceBranch"):
            self._git("update-ref", "-d", found["sourceRefName"])
        found |= {
            "status": "completed",
            "lastMergeSourceCommit": {"commitId": tip},
            "lastMergeCommit": {"commitId": made},
        }

    def _merged_tree(self, found: Json) -> str | None:
        arguments = ["merge-tree", "--write-tree", "--allow-unrelated-histories", found["targetRefName"]]
        command = ["git", "-C", str(self._repository), *arguments, found["sourceRefName"]]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        return told.stdout.split()[0] if told.returncode == 0 else None

    def _shown(self, found: Json) -> Json:
        shown = {n: v for n, v in found.items() if n not in ("approvals", "threads")}
        if found["status"] == "active":
            there = self._commit(found["sourceRefName"]) and self._commit(found["targetRefName"])
            fits = bool(there) and self._merged_tree(found) is not None
            shown["mergeStatus"] = "succeeded" if fits else "conflicts"
        return {**shown, "comments": found["threads"]} if found["threads"] else shown

    def _protect(self, branch: str, approvals: int, strategy: str) -> None:
        """A policy on a branch: no push, so many approvals, and where given one way to merge."""
        self._policies[branch], self._strategy = approvals, strategy
        hook = self._repository / "hooks" / "proc-receive"
        hook.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(_HOOK))}\n")
        hook.chmod(0o755)
        self._git("config", "--replace-all", "receive.procReceiveRefs", f"mdc:{_HEADS}{branch}")

    def _about(self) -> Json:
        head = self._git("symbolic-ref", "HEAD")
        size = sum(f.stat().st_size for f in (self._repository / "objects").rglob("*") if f.is_file())
        return {"id": "repository-id", "name": NAME, "defaultBranch": head, "size": size}

    def _find(self, number: int) -> Json | None:
        return next((r for r in self._requests if r["pullRequestId"] == number), None)

    def _commit(self, ref: str) -> str:
        command = ["git", "-C", str(self._repository), "rev-parse", "-q", "--verify", ref]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self._repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def _save(self) -> None:
        body = {"requests": self._requests, "policies": self._policies, "strategy": self._strategy}
        self._stored.write_text(json.dumps(body))


def _refusal(status: int, key: str, message: str) -> web.Response:
    body = {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": f"Microsoft.TeamFoundation.Git.Server.{key}, Microsoft.TeamFoundation.Git.Server",
        "typeKey": key,
        "errorCode": 0,
        "eventId": 3000,
    }
    return web.json_response(body, status=status)
