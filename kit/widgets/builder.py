"""ConfigListBuilder: fill in an OAI_CONFIG_LIST by form, see the JSON and the Python it stands for."""

from __future__ import annotations

import copy
import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from kit.config_list import ConfigList, ConfigListError, Problem
from kit.editor import EXTRA, FIELDS, ConfigListEditor, presets


class ConfigListBuilder(widgets.VBox):
    """A form for the config list in `path`, which is loaded if it exists.

    Show it as the last line of a cell. `config_list` and `llm_config` give what is in the form to
    an agent; `load()`, `save()` and `python()` do what the buttons do; `editor` is the state.

    Args:
        path: the file to load from and save to.
    """

    def __init__(self, path: str | Path = "OAI_CONFIG_LIST") -> None:
        self.editor = ConfigListEditor(path=path)
        self._preset = widgets.Dropdown(description="Preset", options=list(presets()), **_wide())
        self._list = widgets.Select(description="Entries", rows=4, **_wide())
        self._inputs: dict[str, Any] = {
            field.name: widgets.Text(
                description=field.label, placeholder=field.help, continuous_update=False, **_wide()
            )
            for field in FIELDS
        }
        self._inputs[EXTRA] = widgets.Textarea(
            description="Extra (JSON)", rows=6, continuous_update=False, **_wide()
        )
        self._messages = {name: widgets.Label(layout=_under_inputs()) for name in self._inputs}
        self._path = widgets.Text(description="File", value=str(path), **_wide())
        self._status = widgets.Label()
        self._json, self._code = widgets.HTML(), widgets.HTML()
        form = [part for name in self._inputs for part in (self._inputs[name], self._messages[name])]
        super().__init__(
            [
                self._preset,
                self._buttons(Add=lambda: self.editor.add(self._preset.value)),
                self._list,
                self._buttons(
                    Duplicate=self.editor.duplicate,
                    Remove=self.editor.remove,
                    Move_up=lambda: self.editor.move(-1),
                    Move_down=lambda: self.editor.move(1),
                ),
                *form,
                self._path,
                self._buttons(Load=self.load, Save=self.save),
                self._status,
                widgets.Tab([self._json, self._code], titles=["JSON", "Python"], layout=_wide()["layout"]),
            ]
        )
        self._drawing = False
        self._list.observe(lambda change: self._edit(self.editor.select, change.new), names="value")
        for field in FIELDS:
            self._inputs[field.name].observe(
                lambda change, field=field: self._edit(self.editor.set_text, field, change.new), names="value"
            )
        self._inputs[EXTRA].observe(
            lambda change: self._edit(self.editor.set_extra_text, change.new), names="value"
        )
        self._path.observe(lambda change: setattr(self.editor, "path", change.new), names="value")
        self.editor.on_change.append(self._draw)
        if Path(path).exists():
            self._attempt(self.load)
        else:
            self._draw()

    @property
    def config_list(self) -> ConfigList:
        """The entries in the form, a copy.

        Raises:
            ConfigListError: AutoGen would reject them.
        """
        errors = [problem for problem in self.editor.problems() if not problem.warning]
        if errors:
            raise ConfigListError("the list in the form", errors)
        return copy.deepcopy(self.editor.entries)

    @property
    def llm_config(self) -> Any:
        """An `autogen.LLMConfig` of the entries in the form, for an agent's `llm_config`."""
        from autogen import LLMConfig

        return LLMConfig(*self.config_list)

    def load(self) -> None:
        """Load the list from the file that the form names."""
        self.editor.load()
        self._report(f"Loaded {len(self.editor.entries)} entries from {self.editor.path}.")

    def save(self, overwrite: bool = False) -> None:
        """Save the list to the file that the form names."""
        self.editor.save(overwrite)
        self._report(f"Saved {len(self.editor.entries)} entries to {self.editor.path}.")

    def python(self) -> str:
        """Return the blog's three steps for this list."""
        return self.editor.python()

    def __repr__(self) -> str:
        lines = [f"{entry.get('model')} ({_client(entry)})" for entry in self.editor.entries]
        return f"ConfigListBuilder: {self.editor.path}, {', '.join(lines) or 'no entries'}"

    def _edit(self, method: Any, *arguments: Any) -> None:
        """Pass on what a person did; what _draw itself sets is no edit."""
        if not self._drawing and arguments[-1] is not None:
            method(*arguments)

    def _draw(self) -> None:
        """Show the state: list, form, messages and texts."""
        editor, self._drawing = self.editor, True
        try:
            self._list.options = [
                (f"{index}: {entry.get('model')} ({_client(entry)})", index)
                for index, entry in enumerate(editor.entries)
            ]
            self._list.value = editor.selected if editor.entries else None
            for field in FIELDS:
                if field.name not in editor.unparsed:
                    self._inputs[field.name].value = editor.text(field)
            if EXTRA not in editor.unparsed:
                self._inputs[EXTRA].value = editor.extra_text()
            problems = editor.problems()
            for name, label in self._messages.items():
                message = editor.message(name, problems)
                label.value = f"▲ {message}" if message else ""
                label.layout.display = "" if message else "none"
            for widget in self._inputs.values():
                widget.disabled = editor.entry is None
            self._json.value, self._code.value = _pre(editor.preview()), _pre(editor.python())
            self._report(_summary(editor, problems))
        finally:
            self._drawing = False

    def _report(self, text: str) -> None:
        self._status.value = text

    def _buttons(self, **actions: Callable[[], None]) -> widgets.HBox:
        """Return a row of buttons, each named after what it does."""
        row = widgets.HBox(layout=_under_inputs(flex_flow="row wrap"))
        for name, action in actions.items():
            text = name.replace("_", " ")
            button = widgets.Button(description=text, tooltip=text, layout=widgets.Layout(width="auto"))
            button.on_click(lambda _, action=action: self._attempt(action))
            row.children += (button,)
        return row

    def _attempt(self, action: Callable[[], None]) -> None:
        """Do what a button is for; an error becomes a message, since Jupyter hides those of callbacks."""
        try:
            action()
        except Exception as error:
            self._report(f"✖ {error}")


def _wide() -> dict[str, Any]:
    return {
        "style": {"description_width": "110px"},
        "layout": widgets.Layout(width="auto", max_width="760px"),
    }


def _under_inputs(**layout: str) -> widgets.Layout:
    return widgets.Layout(margin="0 0 0 118px", **layout)


def _client(entry: dict[str, Any]) -> str:
    return entry.get("model_client_cls") or entry.get("api_type") or "OpenAI client"


def _summary(editor: ConfigListEditor, problems: list[Problem]) -> str:
    errors = sum(not problem.warning for problem in problems)
    if not editor.entries:
        return "The list is empty: choose a preset and press Add."
    if errors:
        return f"✖ {errors} to mend. First, {problems[0]}"
    but = f" But {problems[0]}" if problems else ""
    return f"✔ AutoGen accepts this list ({len(editor.entries)}).{but}"


def _pre(text: str) -> str:
    """Return a text as HTML that shows it and nothing else: it may hold anything a person typed."""
    return f'<pre style="white-space: pre-wrap; line-height: 1.35">{html.escape(text)}</pre>'
