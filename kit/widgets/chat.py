"""ChatPanel: talk with an agent or a group chat in the notebook."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from html import escape
from typing import Any

import anywidget
import traitlets

from kit.config_list.secrets import hide_secrets
from kit.widgets.conversation import Conversation, Message
from kit.widgets.markdown import code, markdown, static
from kit.widgets.page import page, with_fallback

PAUSE = 0.05  # seconds between two drawings of a growing reply
SHARE = 0.2  # of the time, at most, is spent on drawing: the rest belongs to the model
COLOURS = 6  # of speakers, in chat.css
THINK = re.compile(r"\s*<think>(.*?)(?:</think>\s*|$)", re.DOTALL)  # what many models put before a reply
WORDS = re.compile(r"[A-Z]?[^\W_A-Z]+|[A-Z]+|[^\W_]")


class ChatPanel(anywidget.AnyWidget):
    """A chat with an agent, or with a group chat's manager. Show it as the last line of a cell.

    Enter sends, Shift+Enter starts a new line. `conversation` is the state: its `send`, `stop`, `clear`,
    `undo_clear` and `markdown` do what the buttons do, `messages` and `total` are the messages and what
    they took.

    Args:
        agent: an AutoGen agent, its model client registered, or a `GroupChatManager`.
    """

    _esm = page("chat.js")
    _css = page("chat.css")
    name = traitlets.Unicode().tag(sync=True)
    # What is shown of each message that is whole, and of the one that is being written
    said: traitlets.List[Any] = traitlets.List().tag(sync=True)
    growing: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    running = traitlets.Bool().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    can_undo = traitlets.Bool().tag(sync=True)
    transcript = traitlets.Unicode().tag(sync=True)

    def __init__(self, agent: Any) -> None:
        self.conversation = Conversation(agent)
        self._rows: dict[Message, dict[str, Any]] = {}
        self._drawing, self._drawn, self._pause = threading.RLock(), 0.0, PAUSE
        self._later: threading.Timer | None = None
        super().__init__(name=hide_secrets(agent.name))
        self.add_class("kit-page").add_class("kit-chat")
        self.conversation.on_change.append(self._changed)
        self.on_msg(lambda _, content, buffers: self._do(content))
        self._draw()

    def close(self) -> None:
        """Stop a reply and take the panel off the page."""
        if self.comm is not None:
            self.conversation.on_change.remove(self._changed)
            self.conversation.stop()
            self.layout.close()
        super().close()

    def __repr__(self) -> str:
        lines = [f"{message.speaker}: {hide_secrets(message.text)}" for message in self.conversation.messages]
        return "\n".join(lines) or f"ChatPanel: nothing said to {self.name} yet"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Give the front end the panel, and whoever can't show it what was said so far."""
        said = "".join(map(_static, self.said)) or f"<p>{escape(repr(self))}</p>"
        return with_fallback(super()._repr_mimebundle_(**kwargs), repr(self), said)

    def _do(self, content: dict[str, Any]) -> None:
        """Do what a person asks for."""
        talk = self.conversation
        if "send" in content:  # in a thread, so that Stop gets through meanwhile
            threading.Thread(target=self._attempt, args=(self._ask, content["send"]), daemon=True).start()
        else:
            actions = {"stop": talk.stop, "clear": talk.clear, "undo": talk.undo_clear}
            self._attempt(next(action for name, action in actions.items() if name in content))

    def _ask(self, text: str) -> None:
        """Send a text. If that fails, the page gets it back: as a message, for it may hold a key."""
        answered = False
        try:
            answered = not self.conversation.send(text).finding
        finally:
            if not answered:
                self.send({"again": hide_secrets(text)})

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do it; an error becomes the status, since Jupyter hides those of callbacks and threads."""
        try:
            action(*arguments)
        except Exception as error:
            self._show(status=f"✖ {hide_secrets(str(error))}")

    def _changed(self) -> None:
        """Draw now, or a little later while a reply grows: a fast model has a hundred pieces a second."""
        wait = self._drawn + self._pause - time.monotonic()
        if wait <= 0 or self.conversation.growing is None:
            self._attempt(self._draw)
        elif self._later is None:
            self._later = threading.Timer(wait, self._attempt, [self._draw])
            self._later.daemon = True
            self._later.start()

    def _draw(self) -> None:
        """Send the front end what is new."""
        talk = self.conversation
        with self._drawing:  # the state is read and shown in one step: an older one never comes later
            begun, self._later = time.monotonic(), None
            growing, messages = talk.growing, list(talk.messages)
            self._rows = {
                message: self._rows.get(message) or self._row(message)
                for message in messages
                if message is not growing
            }
            whole = list(self._rows.values())
            changes: dict[str, Any] = {"growing": self._row(growing) if growing else {}}
            if whole != self.said:
                changes |= {"said": whole, "transcript": talk.markdown()}
            self._show(**changes, running=talk.running, can_undo=talk.can_undo_clear, status=_status(talk))
            self._drawn = time.monotonic()
            self._pause = max(PAUSE, (self._drawn - begun) / SHARE)

    def _row(self, message: Message) -> dict[str, Any]:
        """Return what is shown of a message: texts, and trees of elements for what is Markdown or code."""
        hide, speaker = self.conversation.without_keys, hide_secrets(message.speaker)
        text, thoughts = hide(message.words), hide(message.thoughts)
        row: dict[str, Any] = {
            "kind": message.kind,
            "speaker": speaker,
            "note": message.note,
            "thoughts": thoughts.strip(),
        }
        if message.kind == "question":
            return {**row, "colour": 0, "initials": "", "body": [text]}
        row |= {"colour": self._colour(message.speaker), "initials": initials(speaker)}
        if message.finding:
            return {**row, "body": [f"✖ {hide(message.finding.message)}"], "fix": hide(message.finding.fix)}
        if message.results:
            return {**row, "results": [[hide_secrets(name), hide(text)] for name, text in message.results]}
        if found := THINK.match(text):
            row["thoughts"] = "\n".join(filter(None, [thoughts, found[1]])).strip()
            text = text[found.end() :]
        return {
            **row,
            "body": markdown(text),
            "calls": [code(hide(call), "python") for call in message.calls],
        }

    def _colour(self, speaker: str) -> int:
        """Return the number of a speaker's colour, from 1."""
        names = self.conversation.names
        return names.index(speaker) % COLOURS + 1 if speaker in names else COLOURS

    def _show(self, **traits: Any) -> None:
        with self._drawing, self.hold_sync():
            for name, value in traits.items():
                setattr(self, name, value)


