"""The only reader of the environment: one frozen, validated object."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_serializer, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.domain.addresses import check_connection_string, check_smtp_url, checked_url, is_loopback
from shared.domain.audit import AuditHead, anchors_in
from shared.domain.commit_ids import parse_ids
from shared.domain.devops_addresses import repository_api
from shared.domain.digests import Digests
from shared.domain.folder_scopes import FolderMap
from shared.domain.mail import Recipients, is_address, read_recipients
from shared.domain.people import People

type SecretName = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{0,127}$")]
"""How a vault names a secret."""


OWN_BRANCHES = "backup/head/"
"""Begins the name of the backup's own branch where another is reached by pull requests."""
ENVIRONMENT = "{environment}"
"""Stands for `BACKUP_ENVIRONMENT` in the name of a branch."""


def _alias(name: str) -> dict[str, str]:
    return {"validation_alias": name}


_CONFIG = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True)
"""A wrong setting is named without its value: it may be, or hold, a secret."""


class AccessSettings(BaseSettings):
    """Who is let in, and what they may reach. They are read without the others where routes are registered.

    Azure sets `WEBSITE_AUTH_ENABLED` by the state of App Service Authentication: on App Service plans
    (https://learn.microsoft.com/azure/app-service/reference-app-settings), and for consumption plans as the host is
    specialized (`HostAssignmentContext.ApplyAppSettings` of the Functions host). Of the names that tell that the app
    runs in Azure, Flex Consumption has no `WEBSITE_INSTANCE_ID` (`EnvironmentExtensions` there).
    """

    model_config = _CONFIG

    auth: Annotated[Literal["auto", "entra", "none"], Field(**_alias("BACKUP_AUTH"))] = "auto"
    platform_auth: Annotated[str, Field(**_alias("WEBSITE_AUTH_ENABLED"))] = ""
    instance: Annotated[str, Field(**_alias("WEBSITE_INSTANCE_ID"))] = ""
    plan: Annotated[str, Field(**_alias("WEBSITE_SKU"))] = ""
    consumption_host: Annotated[str, Field(**_alias("LEGION_SERVICE_HOST"))] = ""
    site_host: Annotated[str, Field(**_alias("WEBSITE_HOSTNAME"))] = ""
    restore_folders: Annotated[FolderMap, NoDecode, Field(**_alias("BACKUP_RESTORE_FOLDERS"))] = FolderMap()
    read_folders: Annotated[FolderMap, NoDecode, Field(**_alias("BACKUP_READ_FOLDERS"))] = FolderMap()
    requests_a_minute: Annotated[int, Field(**_alias("BACKUP_REQUESTS_PER_MINUTE"), ge=10)] = 1200

    @field_validator("restore_folders", "read_folders", mode="before")
    @classmethod
    def _parsed_folders(cls, value: object) -> object:
        return FolderMap.parse(value) if isinstance(value, str) else value

    @property
    def in_azure(self) -> bool:
        """Whether the app runs in Azure; Core Tools sets a host name, too, which is this machine's."""
        elsewhere = self.site_host and not is_loopback(self.site_host.rpartition(":")[0] or self.site_host)
        return bool(self.instance or self.plan or self.consumption_host or elsewhere)

    @property
    def guarded(self) -> bool:
        """Whether the platform signs people in, and strips its header from what comes in."""
        switched_on = self.platform_auth.strip().lower() in ("true", "1")
        return self.in_azure and switched_on and self.auth != "none"

    @property
    def sign_in_required(self) -> bool:
        """Whether nobody is let in without sign-in."""
        return self.in_azure or self.auth == "entra"


