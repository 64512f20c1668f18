"""What to do about a failure, by its code, in one sentence."""

from __future__ import annotations

REMEDIES = {
    "folder_unknown": "Grant the backup's identity CAN READ on the folder. Nothing below it was removed.",
    "not_found": "The notebook vanished while the run went on, or may not be read: grant CAN READ if it is there.",
    "permission_denied": "Grant the backup's identity CAN READ on the notebook or a folder above it.",
    "too_large": "Split the notebook, or clear its outputs: it is over both export limits.",
    "workspace_unavailable": "Nothing, if it is once: the next run brings it. Now: ./backup sync --retry RUN",
    "workspace_error": "Take the failures again: ./backup sync --retry RUN. If it stays: ./backup doctor",
    "batch_poisoned": "See the function app's log for the reason, then: ./backup sync --retry RUN",
    "unknown_language": "Tell the maintainers: the workspace names a language that the backup does not know.",
    "secret_held": "Move the token to a secret scope, revoke it, and run the backup again.",
    "blocked_by_file": "Nothing: the next run gives the notebook another file name.",
    "plan_lost": "Nothing: the next run completes it.",
    "damaged_blob": "Run ./backup verify to see what is damaged; the next run completes the backup.",
    "damaged_checkpoint": "It is rebuilt by itself; by hand: ./backup rebuild",
    "checkpoint_missing": "It is rebuilt by itself; by hand: ./backup rebuild",
    "damaged_manifest": "It is rebuilt by itself; by hand: ./backup rebuild",
    "manifest_missing": "It is rebuilt by itself; by hand: ./backup rebuild",
    "branch_missing": "See in the Git server's log who deleted the branch; the next run brings it back.",
    "history_rewritten": "See in the Git server's log who moved the branch by force; the next run settles it.",
    "file_missing": "Start a run: ./backup sync. If it stays, restore the repository from the server's own backup.",
    "file_differs": "Start a run: ./backup sync. If it stays, restore the repository from the server's own backup.",
    "bytes_differ": "Start a run: ./backup sync. If it stays, restore the repository from the server's own backup.",
    "blob_unreadable": "Ask the Git server's operator: the repository is damaged there.",
    "workspace_differs": "Open the notebook in the workspace, and save it again.",
    "damaged_archive": "Nothing: a run that is over is not harmed, one under way exports again.",
    "blob_missing": "See who may write to the storage account; runs that are over are not harmed.",
    "blob_differs": "See who may write to the storage account; runs that are over are not harmed.",
    "row_damaged": "See who may write to the storage account.",
    "row_missing": "See who may write to the storage account.",
    "run_missing": "See who may write to the storage account.",
}
OTHERWISE = "Look at the reason, then run ./backup doctor."


def remedy(code: str, run_id: str = "RUN") -> str:
    """What to do; `run_id` is the run to take again."""
    return REMEDIES.get(code, OTHERWISE).replace("RUN", run_id)
