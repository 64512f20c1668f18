"""The function app: every trigger of the backup, registered on one app."""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func

from functions import (
    audit_http,
    chain,
    credentials_http,
    dashboard,
    git_folders_http,
    maintenance,
    openapi,
    pages,
    poison_http,
    recovery_http,
    reports_http,
    runs_http,
    tags_http,
    telling,
    volume_http,
)
from shared.wiring.gate import platform_signs_in

# Where people sign in, the gate knows them; elsewhere the function key is what keeps others out.
LEVEL = func.AuthLevel.ANONYMOUS if platform_signs_in() else func.AuthLevel.FUNCTION

app = df.DFApp(http_auth_level=LEVEL)
app.register_functions(chain.blueprint)
app.register_functions(runs_http.blueprint)
app.register_functions(maintenance.blueprint)
app.register_functions(recovery_http.blueprint)
app.register_functions(reports_http.blueprint)
app.register_functions(pages.blueprint)
app.register_functions(poison_http.blueprint)
app.register_functions(audit_http.blueprint)
app.register_functions(dashboard.blueprint)
app.register_functions(credentials_http.blueprint)
app.register_functions(openapi.blueprint)
app.register_functions(telling.blueprint)
app.register_functions(git_folders_http.blueprint)
app.register_functions(volume_http.blueprint)
app.register_functions(tags_http.blueprint)