class RemoteSettings(BaseSettings):
    """What the repository is reached by, for the app and for commands that run beside an old volume."""

    model_config = _CONFIG

    git_remote_url: Annotated[str, Field(**_alias("GIT_REMOTE_URL"))]
    git_token: Annotated[SecretStr | None, Field(**_alias("GIT_TOKEN"))] = None
    environment: Annotated[str, Field(**_alias("BACKUP_ENVIRONMENT"), pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]*)?$")] = ""
    git_branch: Annotated[str, Field(**_alias("GIT_BRANCH"), min_length=1)] = "main"
    commit_mode: Annotated[Literal["direct", "pull_request"], Field(**_alias("BACKUP_COMMIT_MODE"))] = "direct"
    git_ca_file: Annotated[Path | None, Field(**_alias("GIT_CA_FILE"))] = None
    git_executable: Annotated[str | None, Field(**_alias("BACKUP_GIT"))] = None
    identity_client_id: Annotated[str | None, Field(**_alias("AZURE_CLIENT_ID"))] = None
    backup_root: Annotated[str, Field(**_alias("BACKUP_ROOT"))] = "/Clients"
    deletion_guard_share: Annotated[float, Field(**_alias("BACKUP_DELETION_GUARD_SHARE"), ge=0, le=1)] = 0.2
    committer_name: Annotated[str, Field(**_alias("BACKUP_COMMITTER_NAME"))] = "Notebook Backup"
    committer_email: Annotated[str, Field(**_alias("BACKUP_COMMITTER_EMAIL"))] = "notebook-backup@localhost"
    scratch: Annotated[Path, Field(**_alias("BACKUP_SCRATCH"))] = Path(tempfile.gettempdir()) / "notebook-backup"

    @field_validator("git_branch")
    @classmethod
    def _of_the_environment(cls, value: str, info: ValidationInfo) -> str:
        return named_for(value, info)

    @model_validator(mode="after")
    def _pull_requests_need_azure_devops(self) -> Self:
        if self.commit_mode == "pull_request" and repository_api(self.git_remote_url) is None:
            raise ValueError("BACKUP_COMMIT_MODE: pull requests need a GIT_REMOTE_URL of Azure DevOps (.../_git/NAME)")
        return self

    @property
    def backup_branch(self) -> str:
        """The branch that the backup commits to: GIT_BRANCH, or one beside it that reaches it by pull requests."""
        return self.git_branch if self.commit_mode == "direct" else f"{OWN_BRANCHES}{self.git_branch}"

    @field_validator("backup_root")
    @classmethod
    def _absolute_root(cls, value: str) -> str:
        root = value.rstrip("/")
        if not root.startswith("/"):
            raise ValueError("must be an absolute workspace folder such as /Clients")
        return root


def named_for(value: str, info: ValidationInfo) -> str:
    """A branch's name with the environment put in. Raises `ValueError` where none is set."""
    environment = str(info.data.get("environment") or "")
    if ENVIRONMENT in value and not environment:
        raise ValueError(f"holds {ENVIRONMENT}: set BACKUP_ENVIRONMENT, too")
    return value.replace(ENVIRONMENT, environment)


