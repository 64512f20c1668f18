"""How the local host runs functions."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from local.functions_host import app_loader
from local.functions_host.app_loader import LoadedFunction

CALLERS = 16


def test_coroutines_that_come_first_at_once_share_one_loop() -> None:
    app_loader._loop.cache_clear()
    loops: set[int] = set()
    together = threading.Barrier(CALLERS)

    async def note(x: object) -> None:
        loops.add(id(asyncio.get_running_loop()))

    function = LoadedFunction("note", {"name": "x"}, note, None)

    def call(_: int) -> None:
        together.wait()
        function.invoke(None, "")

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(call, range(CALLERS)))
    assert len(loops) == 1
