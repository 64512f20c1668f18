"""A mail catcher: takes every mail by SMTP, keeps it as `.eml`, and lists what came over HTTP."""

from __future__ import annotations

import asyncio
import email
import email.policy
from pathlib import Path
from typing import Any

import typer
from aiohttp import web
from aiosmtpd.smtp import SMTP

from local.git_server import serve


class MailStore:
    """Mails as files `000001.eml`, ... in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802 - aiosmtpd's name
        """Keep one mail."""
        number = len(list(self._folder.glob("*.eml"))) + 1
        (self._folder / f"{number:06}.eml").write_bytes(envelope.content)
        return "250 Message accepted for delivery"

    def mails(self) -> list[dict[str, Any]]:
        """What came, oldest first."""
        return [self._read(path) for path in sorted(self._folder.glob("*.eml"))]

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        parts = {p.get_content_type(): p.get_content() for p in mail.walk() if p.get_content_maintype() == "text"}
        headers = {name: str(mail[name] or "") for name in ("from", "to", "subject", "date")}
        return {"id": path.stem, **headers, "parts": parts}


def main(port: int, http_port: int, data: Path) -> None:
    """Serve until told to stop."""
    asyncio.run(_run(port, http_port, MailStore(data)))


async def _run(port: int, http_port: int, store: MailStore) -> None:
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(store, enable_SMTPUTF8=True), "127.0.0.1", port)

    async def mails(_: web.Request) -> web.Response:
        return web.json_response({"mails": store.mails()})

    app = web.Application()
    app.router.add_get("/mails", mails)
    async with smtp:
        await serve(app, http_port)


if __name__ == "__main__":
    typer.run(main)