def initials(name: str) -> str:
    """Return two letters for a name: CW for code_writer or CodeWriter, Cr for critic."""
    words = WORDS.findall(name)
    if len(words) > 1:
        return (words[0][0] + words[1][0]).upper()
    return words[0][:2].capitalize() if words else "?"


def _static(row: dict[str, Any]) -> str:
    """Return a message as HTML that needs neither scripts nor styles."""
    parts = [f"<p><strong>{escape(row['speaker'])}</strong></p>"]
    if row["thoughts"]:
        thoughts = escape(row["thoughts"])
        parts.append(f"<details><summary>Thoughts</summary><pre>{thoughts}</pre></details>")
    body, calls, results = (row.get(name) or [] for name in ("body", "calls", "results"))
    if row["kind"] in ("question", "error"):
        text = "\n".join([*body, *([f"Fix: {row['fix']}"] if row.get("fix") else [])])
        parts.append(f"<p style='white-space: pre-wrap'>{escape(text)}</p>")
    else:
        parts += map(static, body)
    parts += [f"<p>Tool call</p>{static(call)}" for call in calls]
    parts += [f"<p>Result of {escape(name)}</p><pre>{escape(text)}</pre>" for name, text in results]
    if row["note"]:
        parts.append(f"<p><em>{escape(row['note'])}</em></p>")
    return "\n".join(parts)


def _status(talk: Conversation) -> str:
    if talk.running and talk.stopping:
        return "Stopping. A client that does not stream first comes to its end."
    if talk.running:
        return f"{talk.growing.speaker if talk.growing else talk.agent.name} is answering …"
    if talk.messages and talk.messages[-1].finding:
        return "✖ That failed: the last message says why, and what to do."
    if not talk.messages:
        return "Cleared." if talk.can_undo_clear else "Type a message and press Enter."
    return f"{'Stopped' if talk.stopping else 'Ready'}. In total {talk.total}."