class Settings(AccessSettings, RemoteSettings):
    """The app settings, by the names they have in Azure. Secrets print redacted.

    Raises pydantic's `ValidationError`, which names each setting that is missing or wrong.
    """

    databricks_host: Annotated[str, Field(**_alias("DATABRICKS_HOST"))]
    databricks_token: Annotated[SecretStr | None, Field(**_alias("DATABRICKS_TOKEN"))] = None
    databricks_token_secret: Annotated[SecretName | None, Field(**_alias("DATABRICKS_TOKEN_SECRET"))] = None
    databricks_restore_token_secret: Annotated[
        SecretName | None, Field(**_alias("DATABRICKS_RESTORE_TOKEN_SECRET"))
    ] = None
    databricks_warehouse_id: Annotated[str | None, Field(**_alias("DATABRICKS_WAREHOUSE_ID"))] = None
    git_token_secret: Annotated[SecretName | None, Field(**_alias("GIT_TOKEN_SECRET"))] = None
    pat_api_url: Annotated[str | None, Field(**_alias("BACKUP_PAT_API_URL"))] = None
    git_folder_branches: Annotated[
        str,
        Field(
            **_alias("BACKUP_GIT_FOLDER_BRANCHES"),
            pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*/$",
            validate_default=True,
        ),
    ] = ""
    git_folder_provider: Annotated[str, Field(**_alias("BACKUP_GIT_FOLDER_PROVIDER"))] = "azureDevOpsServices"
    git_folder_notebooks: Annotated[int, Field(**_alias("BACKUP_GIT_FOLDER_NOTEBOOKS"), ge=1)] = 5_000
    git_folder_files: Annotated[int, Field(**_alias("BACKUP_GIT_FOLDER_FILES"), ge=1)] = 10_000
    git_folder_megabytes: Annotated[int, Field(**_alias("BACKUP_GIT_FOLDER_MEGABYTES"), ge=1)] = 500
    git_folders_most: Annotated[int, Field(**_alias("BACKUP_GIT_FOLDERS_MOST"), ge=1)] = 2_000
    git_folder_aside: Annotated[str, Field(**_alias("BACKUP_GIT_FOLDER_ASIDE"))] = ""
    storage: Annotated[SecretStr | None, Field(**_alias("AzureWebJobsStorage"))] = None
    storage_blob_uri: Annotated[str | None, Field(**_alias("AzureWebJobsStorage__blobServiceUri"))] = None
    storage_queue_uri: Annotated[str | None, Field(**_alias("AzureWebJobsStorage__queueServiceUri"))] = None
    storage_table_uri: Annotated[str | None, Field(**_alias("AzureWebJobsStorage__tableServiceUri"))] = None
    restore_client_id: Annotated[str | None, Field(**_alias("BACKUP_RESTORE_CLIENT_ID"))] = None
    backup_schedule: Annotated[str, Field(**_alias("BACKUP_SCHEDULE"))] = "0 30 2 * * *"
    container: Annotated[str, Field(**_alias("BACKUP_CONTAINER"), min_length=3, max_length=63)] = "backup"
    workspace_threads: Annotated[int, Field(**_alias("BACKUP_WORKSPACE_THREADS"), ge=1, le=256)] = 48
    workspace_calls_per_second: Annotated[float, Field(**_alias("BACKUP_WORKSPACE_CALLS_PER_SECOND"), gt=0)] = 2000.0
    commit_max_files: Annotated[int, Field(**_alias("BACKUP_COMMIT_MAX_FILES"), ge=1)] = 20_000
    commit_max_megabytes: Annotated[int, Field(**_alias("BACKUP_COMMIT_MAX_MEGABYTES"), ge=1)] = 256
    staging_retention_days: Annotated[int, Field(**_alias("BACKUP_STAGING_RETENTION_DAYS"), ge=0)] = 7
    manifest_retention_days: Annotated[int, Field(**_alias("BACKUP_MANIFEST_RETENTION_DAYS"), ge=1)] = 35
    tag_retention_months: Annotated[int, Field(**_alias("BACKUP_TAG_RETENTION_MONTHS"), ge=0)] = 0
    restore_retention_days: Annotated[int, Field(**_alias("BACKUP_RESTORE_RETENTION_DAYS"), ge=1)] = 90
    audit_anchor_uri: Annotated[str | None, Field(**_alias("BACKUP_AUDIT_ANCHOR_URI"))] = None
    audit_retention_days: Annotated[int, Field(**_alias("BACKUP_AUDIT_RETENTION_DAYS"), ge=0)] = 0
    audit_anchor_container: Annotated[str | None, Field(**_alias("BACKUP_AUDIT_ANCHOR_CONTAINER"))] = None
    audit_lost: Annotated[AuditHead | None, NoDecode, Field(**_alias("BACKUP_AUDIT_LOST"))] = None
    audit_foreign: Annotated[tuple[str, ...], NoDecode, Field(**_alias("BACKUP_AUDIT_FOREIGN"))] = ()
    verify_schedule: Annotated[str, Field(**_alias("BACKUP_VERIFY_SCHEDULE"))] = "0 30 6 * * *"
    verify_days: Annotated[int, Field(**_alias("BACKUP_VERIFY_DAYS"), ge=1, le=366)] = 30
    verify_read_back: Annotated[int, Field(**_alias("BACKUP_VERIFY_READ_BACK"), ge=0)] = 200
    found_tokens: Annotated[Literal["report", "hold", "ignore"], Field(**_alias("BACKUP_SECRETS"))] = "report"
    content_cache_megabytes: Annotated[int, Field(**_alias("BACKUP_CONTENT_CACHE_MEGABYTES"), ge=1)] = 256
    stall_minutes: Annotated[int, Field(**_alias("BACKUP_STALL_MINUTES"), ge=1)] = 15
    give_up_hours: Annotated[float, Field(**_alias("BACKUP_GIVE_UP_HOURS"), gt=0)] = 6.0
    step_budget_seconds: Annotated[float, Field(**_alias("BACKUP_STEP_BUDGET_SECONDS"), gt=0, le=540)] = 300.0
    attribution_days: Annotated[int, Field(**_alias("BACKUP_ATTRIBUTION_DAYS"), ge=1, le=365)] = 30
    people: Annotated[People, NoDecode, Field(**_alias("BACKUP_PEOPLE"), default_factory=People)]
    digests: Annotated[Digests, NoDecode, Field(**_alias("BACKUP_DIGESTS"))] = Digests()
    digest_hour: Annotated[int, Field(**_alias("BACKUP_DIGEST_HOUR"), ge=0, le=23)] = 6
    smtp_url: Annotated[SecretStr | None, Field(**_alias("SMTP_URL"))] = None
    mail_endpoint: Annotated[str | None, Field(**_alias("BACKUP_MAIL_ENDPOINT"))] = None
    mail_from: Annotated[str, Field(**_alias("BACKUP_MAIL_FROM"))] = ""
    mail_to: Annotated[Recipients, NoDecode, Field(**_alias("BACKUP_MAIL_TO"))] = Recipients()
    heartbeat_hours: Annotated[float, Field(**_alias("BACKUP_HEARTBEAT_HOURS"), gt=0)] = 26.0
    app_url: Annotated[str, Field(**_alias("BACKUP_URL"))] = ""
    backup_target: Annotated[float, Field(**_alias("BACKUP_TARGET_BACKUPS"), ge=0, le=1)] = 0.999
    restore_target: Annotated[float, Field(**_alias("BACKUP_TARGET_RESTORES"), ge=0, le=1)] = 0.99
    application_insights: Annotated[SecretStr | None, Field(**_alias("APPLICATIONINSIGHTS_CONNECTION_STRING"))] = None
    application_insights_authentication: Annotated[
        str, Field(**_alias("APPLICATIONINSIGHTS_AUTHENTICATION_STRING"))
    ] = ""
    otlp_endpoint: Annotated[str | None, Field(**_alias("OTEL_EXPORTER_OTLP_ENDPOINT"))] = None
    telemetry_seconds: Annotated[float, Field(**_alias("BACKUP_TELEMETRY_SECONDS"), gt=0)] = 60.0
    key_vault_uri: Annotated[str | None, Field(**_alias("KEY_VAULT_URI"))] = None
    secret_cache_seconds: Annotated[float, Field(**_alias("BACKUP_SECRET_CACHE_SECONDS"), ge=0, le=240)] = 60.0
    rotate_days: Annotated[int, Field(**_alias("BACKUP_ROTATE_DAYS"), ge=0)] = 14
    token_days: Annotated[int, Field(**_alias("BACKUP_TOKEN_DAYS"), ge=1, le=730)] = 90

    @model_validator(mode="after")
    def _vault_of_secrets(self) -> Self:
        named = (self.databricks_token_secret, self.databricks_restore_token_secret, self.git_token_secret)
        if any(named) and not self.key_vault_uri:
            raise ValueError("a setting that ends in _TOKEN_SECRET names a secret of a vault: set KEY_VAULT_URI, too")
        if self.rotate_days >= self.token_days:
            raise ValueError("BACKUP_ROTATE_DAYS must be less than BACKUP_TOKEN_DAYS: a new token would be due at once")
        return self

    @field_serializer("people")
    def _counted_people(self, value: People) -> str:
        """Who people are is printed nowhere."""
        return f"{len(value.by_mail)} people"

    @field_validator("git_folder_branches", mode="before")
    @classmethod
    def _folders_of_the_environment(cls, value: Any, info: ValidationInfo) -> Any:
        if value:
            return named_for(value, info) if isinstance(value, str) else value
        # Two environments in one repository must not move each other's branches.
        environment = info.data.get("environment")
        return f"folders/{environment}/" if environment else "folders/"

    @field_validator("people", mode="before")
    @classmethod
    def _parsed_people(cls, value: Any) -> Any:
        return People.parse(value) if isinstance(value, str) else value

    @field_validator("audit_lost", mode="before")
    @classmethod
    def _parsed_head(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = anchors_in(f"Backup-Audit: {value}") if value else []
        if value and not found:
            raise ValueError("must be a number and a hash, as in a commit's line Backup-Audit")
        return next(iter(found), None)

    @field_validator("audit_foreign", mode="before")
    @classmethod
    def _parsed_ids(cls, value: Any) -> Any:
        return parse_ids(value) if isinstance(value, str) else value

    @field_validator("digests", mode="before")
    @classmethod
    def _parsed_digests(cls, value: Any) -> Any:
        return Digests.parse(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _aside_is_outside(self) -> Self:
        if self.aside == self.backup_root or self.aside.startswith(f"{self.backup_root}/"):
            raise ValueError("BACKUP_GIT_FOLDER_ASIDE must be outside BACKUP_ROOT: what is set aside is not backed up")
        return self

    @property
    def aside(self) -> str:
        """Where the contents of folders are set aside that become Git folders."""
        return self.git_folder_aside.rstrip("/") or f"{self.backup_root}.before-git"

    @property
    def dashboard_url(self) -> str:
        """Where mails lead: the dashboard's address, or nothing where the app's own is not known."""
        base = self.app_url or (f"https://{self.site_host}" if self.site_host else "")
        return f"{base.rstrip('/')}/api/dashboard" if base else ""

    @field_validator("mail_to", mode="before")
    @classmethod
    def _recipients(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            parsed = json.loads(value) if value.lstrip().startswith("{") else None
        except ValueError:
            raise ValueError("must be addresses with commas between them, or a JSON object by kind") from None
        return read_recipients(value, parsed)

    @field_validator("mail_from")
    @classmethod
    def _one_address(cls, value: str) -> str:
        if value and not is_address(value):
            raise ValueError("must be one plain mail address such as backup@example.com")
        return value

    @field_validator("databricks_host")
    @classmethod
    def _host_with_scheme(cls, value: str) -> str:
        host = value.rstrip("/")
        return checked_url(host if "://" in host else f"https://{host}")

    @field_validator(
        "git_remote_url",
        "pat_api_url",
        "storage_blob_uri",
        "storage_queue_uri",
        "storage_table_uri",
        "audit_anchor_uri",
        "mail_endpoint",
        "otlp_endpoint",
        "key_vault_uri",
        "app_url",
    )
    @classmethod
    def _tls_but_on_this_machine(cls, value: str | None) -> str | None:
        """Tokens go there."""
        return checked_url(value) if value else value

    @field_validator("smtp_url")
    @classmethod
    def _tls_to_the_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value():
            check_smtp_url(value.get_secret_value())
        return value

    @field_validator("storage", "application_insights")
    @classmethod
    def _tls_in_a_connection_string(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_connection_string(value.get_secret_value())
        return value
