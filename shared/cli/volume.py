"""The commands `import-volume` and `parity`: the way out of an older backup that keeps full copies on a volume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from shared.cli.operations import AsJson
from shared.cli.terminal import cell, notes, print_json, print_table, say, table
from shared.domain.batches import Failure, Notice
from shared.domain.sizes import size_text
from shared.errors import BackupError
from shared.services.volume.full_copy import counted
from shared.services.volume.import_copies import CopyOutcome, ImportOptions

app = typer.Typer()
MOST_NAMED = 20
Volume = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the dated copies.")]
Below = Annotated[
    str,
    typer.Option(metavar="FOLDER", help="The folder in each copy that is the backup root; `.` for the copy itself."),
]


@app.command("import-volume")
def import_volume(
    context: typer.Context,
    folder: Volume,
    below: Below = "",
    branch: Annotated[str, typer.Option(help="The branch that the copies go to.")] = "imported/volume",
    as_root: Annotated[bool, typer.Option("--as-root", help="Begin the backup's own branch with them.")] = False,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take this copy though it lacks much.")
    ] = None,
    headerless: Annotated[
        bool, typer.Option("--headerless", help="Take files without a notebook's first line.")
    ] = False,
    record: Annotated[bool, typer.Option(help="Have the app record the import in its audit trail.")] = True,
    as_json: AsJson = False,
) -> None:
    """Bring dated full copies into Git, each as one commit. Ends with 1 if a copy was refused.

    Runs on the machine that has the volume, with the app's settings for the repository (GIT_REMOTE_URL, GIT_TOKEN).
    """
    # What reaches Git takes a second to load, and no other command needs it.
    from shared.wiring.volume import volume_import

    options = ImportOptions(frozenset(accept or ()), as_root)
    with said():
        service = volume_import(folder, None if as_root else branch, below, headerless=headerless)
        outcomes = service.run(options, lambda outcome: None if as_json else _tell(outcome))
    if as_json:
        print_json([_json(outcome) for outcome in outcomes])
    else:
        _show(outcomes)
    if record:
        copies = [{"name": o.name, "status": o.status, "commit": o.commit} for o in outcomes]
        context.obj.call(
            "POST", "volume-imports", json={"branch": "the backup's" if as_root else branch, "copies": copies}
        )
    raise typer.Exit(1 if any(o.status == "refused" for o in outcomes) else 0)


@contextmanager
def said() -> Iterator[None]:
    """Say an error of the backup, or a setting that is missing or wrong, and end with 2."""
    try:
        yield
    except ValidationError as error:
        # Without the values: one of them may be a secret.
        names = ", ".join(str(e["loc"][0]) for e in error.errors(include_input=False))
        say(f"Set {names}: docs/administrator.md says how.", "red")
        raise typer.Exit(2) from None
    except BackupError as error:
        say(str(error), "red")
        raise typer.Exit(2) from None


def _tell(outcome: CopyOutcome) -> None:
    say(f"{outcome.name}: {outcome.status}{''.join(f', {n} {kind}' for kind, n in outcome.counts.items() if n)}")


def _show(outcomes: list[CopyOutcome]) -> None:
    shown = table("copy", "", "notebooks", "size", "created", "changed", "deleted", "left out", "commit")
    for o in outcomes:
        numbers = [o.counts.get(kind, 0) for kind in ("created", "changed", "deleted")]
        left_out = ", ".join(f"{n} {code}" for code, n in counted([*o.failures, *o.notices]).items())
        row = (o.name, o.status, o.notebooks, size_text(o.size), *numbers, left_out, (o.commit or "")[:12])
        shown.add_row(*map(cell, row))
    print_table(shown)
    for o in outcomes:
        for failure in o.failures[:MOST_NAMED]:
            say(f"  {o.name}: {failure.code} {failure.path}: {failure.reason}", "yellow")
        if len(o.failures) > MOST_NAMED:
            notes.print(f"  and {len(o.failures) - MOST_NAMED} more, in full with --json")


def _json(outcome: CopyOutcome) -> dict[str, Any]:
    named: list[Failure | Notice] = [*outcome.failures, *outcome.notices]
    return {
        "name": outcome.name,
        "status": outcome.status,
        "when": outcome.when.isoformat() if outcome.when else None,
        "commit": outcome.commit,
        "notebooks": outcome.notebooks,
        "bytes": outcome.size,
        "counts": dict(outcome.counts),
        "left_out": [{"path": n.path, "code": n.code, "reason": n.reason} for n in named],
    }
