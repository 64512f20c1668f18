"""The HTTP client of one function app, and how it is found."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

import requests
import typer
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from shared.cli.terminal import say

LOCAL_ADDRESS_FILE = Path(".local/backup.json")
LOCAL_URL = "http://127.0.0.1:7071"
CALL_TIMEOUT_SECONDS = 120
RETRIES = 4
_LOOK = "Look at `./backup status` and `./backup restores` before you ask again."


class Client:
    """Calls the HTTP API of one function app.

    A problem answer ends the command with its detail and exit code 2, an app that cannot be reached with 3.
    """

    def __init__(self, url: str, key: str | None, *, retries: int = RETRIES) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        retry = Retry(
            total=retries,
            backoff_factor=0.2,
            status_forcelist=(429, 502, 503),
            allowed_methods=("GET",),
            raise_on_status=False,  # the last answer says why
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))
        if key:
            self._session.headers["x-functions-key"] = key

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON object that `/api/{path}` answers."""
        answer: dict[str, Any] = self.fetch(method, path, **options).json()
        return answer

    def complete(self, path: str, query: dict[str, str], seconds: float) -> dict[str, Any]:
        """The same for a shell's completion: quick, and quiet. Raises `requests.RequestException`, `ValueError`."""
        response = self._session.get(f"{self.url}/api/{path}", params=query, timeout=seconds)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def fetch(self, method: str, path: str, **options: Any) -> requests.Response:
        """What `/api/{path}` answers."""
        url = f"{self.url}/api/{path}"
        try:
            response = self._session.request(method, url, timeout=CALL_TIMEOUT_SECONDS, **options)
        except requests.ReadTimeout:
            _end(3, f"The app at {self.url} did not answer in time; what was asked for may be under way. {_LOOK}")
        except requests.RequestException as error:
            name = type(error).__name__
            _end(3, f"The app at {self.url} does not answer ({name}). Start it, or pass --url.")
        except UnicodeEncodeError:
            _end(2, "An argument holds bytes that are no UTF-8. Give the path as `./backup find` shows it.")
        if response.status_code >= 400:
            _end(2, _problem(response))
        return response


def _end(code: int, message: str) -> NoReturn:
    say(message, "red")
    raise typer.Exit(code) from None


def _problem(response: requests.Response) -> str:
    if response.status_code == 401:
        return "The app refused the key. Pass --key, or set BACKUP_KEY to a function key of the app."
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The app answered {response.status_code}. Its log has the reason."


def find_client(url: str | None, key: str | None, *, retries: int = RETRIES) -> Client:
    """The app that is named, else the one that `./start` serves from this checkout."""
    local: dict[str, str] = {}
    if url is None:
        stored = Path(os.environ["BACKUP_DATA"]) / "backup.json" if "BACKUP_DATA" in os.environ else LOCAL_ADDRESS_FILE
        local = json.loads(stored.read_text()) if stored.exists() else {}
    return Client(url or local.get("url", LOCAL_URL), key or local.get("key"), retries=retries)
