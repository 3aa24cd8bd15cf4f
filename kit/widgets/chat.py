"""ChatPanel: talk with an agent or a group chat in the notebook."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from kit.config_list.secrets import hide_secrets
from kit.widgets.conversation import Conversation, Message

PAUSE = 0.05  # seconds between two drawings of a growing reply


class ChatPanel(anywidget.AnyWidget):
    """A chat with an agent, or with a group chat's manager. Show it as the last line of a cell.

    Enter sends, Shift+Enter starts a new line. `conversation` is the state: its `send`, `stop`, `clear`
    and `markdown` do what the buttons do, `messages` and `total` are the messages and what they took.

    Args:
        agent: an AutoGen agent, its model client registered, or a `GroupChatManager`.
    """

    # The form is part of this widget: ipywidgets' Text may report Enter before what was typed.
    name = traitlets.Unicode().tag(sync=True)
    # (kind, speaker, text, note) of each message that is whole, and of the one that is being written
    said: traitlets.List[Any] = traitlets.List().tag(sync=True)
    growing: traitlets.List[Any] = traitlets.List().tag(sync=True)
    running = traitlets.Bool().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    again = traitlets.Unicode().tag(sync=True)  # the message that failed, to be sent again
    transcript = traitlets.Unicode().tag(sync=True)

    _esm = """
    function make(parent, tag, properties) {
      const node = Object.assign(document.createElement(tag), properties);
      parent.append(node);
      return node;
    }
    function render({ model, el }) {
      const log = make(el, "div", { className: "kit-log", tabIndex: 0 });  // arrow keys scroll it
      log.setAttribute("role", "log");
      log.setAttribute("aria-label", `Chat with ${model.get("name")}`);
      const status = make(el, "div", { className: "kit-line" });
      status.setAttribute("role", "status");
      const label = make(el, "label", { textContent: `Message to ${model.get("name")}` });
      const input = make(label, "textarea", { rows: 2 });
      const row = make(el, "div", { className: "kit-row" });
      const button = (name, onclick) =>
        make(row, "button", { type: "button", className: "jupyter-button", textContent: name, onclick });

      const send = () => {
        if (input.value.trim() && !model.get("running")) {
          model.send({ send: input.value });
          input.value = "";
        }
        input.focus();
      };
      button("Send", send).classList.add("mod-primary");
      const stop = button("Stop", () => { model.send({ stop: true }); input.focus(); });
      const clear = button("Clear", () => { model.send({ clear: true }); input.focus(); });
      const copy = button("Copy transcript", async () => {
        try {
          await navigator.clipboard.writeText(model.get("transcript"));
        } catch {  // no clipboard without https: select the text and copy that
          const text = make(el, "textarea", { value: model.get("transcript") });
          text.select();
          document.execCommand("copy");
          text.remove();
          copy.focus();
        }
        copy.textContent = "Copied";
        setTimeout(() => { copy.textContent = "Copy transcript"; }, 1500);
      });
      el.addEventListener("keydown", (event) => {  // Jupyter has shortcuts of its own: x cuts the cell
        const shortcut = event.ctrlKey || event.metaKey || event.altKey || event.key === "Escape";
        if (!shortcut) event.stopPropagation();
      });
      input.onkeydown = (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          send();
        }
      };

      const show = (place, [kind, speaker, text, note]) => {
        place ??= ["kit-speaker", "kit-said", "kit-note"].reduce((parent, className) => {
          make(parent, "div", { className });
          return parent;
        }, make(log, "div", {}));
        place.className = `kit-${kind}`;
        [speaker, text, note].forEach((part, index) => { place.children[index].textContent = part; });
      };
      let follow = true;  // the end stays in sight, unless someone scrolls up
      const toEnd = () => { if (follow) log.scrollTop = log.scrollHeight; };
      log.onscroll = () => { follow = log.scrollHeight - log.scrollTop - log.clientHeight < 40; };
      new ResizeObserver(toEnd).observe(log);
      let whole = 0;  // messages that are drawn and won't change
      const draw = () => {
        const said = model.get("said"), growing = model.get("growing"), running = model.get("running");
        follow ||= said.length !== whole;
        whole = Math.min(whole, said.length);
        for (; whole < said.length; whole++) show(log.children[whole], said[whole]);
        if (growing.length) show(log.children[whole], growing);
        while (log.children.length > whole + (growing.length ? 1 : 0)) log.lastChild.remove();
        log.setAttribute("aria-busy", running);  // a growing reply is read out once it is whole
        if (status.textContent !== model.get("status")) status.textContent = model.get("status");
        stop.disabled = !running;
        clear.disabled = copy.disabled = running || !said.length;
        toEnd();
      };
      model.on("change", draw);
      model.on("change:again", () => { input.value ||= model.get("again"); });
      draw();
    }
    export default { render };
    """
    _css = """
    .kit-chat { max-width: 760px; line-height: 1.4; color: var(--jp-content-font-color1); }
    .kit-log {
      box-sizing: border-box; min-height: 5em; max-height: 26em; overflow: auto; padding: 8px;
      border: 1px solid var(--jp-border-color1); background: var(--jp-layout-color1);
    }
    .kit-log > div { margin-bottom: 10px; white-space: pre-wrap; overflow-wrap: anywhere; }
    .kit-log > .kit-question { border-left: 3px solid var(--jp-brand-color1); padding-left: 8px; }
    .kit-log > .kit-error { border-left: 3px solid var(--jp-error-color1); padding-left: 8px; }
    .kit-speaker { font-weight: 600; }
    .kit-note, .kit-line { font-size: var(--jp-ui-font-size1); color: var(--jp-ui-font-color1); }
    .kit-line { min-height: 1.4em; margin: 4px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
    .kit-chat textarea {
      display: block; box-sizing: border-box; width: 100%; padding: 4px 8px; resize: vertical; font: inherit;
      color: var(--jp-content-font-color1); background: var(--jp-layout-color1);
      border: 1px solid var(--jp-border-color1);
    }
    .kit-row { display: flex; flex-wrap: wrap; gap: 4px; margin-top: 4px; }
    .kit-row button { width: auto; margin: 0; padding: 0 10px; }
    """

    def __init__(self, agent: Any) -> None:
        self.conversation = Conversation(agent)
        self._drawing, self._drawn = threading.RLock(), 0.0
        self._later: threading.Timer | None = None
        super().__init__(name=agent.name)
        self.add_class("kit-chat")
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

    def _do(self, content: dict[str, Any]) -> None:
        """Do what a person asks for."""
        if "send" in content:  # in a thread, so that Stop gets through meanwhile
            threading.Thread(target=self._attempt, args=(self._ask, content["send"]), daemon=True).start()
        else:
            self._attempt(self.conversation.stop if "stop" in content else self.conversation.clear)

    def _ask(self, text: str) -> None:
        self._show(again="")
        answered = False
        try:
            answered = not self.conversation.send(text).finding
        finally:
            self._show(again="" if answered else hide_secrets(text))

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do it; an error becomes the status, since Jupyter hides those of callbacks and threads."""
        try:
            action(*arguments)
        except Exception as error:
            self._show(status=f"✖ {hide_secrets(str(error))}")

    def _changed(self) -> None:
        """Draw now, or a little later while a reply grows: a fast model has a hundred pieces a second."""
        wait = self._drawn + PAUSE - time.monotonic()
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
            self._later, self._drawn = None, time.monotonic()
            growing, messages = talk.growing, list(talk.messages)
            whole = [_row(message) for message in messages if message is not growing]
            changes: dict[str, Any] = {"growing": _row(growing) if growing else [], "running": talk.running}
            if whole != self.said:
                changes |= {"said": whole, "transcript": talk.markdown()}
            self._show(**changes, status=_status(talk))

    def _show(self, **traits: Any) -> None:
        with self._drawing, self.hold_sync():
            for name, value in traits.items():
                setattr(self, name, value)


def _row(message: Message) -> list[str]:
    return [message.kind, message.speaker, hide_secrets(message.text), message.note]


def _status(talk: Conversation) -> str:
    if talk.running and talk.stopping:
        return "Stopping. A client that does not stream first comes to its end."
    if talk.running:
        return f"{talk.growing.speaker if talk.growing else talk.agent.name} is answering …"
    if talk.messages and talk.messages[-1].finding:
        return "✖ That failed: the last message says why. Press Send to try again."
    if not talk.messages:
        return "Type a message and press Enter."
    return f"{'Stopped' if talk.stopping else 'Ready'}. In total {talk.total}."
