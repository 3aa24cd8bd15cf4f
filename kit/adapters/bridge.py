"""Bridge: ask any model client from asynchronous code. All adapters share it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from .reply import Reply, answer

# One lock for each client, whichever adapters hold it: the protocol never promised that a client may be
# entered twice at once. A lock is there for as long as somebody is in, or waits for its turn.
_locks: WeakValueDictionary[int, Any] = WeakValueDictionary()
_making_a_lock = threading.Lock()
# What AutoGen keeps from `create`.
KEPT = {"model_client_cls", "api_key", "base_url", "api_type", "tags", "price", "stream", "timeout"}


class Bridge:
    """A model client behind an asynchronous interface.

    Args:
        client: a ready-made model client, or a class, which is made with `config`.
        config: the entry of a config list; its fields go into the params of each call, as in AutoGen.
            By default that of the client, if it keeps one.

    Raises:
        TypeError: a class came without an entry.
    """

    def __init__(self, client: Any, config: dict[str, Any] | None = None) -> None:
        if isinstance(client, type):
            if config is None:
                name = client.__name__
                raise TypeError(f"{name} is a class: pass {name}(entry), or the entry as `config`, too.")
            client = client(dict(config))
        self.client = client
        kept = getattr(self.client, "config", None)
        config = config or (kept if isinstance(kept, dict) else {})
        self.fields = {name: value for name, value in config.items() if name not in KEPT}
        self.model = str(self.fields.setdefault("model", type(self.client).__name__))

    def params(self, messages: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
        """Return what `create` gets: the entry's fields, the options of a call, and its messages.

        Args:
            messages: in OpenAI's form, as AutoGen hands them to a client.
            options: further fields of the call (`tools`, `temperature`, ...); None stands for none.
        """
        values = {name: value for name, value in options.items() if value is not None}
        return {**self.fields, **values, "messages": messages}

    def ask(self, messages: list[dict[str, Any]], options: dict[str, Any], streams: bool = False) -> Asking:
        """Return one call of the client, to be iterated or awaited; call this in the event loop.

        `streams` says whether somebody wants the pieces of the text.
        """
        return Asking(self, self.params(messages, options), streams)


class Thought(str):
    """A piece of the model's thoughts."""


class Asking:
    """One call of a client, in a thread of its own; iterate over it, or await its `reply()`.

    Iterating gives the pieces of the thoughts and of the text (if wanted), and then the Reply, whose text is
    that of the pieces. A client that has `on_text` streams its text, one with `on_thought` its thoughts; of
    any other they come in one piece. Whatever the client raises comes out as it is, only a StopIteration as
    a RuntimeError.

    If the task is cancelled, or `cancel` is called, this ends at once, and the thread is left to itself:
    a client that streams is stopped at its next piece, and no thread keeps the program from ending.
    """

    def __init__(self, bridge: Bridge, params: dict[str, Any], streams: bool) -> None:
        self._bridge, self._params, self._streams = bridge, params, streams
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._left = False  # nobody waits any more

    async def reply(self) -> Reply:
        """Return the reply alone."""
        return [item async for item in self if isinstance(item, Reply)][0]

    def cancel(self) -> None:
        """End the call with a CancelledError, even if the reply is there already; any thread may do so."""
        self._left = True
        self._put(asyncio.CancelledError())

    async def __aiter__(self) -> AsyncIterator[str | Thought | Reply]:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._work,), daemon=True).start()
        shown: dict[type, str] = {str: "", Thought: ""}
        try:
            while not isinstance(item := await self._items.get(), Reply):
                self._stop_if_left()
                if isinstance(item, BaseException):
                    raise item
                shown[type(item)] += item
                yield item
            for last in _rest(item, shown) if self._streams else [item]:
                self._stop_if_left()
                yield last
        finally:
            self._left = True

    def _stop_if_left(self) -> None:
        if self._left:
            raise asyncio.CancelledError

    def _work(self) -> None:
        try:
            self._put(alone(self._bridge.client, self._answer))
        except BaseException as error:
            self._put(error)

    def _answer(self) -> Reply | None:
        client = self._bridge.client
        if self._left:  # while it waited for its turn
            return None
        with contextlib.ExitStack() as stack:
            for name, kind in (("on_text", str), ("on_thought", Thought)):
                if hasattr(client, name):
                    before = getattr(client, name)
                    stack.callback(setattr, client, name, before)
                    setattr(client, name, self._listener(kind, before))
            return answer(client, self._params, self._bridge.model)

    def _listener(self, kind: type[str], before: Any) -> Callable[[str], None]:
        """Return what hears the pieces; `before`, the client's own listener, goes on hearing them."""

        def on_piece(piece: str) -> None:
            if self._left:
                raise asyncio.CancelledError  # ends the client's work
            if before:
                before(piece)
            if piece and self._streams:
                self._put(kind(piece))

        return on_piece

    def _put(self, item: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)


def _rest(reply: Reply, shown: dict[type, str]) -> list[Any]:
    """Return what has not been shown yet of a reply's thoughts and text, and the reply."""
    if not reply.text.startswith(shown[str]):  # what was shown can't be taken back
        reply = replace(reply, text=shown[str])
    thoughts = "" if shown[Thought] else reply.thoughts
    return [*filter(None, [Thought(thoughts), reply.text[len(shown[str]) :]]), reply]


def alone(client: Any, work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what the work on a client returns, when no other thread works on that client.

    Raises:
        RuntimeError: instead of a StopIteration, which would make a future wait for ever.
    """
    with _making_a_lock:
        lock = _locks.setdefault(id(client), threading.RLock())
    with lock:
        try:
            return work(*arguments)
        except StopIteration as error:
            raise RuntimeError("The client raised StopIteration: its script has run out.") from error
