"""What to do about a failure, by its code."""

from __future__ import annotations

OTHERWISE = "Look at the reason below, then take the failures again: ./backup sync --retry RUN"
WHAT_TO_DO = {
    "folder_unknown": "Grant the backup's identity CAN READ on the folder. Nothing below it was touched.",
    "permission_denied": "Grant the backup's identity CAN READ on the notebook.",
    "not_found": "The notebook vanished while the run went on, or may not be read: grant CAN READ if it still exists.",
    "workspace_unavailable": "The workspace did not answer: ./backup sync --retry RUN, or wait for the next run.",
    "workspace_error": "The workspace refused: run ./backup doctor, then ./backup sync --retry RUN",
    "too_large": "Split the notebook, or clear its outputs.",
    "unknown_language": "The workspace names a language that the backup does not know: open the notebook and save it.",
    "batch_poisoned": "See the function app's log for the batch, then ./backup sync --retry RUN",
    "blocked_by_file": "Nothing: the next run gives the notebook another file name.",
    "plan_lost": "Nothing was removed because of it: the next run completes this one.",
    "damaged_blob": "Nothing was removed because of it: the next run completes this one.",
    "secret_held": "Move the token to a secret scope, revoke it, then run the backup again.",
    "damaged_checkpoint": "It is rebuilt by itself; by hand: ./backup rebuild",
    "checkpoint_missing": "It is rebuilt by itself; by hand: ./backup rebuild",
    "damaged_manifest": "It is rebuilt by itself; by hand: ./backup rebuild",
    "manifest_missing": "It is rebuilt by itself; by hand: ./backup rebuild",
    "branch_missing": "Look in the Git server's log who deleted the branch. The next run brings it back.",
    "history_rewritten": "Look in the Git server's log who force-pushed the branch. The next run settles it.",
    "file_missing": "Start a run. If it stays, restore the repository from the Git server's own backup.",
    "file_differs": "Start a run. If it stays, restore the repository from the Git server's own backup.",
    "bytes_differ": "Start a run. If it stays, restore the repository from the Git server's own backup.",
    "blob_unreadable": "The remote's repository is damaged: ask its operator.",
    "workspace_differs": "Open the notebook in the workspace, and save it again.",
    "damaged_archive": "Runs that are over are not harmed; one under way exports again.",
    "blob_missing": "Runs that are over are not harmed; one under way exports again.",
    "blob_differs": "Runs that are over are not harmed; one under way exports again.",
    "row_damaged": "See who may write to the storage account.",
    "row_missing": "See who may write to the storage account.",
    "audit_broken": "Keep the table `audit` as evidence. See who may write to the storage account.",
    "audit_damaged": "Keep the table `audit` as evidence. See who may write to the storage account.",
    "run_missing": "See who may write to the storage account.",
}


def what_to_do(code: str, run_id: str = "") -> str:
    """What to do about failures of a code, for those of a run with its id in the command."""
    return WHAT_TO_DO.get(code, OTHERWISE).replace("RUN", run_id or "RUN")
