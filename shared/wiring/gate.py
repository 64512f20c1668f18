"""The service that lets requests in."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import ValidationError

from shared.clock import Clock
from shared.services.access.decisions import AccessService, SignIn
from shared.services.access.request_rate import RequestRate
from shared.settings import AccessSettings, Settings


def access_service(settings: Settings, clock: Clock) -> AccessService:
    known = (settings.site_host, urlsplit(settings.app_url).netloc)
    sign_in = SignIn(
        guarded=settings.guarded,
        required=settings.sign_in_required,
        in_azure=settings.in_azure,
        hosts=tuple(host for host in known if host),
    )
    rate = RequestRate(clock, settings.requests_a_minute)
    return AccessService(sign_in, rate, settings.restore_folders, settings.read_folders)


def platform_signs_in() -> bool:
    """Whether the platform signs people in, by the environment; not where its settings are wrong."""
    try:
        return AccessSettings.model_validate({}).guarded
    except ValidationError:
        return False
