"""The HTTP client of one function app, and how it is found."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
import typer
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from shared.cli.sign_in import refusal
from shared.cli.terminal import say
from shared.domain.addresses import checked_url

LOCAL_ADDRESS_FILE = Path(".local/backup.json")
LOCAL_URL = "http://127.0.0.1:7071"
CALL_TIMEOUT_SECONDS = 120
RETRIES = 4
LONGEST_PAUSE_SECONDS = 60
"""Before a call is made again: the app's own paces ask for no more."""
_REFUSED = "The app refused the key or token."
_SIGN_IN = "Pass a token by --token or BACKUP_TOKEN; outside Azure a function key, by --key or BACKUP_KEY."
NO_APP = (
    "No app is named, and none is started here. For the app in Azure set BACKUP_URL to its address, such as "
    "https://APP.azurewebsites.net, and BACKUP_TOKEN to your token (docs/command-line.md#sign-in); for one on this "
    "machine run ./start."
)
NOT_STARTED = (
    "The app of this checkout is not running: start it with ./start. For the app in Azure set BACKUP_URL to its "
    "address (docs/command-line.md#sign-in)."
)
_LOOK = "Look at `./backup status` and `./backup restores` before you ask again."


class Client:
    """Calls the HTTP API of one function app.

    A problem answer ends the command with its detail and exit code 2, an app that cannot be reached with 3.
    Key and token go to the app alone: no redirect is followed, and what `.netrc` may hold is not sent instead.
    """

    def __init__(
        self, url: str, key: str | None, token: str | None = None, *, retries: int = RETRIES, absent: str = ""
    ) -> None:
        """`absent` is what to say where nothing answers, in place of the address."""
        self.url, self._token, self._absent = url.rstrip("/"), token, absent
        self._session = requests.Session()
        retry = Retry(
            total=retries,
            backoff_factor=0.2,
            status_forcelist=(429, 502, 503),
            allowed_methods=("GET",),
            raise_on_status=False,  # the last answer says why
            retry_after_max=LONGEST_PAUSE_SECONDS,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))
        credentials = {"x-functions-key": key, "Authorization": f"Bearer {token}" if token else None}
        self._session.auth = _Credentials({name: value for name, value in credentials.items() if value})

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON object that `/api/{path}` answers."""
        response = self.fetch(method, path, **options)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            _end(3, f"{self.url} answers, and not as this app does (no JSON object). Look at the address.")
        return answer

    def complete(self, path: str, query: dict[str, str], seconds: float) -> dict[str, Any]:
        """The same for a shell's completion: quick, and quiet. Raises `requests.RequestException`, `ValueError`."""
        url = f"{self.url}/api/{path}"
        response = self._session.get(url, params=query, timeout=seconds, allow_redirects=False)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def ask(self, path: str, seconds: float) -> requests.Response:
        """What `GET /api/{path}` answers, whatever its status. Raises `requests.RequestException`."""
        return self._session.get(f"{self.url}/api/{path}", timeout=seconds)

    def fetch(self, method: str, path: str, **options: Any) -> requests.Response:
        """What `/api/{path}` answers."""
        url = f"{self.url}/api/{path}"
        try:
            options = {"timeout": CALL_TIMEOUT_SECONDS, "allow_redirects": False, **options}
            response = self._session.request(method, url, **options)
        except requests.ReadTimeout:
            _end(3, f"The app at {self.url} did not answer in time; what was asked for may be under way. {_LOOK}")
        except requests.RequestException as error:
            name = type(error).__name__
            _end(3, self._absent or f"The app at {self.url} does not answer ({name}). Start it, or pass --url.")
        except UnicodeEncodeError:
            _end(2, "An argument holds bytes that are no UTF-8. Give the path as `./backup find` shows it.")
        if response.status_code >= 300:
            _end(2, _problem(response, self._token))
        return response


class _Credentials(AuthBase):
    """Headers for each request; `requests` looks for none elsewhere then."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add them."""
        request.headers.update(self._headers)
        return request


def _end(code: int, message: str) -> NoReturn:
    say(message, "red")
    raise typer.Exit(code) from None


def _problem(response: requests.Response, token: str | None) -> str:
    if response.status_code < 400:
        return f"The app at {urlsplit(response.url).netloc} sends to another address, which is not followed. {_SIGN_IN}"
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = ""
    if response.status_code == 401:
        challenge = response.headers.get("WWW-Authenticate", "")
        return f"{detail or _REFUSED} {_SIGN_IN} {refusal(token, challenge, datetime.now(UTC))}"
    return detail or f"The app answered {response.status_code}. Its log has the reason."


def find_client(url: str | None, key: str | None, token: str | None = None, *, retries: int = RETRIES) -> Client:
    """The app that is named, else the one that `./start` serves from this checkout.

    An address without TLS that is not on this machine ends the command: it would show key and token to the network.
    Raises `OSError`, `ValueError` where what `./start` wrote down cannot be read.
    """
    local: dict[str, str] = {}
    if url is None:
        stored = Path(os.environ["BACKUP_DATA"]) / "backup.json" if "BACKUP_DATA" in os.environ else LOCAL_ADDRESS_FILE
        local = _stored(stored)
    address = url or local.get("url", LOCAL_URL)
    try:
        checked_url(address)
    except ValueError as error:
        _end(2, f"The app's address {error}. Pass another --url.")
    absent = "" if url else NOT_STARTED if local else NO_APP
    return Client(address, key or local.get("key"), token, retries=retries, absent=absent)


def _stored(file: Path) -> dict[str, str]:
    """What `./start` wrote down. Raises `OSError`, `ValueError` where the file cannot be read."""
    found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found
