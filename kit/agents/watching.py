"""Watching: what AutoGen asks of the model clients of some agents, noted while it happens.

Nothing changes for those who are watched: results, exceptions, streaming and threads are as before. Between
agent and client stands a stand-in for the client, made for one request, that passes everything on.
"""

from __future__ import annotations

import contextvars
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import BaseModel

from kit.agents.inside import (
    PROTOCOL,
    USAGE_KEYS,
    entries_of,
    everybody,
    exchange_clients,
    group_of,
    has,
    on_registration,
    on_requests,
    on_selectors,
)

# The requests on their way in this thread: who watches, the request, and the clients that may answer it.
_on_their_way: contextvars.ContextVar[tuple[Any, ...]] = contextvars.ContextVar("requests", default=())
TOTALS = ("requests", "read", "cached", "written", "seconds", "cost")


@dataclass
class Call:
    """One call of a method of a client: of its class the constructor, or one of the four.

    `got` are the params of `create`, its messages apart, or what the constructor got; the other methods get
    the response. What it returned is noted as JSON has it. `raised` is an exception's name and text.
    """

    method: str
    class_name: str
    got: dict[str, Any] = field(default_factory=dict)
    entry: int | None = None
    returned: Any = None
    raised: str = ""
    seconds: float | None = None  # while it runs

    def run(self, method: Callable[[], Any]) -> Any:
        """Run the method; note what it returned or raised, and how long it took."""
        start = time.perf_counter()
        try:
            result = method()
        except BaseException as error:
            self.raised = _words(error)
            raise
        finally:
            self.seconds = time.perf_counter() - start
        self.returned = as_data(result)
        return result


