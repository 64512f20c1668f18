"""The pages of an app over a world in memory, as a browser meets them."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import azure.durable_functions as df
import azure.functions as func

from functions import dashboard, pages
from local.memory.git_folders import MemoryGitFolders
from local.memory.meter import MemoryMeter
from local.memory.workspace import PRINCIPAL
from local.memory.world import World
from shared.wiring import Adapters

LOAD = "/Clients/a b/100%/load é?&#"
VOID = {"meta", "input", "br", "img", "link"}
EXPECTED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "a", "header", "form", "label", "input", "button", "main"),
    *("h1", "h2", "p", "ul", "li", "ol", "nav", "span", "div", "table", "thead", "tbody", "tr", "th", "td", "time"),
    *("code", "details", "summary", "section", "pre", "dl", "dt", "dd", "strong", "br", "progress"),
    *("svg", "rect", "line", "polyline", "circle", "desc", "caption"),
}


@dataclass
class Seen(HTMLParser):
    """What a page holds: links, forms with their fields, every tag, and its text."""

    text: str
    links: list[str] = field(default_factory=list)
    forms: list[dict[str, Any]] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    inputs: list[dict[str, str | None]] = field(default_factory=list)
    words: str = ""
    downloads: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        assert self._open == [], "tags are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag in EXPECTED_TAGS, tag
        assert not [name for name in given if name.startswith("on") or name == "style"], given
        if tag not in VOID:
            self._open.append(tag)
        if tag == "a":
            (self.downloads if "download" in given else self.links).append(str(given["href"]))
        if tag == "form":
            self.forms.append({"method": given["method"], "action": given["action"], "fields": {}})
        if tag == "label":
            self.labels.add(str(given["for"]))
        if tag == "input":
            self.inputs.append(given)
            self.forms[-1]["fields"][given["name"]] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words += data

    @property
    def addresses(self) -> list[tuple[str, dict[str, str]]]:
        """Routes with their parameters, of links to other pages."""
        return [address(link) for link in self.links if not link.startswith("#")]


def address(link: str) -> tuple[str, dict[str, str]]:
    """A link's route and parameters."""
    route, _, query = link.partition("?")
    return route, dict(parse_qsl(query, errors="surrogatepass"))


class Client:
    """Stands for the durable client: remembers what was started."""

    def __init__(self) -> None:
        self.started: list[str] = []

    async def start_new(self, name: str, instance: str, data: str) -> None:
        self.started.append(data)


@functools.cache
def _handlers() -> dict[tuple[str, str], Any]:
    """The pages' functions by method and route."""
    app = df.DFApp()
    app.register_functions(pages.blueprint)
    app.register_functions(dashboard.blueprint)
    found = [(f.get_trigger().get_dict_repr(), f.get_user_function()) for f in app.get_functions()]
    return {(str(m.value), str(trigger["route"])): call for trigger, call in found for m in trigger["methods"]}


class Site:
    """The pages as a browser meets them."""

    def __init__(self, world: World) -> None:
        self.world, self.client = world, Client()
        self.pages = _handlers()

    def ask(self, method: str, route: str, body: bytes = b"", **query: str) -> func.HttpResponse:
        handler = self.pages[method, route]
        request = func.HttpRequest(method, f"http://x/api/{route}", params=query, body=body)
        if not hasattr(handler, "client_function"):
            return handler(request)  # type: ignore[no-any-return]
        return asyncio.run(handler.client_function(request, client=self.client))

    def get(self, route: str, status: int = 200, **query: str) -> Seen:
        answer = self.ask("GET", route, **query)
        assert answer.status_code == status, answer.get_body()[-2000:]
        return Seen(answer.get_body().decode())

    def post(self, route: str, code: str = "", **form: str) -> Seen:
        """Send a form, and follow to where the answer leads."""
        answer = self.ask("POST", route, urlencode(form).encode(), **({"code": code} if code else {}))
        assert answer.status_code == 303, answer.get_body()[-2000:]
        target, query = address(answer.headers["Location"])
        return self.get(target, **query)

    def fill(self, seen: Seen, action: str, **fields: str) -> dict[str, str]:
        """The last form of a page that goes to an address, with what a person fills in.

        A browser sends each line break as two characters.
        """
        *_, form = [f for f in seen.forms if f["action"].partition("?")[0] == action]
        given = {**form["fields"], **fields}
        return {n: v.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n") for n, v in given.items()}


def adapters_of(world: World, scratch: Path) -> Adapters:
    """The world's systems, for the app that the pages are of."""
    mirror: Any = world.remote.mirror(scratch)
    return Adapters(
        workspace=world.workspace,
        repository=mirror,
        reader=mirror,
        meter=MemoryMeter(world.remote.contents),
        blobs=world.blobs,
        queue=world.queues,
        box=world.queues,
        tables=world.tables,
        clock=world.clock,
        branches=mirror.branches(),
        tags=mirror.tags(),
        git_folders=MemoryGitFolders(world.workspace, world.endpoints, PRINCIPAL),
    )


def write(world: World, path: str, content: str, language: str = "PYTHON") -> None:
    """A person writes a notebook; its folder is made."""
    world.clock.sleep(1)
    op = "edit" if world.model.find(path) else "create"
    world.model.apply("mkdir", "ada", path=path.rpartition("/")[0])
    world.model.apply(op, "ada", path=path, language=language, content=content)


def back_up(world: World) -> str:
    """A backup; returns its commit."""
    world.clock.sleep(60)
    commit = str(world.back_up()["commit"])
    world.clock.sleep(1)
    return commit
