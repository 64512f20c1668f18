"""The command `parity`: full copies beside the Git backup of the same day, and since when both agree."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import requests
import typer

from shared.cli.client import Client
from shared.cli.operations import AsJson
from shared.cli.terminal import cell, out, print_facts, print_json, print_table, say, table
from shared.cli.volume import Below, said
from shared.domain.notebooks import ExportFormat, Language
from shared.domain.sizes import size_text
from shared.domain.volume import DatedCopy, dated
from shared.domain.volume_requests import MOST_FINDINGS
from shared.services.volume.parity_check import Held, Listing, Parity, by_reason

app = typer.Typer()
MOST_SHOWN = 20
VERSIONS_SECONDS = 60
_COUNTS = ("equal", "explained", "missing", "extra", "different", "unread")

type Json = dict[str, Any]


@app.command()
def parity(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The folder that holds the dated copies.")
    ] = None,
    copy: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Compare this copy; without it, the newest.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Compare every copy in the folder.")] = False,
    below: Below = "",
    as_json: AsJson = False,
) -> None:
    """Compare full copies with the Git backup of their day; without DIR, tell since when both agree.

    Ends with 1 where something differs that is not explained.
    """
    if folder is None:
        _report(context.obj, as_json)
        return
    found = _compare_all(context.obj, folder, below, None if every else copy or [])
    if as_json:
        print_json([_json(p) for p in found])
    else:
        for one in found:
            _show(one)
    raise typer.Exit(0 if all(p.agreed for p in found) else 1)


def _compare_all(client: Client, folder: Path, below: str, names: list[str] | None) -> list[Parity]:
    # What reaches Git takes a second to load, and no other command needs it.
    from shared.wiring.volume import parity_check

    found: list[Parity] = []
    with said():
        volume, check = parity_check(folder, below, AppBackup(client))
        copies, refused = dated([c for c in volume.copies() if isinstance(c, str)], datetime.now(UTC))
        for refusal in refused:
            say(f"{refusal.path}: {refusal.reason}", "yellow")
        for one in _chosen(copies, names):
            found.append(check.compare(one))
            client.call("POST", "parity", json=_body(found[-1]))
    return found


def _chosen(copies: list[DatedCopy], names: list[str] | None) -> list[DatedCopy]:
    if names is None:
        return copies
    if not names:
        return copies[-1:]
    known = {c.name: c for c in copies}
    if missing := [n for n in names if n not in known]:
        raise typer.BadParameter(f"there is no dated copy called {', '.join(missing)}", param_hint="--copy")
    return [known[n] for n in names]


class AppBackup:
    """See `shared.services.volume.parity_check.BackedUp`: what the function app knows, over HTTP."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def listing(self, at: str) -> Listing:
        """See `BackedUp.listing`."""
        held: list[Held] = []
        after: str | None = ""
        while after is not None:
            query = {"at": at, **({"after": after} if after else {})}
            answer = self._client.call("GET", "listing", params=query)
            held += [_held(row) for row in answer["notebooks"]]
            after, at = answer["next"], answer["at"]["commit"]
        return Listing(answer["at"]["commit"], datetime.fromisoformat(answer["at"]["committed_at"]), tuple(held))

    def versions(self, path: str) -> list[tuple[datetime, str | None]]:
        """See `BackedUp.versions`."""
        try:
            answer = self._client.complete("versions", {"path": path, "limit": "500"}, VERSIONS_SECONDS)
        except requests.HTTPError:
            return []
        here = [v for v in answer["versions"] if v["path"] == path or v["other_path"] == path]
        return [(datetime.fromisoformat(v["committed_at"]), _blob(v, path)) for v in here]


def _held(row: Json) -> Held:
    return Held(row["path"], Language(row["language"]), ExportFormat(row["format"]), row["blob"])


def _blob(version: Json, path: str) -> str | None:
    gone = version["kind"] in ("deleted", "moved_away") or version["path"] != path
    return None if gone else str(version["blob"])


def _body(found: Parity) -> Json:
    shown = [
        {"path": f.path[:4_096], "difference": f.difference, "explanations": f.explanations, "detail": f.detail[:1_000]}
        for f in found.findings[:MOST_FINDINGS]
    ]
    return {
        "day": f"{found.copy.when:%Y-%m-%d}",
        "copy_name": found.copy.name,
        "commit": found.commit,
        "notebooks": found.notebooks,
        "files": found.files,
        "size": found.size,
        "equal": found.equal,
        **found.counts(),
        "not_compared": found.left_out,
        "left_out": len(found.findings) - len(shown),
        "findings": shown,
    }


def _json(found: Parity) -> Json:
    told = {"agreed": found.agreed, "explained_by": dict(by_reason(found.findings))}
    return {**_body(found), **told, "committed_at": found.committed_at.isoformat()}


def _show(found: Parity) -> None:
    out.rule(found.copy.name)
    facts: dict[str, object] = {
        "backup": f"{found.commit[:12]} of {found.committed_at:%Y-%m-%d %H:%M} UTC",
        "copy": f"{found.notebooks:,} notebooks, {size_text(found.size)} in {found.files:,} files",
        "equal": found.equal,
        **{kind: count or None for kind, count in found.counts().items()},
        "explained by": ", ".join(f"{n} {reason}" for reason, n in by_reason(found.findings).items()),
        "verdict": "both agree" if found.agreed else "they differ",
    }
    print_facts(facts)
    for finding in found.findings[:MOST_SHOWN]:
        reasons = f" ({', '.join(finding.explanations)})" if finding.is_explained else ""
        say(f"  {finding.difference}{reasons} {finding.path}: {finding.detail}", "cyan" if reasons else "yellow")
    if len(found.findings) > MOST_SHOWN:
        say(f"  and {len(found.findings) - MOST_SHOWN} more, in full with --json")


def _report(client: Client, as_json: bool) -> None:
    answer = client.call("GET", "parity")
    if as_json:
        print_json(answer)
        return
    if not answer["compared"]:
        say("Nothing was compared yet: `./backup parity DIR` compares the newest copy in a folder.")
        return
    shown = table("day", "copy", "", *_COUNTS, "size")
    for day in answer["days"]:
        verdict = cell("agree", "green") if day["agreed"] else cell("differ", "yellow")
        row = (cell(day[name]) for name in _COUNTS)
        shown.add_row(cell(day["day"]), cell(day["copy"]), verdict, *row, cell(size_text(day["size"])))
    print_table(shown)
    print_facts(_facts(answer))


def _facts(answer: Json) -> dict[str, object]:
    space, agreed = answer["space"], answer["agreed"]
    facts: dict[str, object] = {"both agree": "not at the last comparison"}
    if agreed:
        gaps = f", {agreed['days_without']} days between them without" if agreed["days_without"] else ""
        facts["both agree"] = f"since {answer['agreed_since']}, in {agreed['compared']} comparisons{gaps}"
    facts["these copies"] = f"{space['copies']} take {size_text(space['copies_bytes'])}"
    if space["git_bytes"] is not None:
        facts["Git"] = f"{size_text(space['git_bytes'])} for its whole history"
    if space["saving"] is not None:
        facts["saving"] = f"{space['saving'] * 100:.1f} %"
    if full := space["full_copies"]:
        day = f"since {full['since']} would take {size_text(full['bytes'])}"
        facts["one copy a day"] = f"{day}, {full['saving'] * 100:.1f} % of it saved by Git"
    return facts
