"""The one gate before every HTTP function: size, pace, who asks, where from, what they may do, and see.

`enter` raises, and the function is not called; `seal` gives each answer the headers that browsers obey.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

import azure.functions as func
from pydantic import ValidationError

from functions.requests import MOST_BODY_BYTES, origin_of
from functions.route_rights import NOTEBOOK_PARAMETERS, PAGES, ROUTES, Tells
from functions.tracing import traced_request
from shared.domain.access import ANONYMOUS, Caller, Pace, Right
from shared.errors import BackupError
from shared.services.access.decisions import OutsideFolders, PrincipalNotBelieved
from shared.wiring import services

MOST_PARAMETERS = 32
MOST_ADDRESS_CHARACTERS = 16_384
READ_SETTING = "BACKUP_READ_FOLDERS"
ID = re.compile(r"[0-9A-Za-z-]{1,64}")
SAFE_METHODS = ("GET", "HEAD")
_FORM = "application/x-www-form-urlencoded"
_SENT_ACROSS_SITES = (_FORM, "multipart/form-data", "text/plain")
"""What a page of any site can have a browser send without being asked first (Fetch standard, CORS-safelisted)."""
_SEALS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HSTS = "max-age=31536000; includeSubDomains"


class RouteClosed(BackupError):
    """The route {name} is open to nobody. Its maintainers have to say in functions/route_rights.py who may use it."""

    code = "route_closed"


class RequestTooLarge(BackupError):
    """The request is too large: {what}. Ask for less at once."""

    code = "request_too_large"


class CrossSite(BackupError):
    """The request comes from a page of another site: nothing was done. Open the backup's own pages, and go on there."""

    code = "cross_site"


class UnknownHost(BackupError):
    """This app is not known as {host}: open it by localhost or its address, or set BACKUP_URL to that name."""

    code = "unknown_host"


class WrongMediaType(BackupError):
    """The body has to be {wanted}. Send it with that Content-Type."""

    code = "wrong_media_type"


@contextmanager
def entered(name: str, req: func.HttpRequest) -> Iterator[None]:
    """A request within its trace, once it was let in: what is done within may be done. Raises as `enter` does."""
    with traced_request(name, req):
        enter(name, req)
        yield


def enter(name: str, req: func.HttpRequest) -> None:
    """Let a request through to the function `name`, or raise a `BackupError` that says what to do."""
    rule = ROUTES.get(name)
    if rule is None:
        raise RouteClosed(name=name)
    _check_size(req)
    if rule.right is Right.PUBLIC:
        return
    caller = _known(req, rule.pace)
    services().access.admit(caller, rule.right)
    _check_host(caller, req)
    _check_site(name, req)
    _check_inside(caller, rule.tells, req)


def seal(answer: func.HttpResponse) -> func.HttpResponse:
    """The answer with every header that it does not have by itself."""
    for header, value in _SEALS.items():
        if header not in answer.headers:
            answer.headers[header] = value
    if _in_azure():
        answer.headers["Strict-Transport-Security"] = _HSTS
    return answer


def _in_azure() -> bool:
    try:
        return services().access.sign_in.in_azure
    except ValidationError:
        # An app whose settings are wrong still says so.
        return False


def _check_size(req: func.HttpRequest) -> None:
    if len(req.get_body()) > MOST_BODY_BYTES:
        raise RequestTooLarge(what=f"its body may have {MOST_BODY_BYTES} bytes")
    if len(req.url) > MOST_ADDRESS_CHARACTERS or len(req.params) > MOST_PARAMETERS:
        raise RequestTooLarge(
            what=f"its address may have {MOST_ADDRESS_CHARACTERS} characters and {MOST_PARAMETERS} parameters"
        )
    identity = req.route_params.get("id")
    if identity is not None and not ID.fullmatch(identity):
        raise ValueError("the id must have letters, digits and hyphens alone, at most 64")


def _known(req: func.HttpRequest, pace: Pace) -> Caller:
    """Who asks, if they do not ask too often."""
    access = services().access
    try:
        caller = access.caller(req.headers)
    except PrincipalNotBelieved:
        access.slow_down(origin_of(req), ANONYMOUS.name, pace)
        raise
    shared = caller == ANONYMOUS or caller.trusted
    key = f"{caller.subject} {origin_of(req)}" if shared else caller.subject
    access.slow_down(key, caller.name, pace)
    return caller


def _check_host(caller: Caller, req: func.HttpRequest) -> None:
    """Where nobody signs in, a site whose name was made to mean this machine (DNS rebinding) is none of ours."""
    host = (urlsplit(f"//{req.headers.get('Host', '')}").hostname or "").rstrip(".")
    known = {urlsplit(f"//{name}").hostname for name in services().access.sign_in.hosts}
    # A name of one word is nobody's on the Internet.
    if caller.trusted and "." in host and host not in known and not host.endswith(".localhost") and not _is_ip(host):
        raise UnknownHost(host=host)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _check_site(name: str, req: func.HttpRequest) -> None:
    """What changes something comes from our own pages, or from no browser (Fetch Metadata, and Origin: RFC 6454)."""
    site = req.headers.get("Sec-Fetch-Site", "")
    if req.method in SAFE_METHODS:
        navigates = req.headers.get("Sec-Fetch-Mode") == "navigate" and req.headers.get("Sec-Fetch-Dest") == "document"
        if site in ("cross-site", "same-site") and not navigates:
            raise CrossSite
        return
    origin = req.headers.get("Origin")
    if site and site not in ("same-origin", "none"):
        raise CrossSite
    if origin is not None and not _is_ours(origin, req):
        raise CrossSite
    if not site and origin is None and req.headers.get("Cookie"):
        # A browser's session, and a browser that hides where it was.
        raise CrossSite
    kind = req.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if name in PAGES:
        if kind and kind != _FORM:
            raise WrongMediaType(wanted=_FORM)
    elif kind in _SENT_ACROSS_SITES:
        raise WrongMediaType(wanted="application/json")


def _is_ours(origin: str, req: func.HttpRequest) -> bool:
    known = {req.headers.get("Host", ""), urlsplit(req.url).netloc, *services().access.sign_in.hosts}
    return urlsplit(origin).netloc.lower() in {host.lower() for host in known if host}


def _check_inside(caller: Caller, tells: Tells, req: func.HttpRequest) -> None:
    scope = services().access.readable(caller)
    if scope.whole or tells in (Tells.NOTHING, Tells.INSIDE):
        return
    if tells is Tells.NOTEBOOK:
        given = [req.params[name] for name in NOTEBOOK_PARAMETERS if req.params.get(name)]
        outside = [path for path in given if not scope.holds_notebook(path)]
    elif tells is Tells.FOLDER:
        folder = req.params.get("folder") or services().history.root
        outside = [] if scope.holds_folder(folder) else [folder]
    else:
        outside = [services().history.root]
    if outside:
        raise OutsideFolders(path=outside[0], name=caller.name, act="see", setting=READ_SETTING)
