"""ConfigListBuilder: fill in an OAI_CONFIG_LIST by form, see the JSON and the Python it stands for."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from weakref import WeakSet

import anywidget
import traitlets
from IPython import get_ipython

from kit.config_list.fields import FIELDS
from kit.config_list.lists import ConfigList, ConfigListError
from kit.config_list.secrets import hide_secrets, resolved
from kit.widgets.editor import ConfigListEditor, without_secrets
from kit.widgets.form import form, highlighted, line, summary
from kit.widgets.page import page, with_fallback
from kit.widgets.trial import QUESTION, NoModels, served_models, try_entry

NO_AGENT = "No agent yet: builder.agent = your_agent"
OPEN: WeakSet[ConfigListBuilder] = WeakSet()  # the forms that are not closed


class ConfigListBuilder(anywidget.AnyWidget):
    """A form for the config list in `path`, which is loaded if it exists.

    Show it as the last line of a cell. `config_list` and `llm_config` give what is in the form to
    an agent; `load()`, `save()` and `python()` do what the buttons do; `editor` is the state.

    What is typed comes as a message, and only what is not secret goes back, in `view`: Jupyter may save a
    widget's traits with the notebook.

    Args:
        path: the file to load from and save to.
        agent: an agent of which to show what is registered; can be set later, too.
    """

    _esm = page("builder.js")
    _css = page("builder.css")
    view = traitlets.Dict().tag(sync=True)

    def __init__(self, path: str | Path = "OAI_CONFIG_LIST", agent: Any = None) -> None:
        self.editor = ConfigListEditor(path=path)
        self._agent = agent
        self._filter = ""
        self._tab = "Python"
        self._trial = {"question": QUESTION, "running": False, "reply": ""}
        self._asked = {"trial": 0, "server": 0}  # how often; only the last answer to each counts
        self._server: dict[str, Any] = {
            "running": False,
            "entry": {},
            "models": [],
            "error": "",
            "address": "",
        }
        self._turn, self._at_work = "", False  # the last message, for the page to know its answer
        self._lock = threading.RLock()  # answers come in threads of their own
        super().__init__()
        self._cell, self._run = _running_cell()
        for other in [
            one for one in OPEN if self._cell and one._cell == self._cell and one._run != self._run
        ]:
            other.close()  # a cell that runs again takes its old forms off the page
        OPEN.add(self)
        self.add_class("kit-page").add_class("kit-builder")
        self.editor.on_change.append(self._draw)
        self.on_msg(lambda _, message, buffers: self.do(message))
        if Path(path).exists():
            self._attempt(self.editor.load)
        self._draw()

    @property
    def agent(self) -> Any:
        """The agent of which the tab "Agent" shows what is registered."""
        return self._agent

    @agent.setter
    def agent(self, agent: Any) -> None:
        self._agent = agent
        self._draw()

    @property
    def config_list(self) -> ConfigList:
        """The entries in the form, a copy with the keys filled in.

        Raises:
            ConfigListError: AutoGen would reject them.
        """
        errors = [problem for problem in self.editor.problems() if not problem.warning]
        if errors:
            raise ConfigListError("the list in the form", errors)
        return ConfigList(resolved(copy.deepcopy(entry)) for entry in self.editor.entries)

    @property
    def llm_config(self) -> Any:
        """An `autogen.LLMConfig` of the entries in the form, for an agent's `llm_config`."""
        from autogen import LLMConfig

        return LLMConfig(*self.config_list)

    def load(self, path: str | Path | None = None) -> None:
        """Load the list from the file that the form names, or another."""
        self.editor.load(path)

    def save(self, path: str | Path | None = None, overwrite: bool = False) -> None:
        """Save the list to the file that it came from, or another."""
        self.editor.save(path, overwrite)

    def python(self) -> str:
        """Return the blog's three steps for this list."""
        return self.editor.python()

    def close(self) -> None:
        """Close the form; what is in it stays."""
        OPEN.discard(self)
        self.editor.on_change.clear()
        self.layout.close()
        super().close()

    def __repr__(self) -> str:
        lines = [f"ConfigListBuilder: {self.editor.path}{', not saved' if self.editor.changed else ''}"]
        lines += [f"  {line(index, entry)}" for index, entry in enumerate(self.editor.entries)]
        asked = self.editor.question
        lines += [asked.text, asked.diff, f"[{asked.yes}] or [No]?"] if asked else []
        return "\n".join([*lines, f"  {summary(self.editor)}"])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Give the front end the form, and whoever can't show it the text."""
        text = repr(self)
        return with_fallback(super()._repr_mimebundle_(**kwargs), text, f"<pre>{escape(text)}</pre>")

    # What a person does -------------------------------------------------------------------------

    def do(self, message: dict[str, Any]) -> None:
        """Do what the page asks: `{"do": "set", "field": "model", "text": "..."}`, for example."""
        with self._lock:
            self._turn, self._at_work = str(message.get("turn", "")), True
            self._attempt(lambda: self._action(message)())
            self._at_work = False
            self._draw()

    def _action(self, message: dict[str, Any]) -> Callable[[], Any]:
        editor, text, field = self.editor, str(message.get("text", "")), message.get("field", "")
        index = int(message.get("index") or 0)
        fields = {one.name: one for one in FIELDS}
        actions: dict[str, Callable[[], Any]] = {
            "select": lambda: editor.select(index),
            "add": lambda: editor.add(text),
            "duplicate": lambda: self._at(index, editor.duplicate),
            "remove": lambda: self._at(index, editor.remove),
            "move": lambda: self._at(index, lambda: editor.move_to(int(message["to"]))),
            "undo": editor.undo,
            "redo": editor.redo,
            "path": lambda: editor.set_path(text),
            "open": lambda: editor.load(editor.path),
            "save": lambda: editor.save(editor.path),
            "paste": lambda: editor.paste(text) if text.strip() else None,
            "answer": lambda: editor.answer(bool(message.get("yes"))),
            "set": lambda: editor.set_text(fields[field], text),
            "fix": lambda: editor.fix(field),
            "variable": lambda: editor.set_key_variable(text),
            "key": lambda: editor.set_key(text),
            "extra": lambda: editor.set_extra_text(text),
            "argument": lambda: editor.set_argument(field, text),
            "classes": self._draw,
            "models": self._ask_server,
            "tab": lambda: self._show(text),
            "filter": lambda: self._keep(text),
            "question": lambda: self._trial.update(question=without_secrets(text)),
            "ask": lambda: self._ask(text),
            "cancel": self._cancel,
        }
        return actions[message["do"]]

    def _attempt(self, action: Any) -> None:
        """Do what was asked; an error becomes a message, since Jupyter hides those of callbacks."""
        try:
            action()
        except Exception as error:
            text = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
            self.editor.message = f"✖ {hide_secrets(text, *self.editor.entries)}"
            self._draw()

    def _at(self, index: int, action: Any) -> None:
        self.editor.select(index)
        action()

    def _show(self, tab: str) -> None:
        self._tab = tab
        self._draw()

    def _keep(self, text: str) -> None:
        self._filter = without_secrets(text)
        self._draw()

    def _ask_server(self) -> None:
        """Ask for the models of the selected entry's server."""
        entry = copy.deepcopy(self.editor.entry or {})
        self._server = {"running": True, "entry": entry, "models": [], "error": "", "address": ""}

        def work() -> dict[str, Any]:
            try:
                return {"models": served_models(entry)}
            except NoModels as error:
                return {"error": str(error), "address": error.address}

        self._in_background("server", work)

    def _ask(self, question: str) -> None:
        """Ask the entry in a thread of its own, so that the form stays alive while a model loads."""
        question = question.strip() or QUESTION
        entry, arguments = copy.deepcopy(self.editor.entry or {}), dict(self.editor.typed_arguments())
        self._trial = {"question": without_secrets(question), "running": True, "reply": ""}

        def work() -> dict[str, Any]:
            try:
                return {"reply": str(try_entry(entry, arguments, self.editor.namespace, question))}
            except Exception as error:
                return {"reply": hide_secrets(f"{type(error).__name__}: {error}", entry)}

        self._in_background("trial", work)

    def _in_background(self, what: str, work: Callable[[], dict[str, Any]]) -> None:
        """Do work in a thread, and show what comes of it unless it was cancelled or asked again meanwhile."""
        self._asked[what] += 1
        number = self._asked[what]
        self._draw()

        def run() -> None:
            answer = work()
            with self._lock:
                if number == self._asked[what]:
                    state = self._trial if what == "trial" else self._server
                    state.update(answer, running=False)
                    self._draw()

        threading.Thread(target=run, name=f"ConfigListBuilder {what}", daemon=True).start()

    def _cancel(self) -> None:
        self._asked["trial"] += 1
        self._trial = {**self._trial, "running": False, "reply": "Cancelled."}
        self._draw()

    # What a person sees -------------------------------------------------------------------------

    def _draw(self) -> None:
        """Show the state; of several changes that one message makes, the last."""
        with self._lock:
            if self._at_work:
                return
            models, server = self._served()
            state = form(self.editor)
            self.view = {
                **state,
                "turn": self._turn,
                "models": models or state["models"],
                "server": server,
                "tab": self._tab,
                "shown": self._shown(),
                "trial": dict(self._trial),
            }

    def _served(self) -> tuple[list[str], dict[str, Any]]:
        """Return the models of the selected entry's server, and what it said when it was asked for them."""
        now, asked = self.editor.entry or {}, self._server
        models, verdict = asked["models"], {"running": False, "mark": "", "text": "", "address": ""}
        if any(now.get(name) != asked["entry"].get(name) for name in ("base_url", "api_key", "api_type")):
            return [], verdict
        if asked["running"]:
            return [], {**verdict, "running": True, "text": "Asking the server…"}
        if asked["error"]:
            return [], {**verdict, "mark": "error", "text": asked["error"], "address": asked["address"]}
        if models:
            there = now.get("model") in models
            count = "1 model" if len(models) == 1 else f"{len(models)} models"
            which = "this one among them." if there else "but not this one: choose another."
            verdict.update(mark="ok" if there else "warning", text=f"{count}, {which}")
        return models, verdict

    def _shown(self) -> Any:
        """Return what the open tab shows; the others wait until they are opened."""
        if self._tab == "JSON":
            return highlighted(self.editor.preview(), "json")
        if self._tab == "Filter":
            return {"text": self._filter, "kept": self.editor.kept(self._filter)}
        if self._tab == "Agent":
            return NO_AGENT if self._agent is None else self.editor.registered(self._agent)
        return highlighted(self.editor.python(), "python")


def _running_cell() -> tuple[str, str]:
    """Return the id of the cell that runs now, and that of this run; "" where the front end names none."""
    shell = get_ipython()  # type: ignore[no-untyped-call]
    request = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return request.get("metadata", {}).get("cellId", ""), request.get("header", {}).get("msg_id", "")
