"""Calls that may never end: run one after another in a thread that can be left behind."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any


class Worker:
    """Runs calls in a thread of its own, so that one that never ends can be left behind.

    It is one thread for all, since a client may be bound to that in which it was made; and where the
    caller has an event loop, as a notebook has, the calls run in one too.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        serve: Callable[[], Any] = self._serve
        with contextlib.suppress(RuntimeError):  # that there is no loop
            asyncio.get_running_loop()
            serve = self._serve_in_loop
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._work, serve), daemon=True).start()

    def run(self, action: Callable[[], Any], timeout: float) -> tuple[bool, Any] | None:
        """Return True and the result, False and what was raised, or None if it takes longer."""
        self._calls.put(action)
        try:
            return self._results.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._calls.put(None)

    def _work(self, serve: Callable[[], Any]) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)  # only a main thread has one from the start
        if (coroutine := serve()) is not None:
            loop.run_until_complete(coroutine)
        loop.close()

    def _serve(self) -> None:
        while action := self._calls.get():
            try:
                self._results.put((True, action()))
            except BaseException as error:
                self._results.put((False, error))

    async def _serve_in_loop(self) -> None:
        self._serve()
