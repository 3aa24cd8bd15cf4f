"""watch: see what AutoGen asks of a model client, as it happens."""

from __future__ import annotations

import json
import sys
import threading
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anywidget
import traitlets
from openai.types.chat import ChatCompletion

from kit import RecordingModelClient
from kit.agents.watching import Request, Watching
from kit.widgets.card import as_json, call_of, card, note, notes, title
from kit.widgets.page import page, with_fallback

PAUSE = 0.1  # seconds from a change to its drawing: nobody who is watched waits for that


def watch(*agents: Any, limit: int = 200) -> WatchPanel:
    """Watch what some agents ask of their models from now on, whoever lets them chat.

        seen = watch(agent)
        user.initiate_chat(agent, message="Hello!", max_turns=1)
        seen

    As the last line of a cell, `seen` is a panel with a card for each request, which grows while a chat runs;
    printed, it is a table. The agents' replies, errors and speed stay what they were.

    Args:
        agents: one or more agents, a list of them, or a group-chat manager: then also its agents, and the
            hidden one that selects the next speaker.
        limit: how many requests are kept.

    Raises:
        TypeError: what was passed is no agent.
    """
    several = [one for agent in agents for one in (agent if isinstance(agent, (list, tuple)) else [agent])]
    return WatchPanel(Watching(several, limit))


class WatchPanel(anywidget.AnyWidget):
    """What `watch` returns: the requests that were seen, and their panel. `watching` is the state."""

    _esm = page("watch.js")
    _css = page("watch.css")
    # A row for each request, and the cards of those that were opened, by number
    rows: traitlets.List[Any] = traitlets.List().tag(sync=True)
    cards: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    total = traitlets.Unicode().tag(sync=True)

    def __init__(self, watching: Watching) -> None:
        self.watching = watching
        self._is_shown, self._opened = False, set[int]()
        self._rows: dict[Request, dict[str, Any]] = {}  # of requests that are over: drawn once
        self._cards: dict[Request, list[Any]] = {}
        self._drawing = threading.RLock()
        self._later: threading.Timer | None = None
        super().__init__()
        self.add_class("kit-page").add_class("kit-watch")
        watching.on_change.append(self._changed)
        self.on_msg(lambda _, content, buffers: self._open(content.get("open")))

    @property
    def requests(self) -> list[Request]:
        """The requests that were kept, the newest last."""
        return list(self.watching.requests)

    @property
    def totals(self) -> dict[str, float]:
        """Requests, tokens (read, cached, written), seconds and cost of all requests."""
        return dict(self.watching.totals)

    def stop(self) -> None:
        """Stop watching. What was seen stays."""
        self.watching.stop()

    def close(self) -> None:
        """Stop watching, and take the panel off the page."""
        self.stop()
        if self.comm is not None:
            self.layout.close()
        super().close()

    def code(self, number: int) -> str:
        """Return a request's call of `create` as a program, to repeat it without AutoGen.

        Raises:
            LookupError: there is no request of this number (any more).
        """
        return call_of(self._numbered(number), _namespace())

    def json(self) -> str:
        """Return all that was seen as JSON, keys hidden."""
        return json.dumps([as_json(request) for request in self.requests], indent=1, ensure_ascii=False)

    def record(self, path: str | Path) -> None:
        """Add the answers to a recording, from which `RecordingModelClient` gives them again.

        What failed is left out, and so is what AutoGen had in its cache. Read the file before you share it.
        """
        recorder = RecordingModelClient({}, path)
        for request in self.requests:
            if request.last("create") and not request.raised:
                recorder.client = _Replayed(request)
                recorder.create(request.params)

    def __repr__(self) -> str:
        lines = [_total(self.totals)]
        for request in self.requests:
            lines += [f"{title(request)} · {note(request)}", *(f"   ▲ {remark}" for remark in notes(request))]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Give the front end the panel, and whoever can't show it the table."""
        self._is_shown = True
        self._draw()
        text = repr(self)
        return with_fallback(super()._repr_mimebundle_(**kwargs), text, f"<pre>{escape(text)}</pre>")

    def _numbered(self, number: Any) -> Request:
        for request in self.requests:
            if request.number == number:
                return request
        raise LookupError(f"There is no request {number!r}: {len(self.requests)} are kept.")

    def _open(self, number: Any) -> None:
        self._opened.add(number)
        self._draw()

    def _changed(self, request: Request) -> None:
        """Draw in a moment, in a thread of its own, if anybody looks."""
        if self._is_shown and self._later is None:
            self._later = threading.Timer(PAUSE, self._draw)
            self._later.daemon = True
            self._later.start()

    def _draw(self) -> None:
        with self._drawing, self.hold_sync():
            self._later = None
            requests = self.requests
            over = {request for request in requests if not request.running}  # before they are drawn
            opened = [request for request in requests if request.number in self._opened]
            rows = {request: self._rows.get(request) or _row(request) for request in requests}
            cards = {request: self._cards.get(request) or card(request, _namespace()) for request in opened}
            self.rows = list(rows.values())
            self.cards = {str(request.number): trees for request, trees in cards.items()}
            self._rows = {request: row for request, row in rows.items() if request in over}
            self._cards = {request: trees for request, trees in cards.items() if request in over}
            self.total = f"{_total(self.totals)}, {self.totals['seconds']:.1f} s"


class _Replayed:
    """A model client that answers what was seen."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def create(self, params: dict[str, Any]) -> Any:
        response = self.request.response
        if response.get("object") == "chat.completion":
            return ChatCompletion.model_validate(response)
        return SimpleNamespace(model=response.get("model") or self.request.params.get("model"))

    def message_retrieval(self, response: Any) -> Any:
        taken = self.request.last("message_retrieval")
        return taken.returned if taken else [self.request.reply]

    def cost(self, response: Any) -> float:
        return self.request.cost

    def get_usage(self, response: Any) -> dict[str, Any]:
        return self.request.usage


def _row(request: Request) -> dict[str, Any]:
    time = "" if request.running else f"{request.seconds:.2f} s"
    return {
        "number": request.number,
        "title": title(request),
        "note": " · ".join(filter(None, [note(request), time])),
        "tone": "kit-error" if request.raised else "kit-warning" if notes(request) else "",
        "tokens": list(request.tokens),
    }


def _total(totals: dict[str, float]) -> str:
    names = ("read", "cached", "written")
    tokens = ", ".join(f"{totals[name]:,} {name}" for name in names if totals[name])
    requests = f"{totals['requests']} request{'s' * (totals['requests'] != 1)}"
    cost = f"cost {totals['cost']:.4g}" if totals["cost"] else ""
    return " · ".join(filter(None, [requests, f"tokens: {tokens}" if tokens else "", cost]))


def _namespace() -> dict[str, Any]:
    return vars(sys.modules["__main__"])