@dataclass(eq=False)
class Request:
    """One request of an agent to its model: the calls that AutoGen made for it, and the agent's reply.

    The `messages` are those that the client got; `new` is the number of the first that the agent's request
    before had not. `turn` counts the agent's requests from 1, `selects_for` is the manager for whom a hidden
    agent asks who speaks next. `entries` are the agent's config list, `client` is the client that was asked.
    """

    number: int
    agent: str
    turn: int
    selects_for: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    new: int = 0
    calls: list[Call] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    client: Any = None
    reply: Any = None
    raised: str = ""
    seconds: float = 0
    cost: float = 0
    running: bool = True

    def take(self, messages: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
        """Note messages as they are now; those that the request before had, too, are kept once for both."""
        pairs = enumerate(zip(before, messages, strict=False))
        ends = min(len(before), len(messages))
        self.new = next((at for at, (old, now) in pairs if not _same(old, now)), ends)
        self.messages = before[: self.new] + [dict(message) for message in messages[self.new :]]

    def last(self, method: str) -> Call | None:
        """Return the last call of a method, None if there was none."""
        return next((call for call in reversed(self.calls) if call.method == method), None)

    @property
    def params(self) -> dict[str, Any]:
        """What the last `create` got."""
        call = self.last("create")
        return {**(call.got if call else {}), "messages": self.messages}

    @property
    def response(self) -> dict[str, Any]:
        """What the last `create` returned, {} if nothing that has fields."""
        call = self.last("create")
        return call.returned if call and isinstance(call.returned, dict) else {}

    @property
    def usage(self) -> dict[str, Any]:
        """What the last `get_usage` returned."""
        call = self.last("get_usage")
        return call.returned if call and isinstance(call.returned, dict) else {}

    @property
    def tokens(self) -> tuple[int, int, int]:
        """The tokens of the prompt that were read, those that came out of a cache, and those written."""
        used = self.response.get("usage")
        details = used.get("prompt_tokens_details") if isinstance(used, dict) else None
        details = details if isinstance(details, dict) else {}
        read, cached, written = (
            value if isinstance(value, int) else 0
            for value in (
                self.usage.get("prompt_tokens"),
                details.get("cached_tokens"),
                self.usage.get("completion_tokens"),
            )
        )
        return max(read - cached, 0), cached, written

    def not_called(self) -> list[tuple[str, str]]:
        """Return the methods that AutoGen did not call, each with the reason."""
        if self.running or self.raised:
            return []
        if not self.last("create"):
            return [("create", "the reply came out of AutoGen's cache")]
        reasons = {
            "message_retrieval": "the response has no `id`, so AutoGen took the first choice's content",
            "cost": "AutoGen counts by the entry's `price`",
        }
        return [(name, reason) for name, reason in reasons.items() if not self.last(name)]

    def remarks(self) -> list[str]:
        """Return what easily goes unnoticed: nobody raises an exception for it."""
        remarks, usage = [], self.last("get_usage")
        missing = [key for key in USAGE_KEYS if key not in self.usage]
        if usage and not usage.raised and missing:
            lacks = "returned nothing" if len(missing) == len(USAGE_KEYS) else f"lacks {', '.join(missing)}"
            remarks.append(f"get_usage {lacks}: AutoGen counts nothing of this request.")
        choices = self.response.get("choices")
        if isinstance(choices, list) and len(choices) > 1:
            remarks.append(f"AutoGen took the first of {len(choices)} choices.")
        tried = [call for call in self.calls if call.method == "create"]
        if len(tried) > 1 and not self.raised:
            remarks.append(f"Entry {tried[-1].entry} answered; {len(tried) - 1} before it did not.")
        return remarks


class Watching:
    """The requests of some agents, the newest last, from now until `stop()`.

    Args:
        agents: agents, or group-chat managers: then the agents of their groups and the hidden ones that
            select the next speaker are watched, too.
        limit: how many requests are kept; older ones are counted in `totals` only.

    `on_change` functions are called with each request that changed, in the thread that made it.

    Raises:
        TypeError: what was passed is no agent.
    """

    def __init__(self, agents: Iterable[Any], limit: int = 200) -> None:
        self.requests: deque[Request] = deque(maxlen=limit)
        self.totals: dict[str, float] = dict.fromkeys(TOTALS, 0)
        self.on_change: list[Callable[[Request], None]] = []
        self._turns: Counter[str] = Counter()
        self._before: dict[str, list[dict[str, Any]]] = {}  # what the agents' last requests were about
        self._made: dict[str, list[Call]] = {}  # what agents' constructors did, for their next requests
        self._lock = threading.Lock()
        self._ends: list[Callable[[], None]] = []
        self._wrappers: weakref.WeakSet[Any] = weakref.WeakSet()
        agents = list(agents)
        for agent in agents:
            if not has(agent, "generate_reply", "_name"):
                raise TypeError(f"An AutoGen agent or group-chat manager is needed, not {agent!r}.")
        for agent in everybody(agents):
            self._watch(agent)
            if group_of(agent):
                self._ends += on_selectors(agent, partial(self._watch, selects_for=agent.name))

    def stop(self) -> None:
        """Take the watch off; what was noted stays."""
        while self._ends:
            self._ends.pop()()
        for wrapper in self._wrappers:
            exchange_clients(wrapper, list)

    def _watch(self, agent: Any, selects_for: str = "") -> None:
        ends = on_requests(agent, partial(self._request, selects_for)), on_registration(agent, self._register)
        if not selects_for:  # an agent that selects is gone after that
            self._ends += ends

    def _register(self, agent: Any, register: Callable[..., Any], cls: Any, **kwargs: Any) -> Any:
        """Register a class, and note what its constructor did."""
        name = getattr(cls, "__name__", str(cls))
        entries = [entry for entry in entries_of(agent) if entry.get("model_client_cls") == name]
        call = Call("constructor", name, {"config": entries[0] if entries else {}, **kwargs})
        self._made.setdefault(agent.name, []).append(call)
        return call.run(partial(register, cls, **kwargs))

    def _request(
        self,
        selects_for: str,
        agent: Any,
        ask: Callable[..., Any],
        llm_client: Any,
        messages: list[dict[str, Any]],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Let an agent ask its model, and note the request and what comes of it."""
        who = f"{selects_for} {agent.name}"
        with self._lock:
            self._turns.update(["", who])
            made = self._made.pop(agent.name, [])
            request = Request(self._turns[""], agent.name, self._turns[who], selects_for, calls=made)
            self.requests.append(request)
        before = self._before.get(who, [])
        with suppress(Exception):  # here and below: whatever is odd about these, the agent gets its reply
            request.entries = entries_of(agent)
        exchange_clients(llm_client, lambda now: now if isinstance(now, _Clients) else _Clients(now))
        self._wrappers.add(llm_client)
        noted = partial(self._note, request, before)
        token = _on_their_way.set((*_on_their_way.get(), (noted, llm_client)))
        start = time.perf_counter()
        try:
            reply = ask(llm_client, messages, *args, **kwargs)
            request.reply = as_data(reply)
            return reply
        except BaseException as error:
            request.raised = _words(error)
            raise
        finally:
            _on_their_way.reset(token)
            request.seconds = time.perf_counter() - start
            if not request.last("create"):
                request.take(messages, before)
            request.running = False  # from here on nothing of it changes
            self._before[who] = request.messages
            values = 1, *request.tokens, request.seconds, request.cost
            with self._lock:
                for name, value in zip(TOTALS, values, strict=True):
                    self.totals[name] += value
            self._changed(request)

    def _note(
        self,
        request: Request,
        before: list[dict[str, Any]],
        client: Any,
        entry: int,
        name: str,
        method: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Call a method of a client, and note it."""
        call = Call(name, type(client).__name__, entry=entry)
        if name == "create" and args and isinstance(args[0], dict):
            call.got = {key: value for key, value in args[0].items() if key != "messages"}
            request.take(args[0].get("messages") or [], before)
            request.client = client
        request.calls.append(call)
        self._changed(request)
        result = call.run(partial(method, *args, **kwargs))
        if name == "get_usage" and args:  # AutoGen has put it there, by `cost` or by the entry's price
            cost = getattr(args[0], "cost", 0)
            request.cost = cost if isinstance(cost, (int, float)) else 0
        return result

    def _changed(self, request: Request) -> None:
        for function in self.on_change:
            with suppress(Exception):
                function(request)


class _Clients(list[Any]):
    """A wrapper's clients. For a request that is watched, each has a stand-in that notes what it is asked."""

    def __getitem__(self, index: Any) -> Any:
        client = super().__getitem__(index)
        notes = [note for note, wrapper in _on_their_way.get() if wrapper._clients is self]
        return _StandIn(client, index, notes) if notes and isinstance(index, int) else client


class _StandIn:
    """Stands for a client in one request, and looks the same to all who ask."""

    def __init__(self, client: Any, entry: int, notes: list[Callable[..., Any]]) -> None:
        vars(self).update(_client=client, _entry=entry, _notes=notes)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # for `isinstance`
        return type(self._client)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if name in PROTOCOL and callable(value):
            for note in self._notes:
                value = partial(note, self._client, self._entry, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._client, name, value)

    def __eq__(self, other: object) -> bool:  # AutoGen keeps clients that have answered in a cache
        return bool(self._client == getattr(other, "_client", other))

    def __hash__(self) -> int:
        return hash(self._client)


def as_data(value: Any, depth: int = 8) -> Any:
    """Return a copy of a value as JSON has it, taken off whatever it is; of what can't be, the type's name.

    No code of a value's class runs, but for pydantic's.
    """
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    try:
        if isinstance(value, BaseModel):
            return value.model_dump(mode="json", exclude_none=True, warnings=False)
        if depth and isinstance(value, dict):
            return {str(name): as_data(part, depth - 1) for name, part in value.items()}
        if depth and isinstance(value, (list, tuple)):
            return [as_data(part, depth - 1) for part in value]
        if depth and not isinstance(value, type) and not callable(value) and vars(value):
            return {name: as_data(part, depth - 1) for name, part in vars(value).items() if name[:1] != "_"}
    except Exception:  # of somebody's class: a watch breaks nothing
        pass
    return f"<{type(value).__name__}>"


def _same(old: Any, now: Any) -> bool:
    try:
        return bool(old == now)
    except Exception:  # of arrays in a message, say
        return False


def _words(error: BaseException) -> str:
    """Return an exception's name and text."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
