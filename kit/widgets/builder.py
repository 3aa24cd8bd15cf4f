"""ConfigListBuilder: fill in an OAI_CONFIG_LIST by form, see the JSON and the Python it stands for."""

from __future__ import annotations

import copy
import html
import threading
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from kit.config_list.fields import FIELDS
from kit.config_list.lists import ConfigList, ConfigListError
from kit.config_list.secrets import hide_secrets, resolved
from kit.widgets.editor import ConfigListEditor, without_secrets
from kit.widgets.form import form, highlighted, line, summary
from kit.widgets.trial import QUESTION

HERE = Path(__file__).parent
NO_AGENT = "No agent yet: builder.agent = your_agent"


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

    _esm = HERE / "builder.js"
    _css = HERE / "builder.css"
    view = traitlets.Dict().tag(sync=True)

    def __init__(self, path: str | Path = "OAI_CONFIG_LIST", agent: Any = None) -> None:
        self.editor = ConfigListEditor(path=path)
        self._agent = agent
        self._filter = ""
        self._tab = "Python"
        self._trial = {"question": QUESTION, "running": False, "reply": ""}
        self._trials = 0
        self._served: tuple[Any, list[str]] = None, []  # a server's address, and the models that it has
        super().__init__()
        self.add_class("kit-builder")
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
        """Close the form."""
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
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        if not isinstance(data, dict):
            return bundle
        text = repr(self)
        return {**data, "text/plain": text, "text/html": f"<pre>{html.escape(text)}</pre>"}, metadata

    # What a person does -------------------------------------------------------------------------

    def do(self, message: dict[str, Any]) -> None:
        """Do what the page asks: `{"do": "set", "field": "model", "text": "..."}`, for example."""
        editor, text = self.editor, str(message.get("text", ""))
        field, index = message.get("field", ""), int(message.get("index") or 0)
        actions = {
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
            "set": lambda: editor.set_text(next(one for one in FIELDS if one.name == field), text),
            "fix": lambda: editor.fix(field),
            "variable": lambda: editor.set_key_variable(text),
            "key": lambda: editor.set_key(text),
            "extra": lambda: editor.set_extra_text(text),
            "argument": lambda: editor.set_argument(field, text),
            "classes": self._draw,
            "models": self._ask_server,
            "tab": lambda: self._show(text),
            "filter": lambda: self._keep(text),
            "ask": lambda: self._ask(text),
            "cancel": self._cancel,
        }
        self._attempt(actions[message["do"]])

    def _attempt(self, action: Any) -> None:
        """Do what was asked; an error becomes a message, since Jupyter hides those of callbacks."""
        try:
            action()
        except Exception as error:
            self.editor.message = f"✖ {hide_secrets(str(error), *self.editor.entries)}"
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
        self._served = (self.editor.entry or {}).get("base_url"), self.editor.served_models()
        self.editor.message = f"✔ The server offers {', '.join(self._served[1])}."
        self._draw()

    def _ask(self, question: str) -> None:
        """Ask the entry in a thread of its own, so that the form stays alive while a model loads."""
        self._trials += 1
        number, question = self._trials, question.strip() or QUESTION
        self._trial = {"question": without_secrets(question), "running": True, "reply": ""}
        self._draw()

        def work() -> None:
            try:
                reply = str(self.editor.try_it(question))
            except Exception as error:
                reply = hide_secrets(f"{type(error).__name__}: {error}", *self.editor.entries)
            if number == self._trials:  # it was not cancelled meanwhile
                self._trial = {**self._trial, "running": False, "reply": reply}
                self._draw()

        threading.Thread(target=work, daemon=True).start()

    def _cancel(self) -> None:
        self._trials += 1
        self._trial = {**self._trial, "running": False, "reply": "Cancelled."}
        self._draw()

    # What a person sees -------------------------------------------------------------------------

    def _draw(self) -> None:
        """Show the state."""
        state = form(self.editor)
        server, models = self._served
        if models and server == (self.editor.entry or {}).get("base_url"):
            state["models"] = models
        self.view = {**state, "tab": self._tab, "shown": self._shown(), "trial": dict(self._trial)}

    def _shown(self) -> Any:
        """Return what the open tab shows; the others wait until they are opened."""
        if self._tab == "JSON":
            return highlighted(self.editor.preview(), "json")
        if self._tab == "Filter":
            return {"text": self._filter, "kept": self.editor.kept(self._filter)}
        if self._tab == "Agent":
            return NO_AGENT if self._agent is None else self.editor.registered(self._agent)
        return highlighted(self.editor.python(), "python")
