"""The HTTP client of one function app, and how it is found."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import requests
import typer
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.markup import escape
from urllib3.util.retry import Retry

out, notes = Console(), Console(stderr=True)
LOCAL_ADDRESS_FILE = Path(".local/backup.json")
LOCAL_URL = "http://127.0.0.1:7071"


class Client:
    """Calls the HTTP API of one function app.

    A problem answer ends the command with its detail and exit code 2, an app that cannot be reached with 3.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        retry = Retry(total=4, backoff_factor=0.2, status_forcelist=(429, 502, 503), allowed_methods=("GET",))
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
        answer = response.json()
        return answer if isinstance(answer, dict) else {}

    def fetch(self, method: str, path: str, **options: Any) -> requests.Response:
        """What `/api/{path}` answers."""
        try:
            response = self._session.request(method, f"{self.url}/api/{path}", timeout=120, **options)
        except requests.RequestException as error:
            notes.print(
                f"[red]The app at {self.url} does not answer ({type(error).__name__}).[/] Start it, or pass --url."
            )
            raise typer.Exit(3) from None
        if response.status_code >= 400:
            notes.print(f"[red]{escape(_problem(response))}[/]")
            raise typer.Exit(2)
        return response


def _problem(response: requests.Response) -> str:
    if response.status_code == 401:
        return "The app refused the key. Pass --key, or set BACKUP_KEY to a function key of the app."
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError):
        return f"The app answered {response.status_code}. Its log has the reason."


def print_json(answer: object) -> None:
    """JSON for programs: ASCII alone, so that any name of a notebook passes, and no line is folded."""
    typer.echo(json.dumps(answer, indent=2))


def find_client(url: str | None, key: str | None) -> Client:
    """The app that is named, else the one that `./start` serves from this checkout."""
    local: dict[str, str] = {}
    if url is None:
        stored = Path(os.environ["BACKUP_DATA"]) / "backup.json" if "BACKUP_DATA" in os.environ else LOCAL_ADDRESS_FILE
        local = json.loads(stored.read_text()) if stored.exists() else {}
    return Client(url or local.get("url", LOCAL_URL), key or local.get("key"))
