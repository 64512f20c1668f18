"""The platform's own loader indexes the app with the functions and bindings that the local host sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
import json, sys
from azure_functions_runtime import loader
functions = loader.index_function_app("function_app.py")
rows = {}
for f in functions:
    rows[f.get_function_name()] = sorted((b.type, b.name) for b in f.get_bindings())
print(json.dumps(rows))
"""
EXPECTED_TRIGGERS = {
    "daily_backup": "timerTrigger",
    "watchdog": "timerTrigger",
    "plan_run": "queueTrigger",
    "export_batch": "queueTrigger",
    "export_poison": "queueTrigger",
    "plan_poison": "queueTrigger",
    "commit_orchestrator": "orchestrationTrigger",
    "commit_slice": "activityTrigger",
    "get_status": "httpTrigger",
    "list_runs": "httpTrigger",
    "start_run": "httpTrigger",
    "get_run": "httpTrigger",
    "get_doctor": "httpTrigger",
    "list_tags": "httpTrigger",
    "create_tag": "httpTrigger",
    "list_poison": "httpTrigger",
    "requeue_poison": "httpTrigger",
    "drop_poison": "httpTrigger",
    "list_git_folders": "httpTrigger",
    "start_git_folder_operation": "httpTrigger",
    "get_git_folder_operation": "httpTrigger",
    "git_folder_orchestrator": "orchestrationTrigger",
    "git_folder_slice": "activityTrigger",
    "git_folder_watchdog": "timerTrigger",
    "list_credentials": "httpTrigger",
    "check_credentials": "httpTrigger",
    "rotate_credential": "httpTrigger",
    "continue_rotations": "timerTrigger",
    "get_health": "httpTrigger",
    "daily_verification": "timerTrigger",
    "maintenance_step": "queueTrigger",
    "maintenance_poison": "queueTrigger",
    "list_verifications": "httpTrigger",
    "start_verification": "httpTrigger",
    "get_verification": "httpTrigger",
    "start_rebuild": "httpTrigger",
    "get_rebuild": "httpTrigger",
    "find_notebooks": "httpTrigger",
    "get_tree": "httpTrigger",
    "get_versions": "httpTrigger",
    "get_content": "httpTrigger",
    "get_diff": "httpTrigger",
    "start_restore": "httpTrigger",
    "undo_restore": "httpTrigger",
    "list_restores": "httpTrigger",
    "get_restore": "httpTrigger",
    "restore_orchestrator": "orchestrationTrigger",
    "restore_slice": "activityTrigger",
    "restore_watchdog": "timerTrigger",
    "get_openapi": "httpTrigger",
    "get_capacity": "httpTrigger",
    "page_dashboard": "httpTrigger",
    "page_browse": "httpTrigger",
    "page_history": "httpTrigger",
    "page_preview": "httpTrigger",
    "page_compare": "httpTrigger",
    "page_restore": "httpTrigger",
    "page_restore_now": "httpTrigger",
    "page_result": "httpTrigger",
    "page_undo": "httpTrigger",
    "get_audit": "httpTrigger",
    "get_audit_verify": "httpTrigger",
    "get_change_report": "httpTrigger",
    "watch_credentials": "timerTrigger",
    "get_listing": "httpTrigger",
    "get_parity": "httpTrigger",
    "get_parity_day": "httpTrigger",
    "keep_parity": "httpTrigger",
    "keep_import": "httpTrigger",
    "send_mail": "queueTrigger",
    "mail_poison": "queueTrigger",
    "look_around": "timerTrigger",
    "send_digests": "timerTrigger",
}


def _run(program: str) -> dict[str, list[list[str]]]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BACKUP_SCHEDULE": "0 30 2 * * *",
        "BACKUP_VERIFY_SCHEDULE": "0 30 6 * * *",
    }
    command = [sys.executable, "-W", "ignore", "-c", program]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    rows: dict[str, list[list[str]]] = json.loads(result.stdout.splitlines()[-1])
    return rows


def test_the_platform_indexes_the_same_functions_and_bindings() -> None:
    platform = _run(PROGRAM)
    ours = _run(
        "import json\nfrom pathlib import Path\nfrom local.functions_host.app_loader import load_app\n"
        "print(json.dumps({f.name: [[f.trigger['type'], f.trigger['name']], f.client_argument] "
        "for f in load_app(Path('.'))}))"
    )
    assert platform.keys() == ours.keys() == EXPECTED_TRIGGERS.keys()
    for name, (trigger, client) in ours.items():
        assert trigger[0] == EXPECTED_TRIGGERS[name]
        assert trigger in platform[name]
        assert (["durableClient", client] in platform[name]) == (client is not None)
