"""ConfigListBuilder: fill in an OAI_CONFIG_LIST by form, see the JSON and the Python it stands for."""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from ipywidgets.widgets.widget_description import DescriptionStyle
from ipywidgets.widgets.widget_selection import _Selection
from ipywidgets.widgets.widget_string import LabelStyle, TextStyle

from kit.config_list.fields import CUSTOM, FIELDS, KEY, Field, kind_of_entry, limits, presets
from kit.config_list.lists import ConfigList, ConfigListError, Problem
from kit.config_list.secrets import MASK, hide_secrets, masked, resolved
from kit.widgets.editor import EXTRA, ConfigListEditor
from kit.widgets.parts import CopyableText, StatusLine, close_all
from kit.widgets.trial import QUESTION

MORE, OTHER = "More fields", "Other fields (JSON)"
OTHER_HELP = "what else your class or the server reads, as one JSON object"
OTHER_EXAMPLE = '{"params": {"max_length": 100}}'
# A key that its name tells, without quotes: my_key = ...
NAMED = re.compile(r"(?i)([\w-]*(?:key|secret|password|credential)s?\s*[:=]\s*)([^\s\"'{\[,$*]+)")


class ConfigListBuilder(widgets.VBox):
    """A form for the config list in `path`, which is loaded if it exists.

    Show it as the last line of a cell. `config_list` and `llm_config` give what is in the form to
    an agent; `load()`, `save()` and `python()` do what the buttons do; `editor` is the state.

    Args:
        path: the file to load from and save to.
        agent: an agent of which to show what is registered; can be set later, too.
    """

    def __init__(self, path: str | Path = "OAI_CONFIG_LIST", agent: Any = None) -> None:
        self.editor = ConfigListEditor(path=path)
        self._agent = agent
        self._drawing = False
        self._worker: threading.Thread | None = None
        self._look = _Look()
        super().__init__()
        self.add_class("kit-form")
        self._make_inputs()
        self.children = [
            self._path,
            self._files,
            self._row(self._preset, self._buttons(Add=self._add)),
            self._list,
            self._buttons(
                Duplicate=self.editor.duplicate,
                Remove=self.editor.remove,
                Move_up=lambda: self.editor.move(-1),
                Move_down=lambda: self.editor.move(1),
                Undo=self.editor.undo,
                Redo=self.editor.redo,
            ),
            self._status,
            self._fix,
            self._question,
            *self._form(),
            self._tabs,
        ]
        self.editor.on_change.append(self._draw)
        if Path(path).exists():
            self._attempt(self._load)
        else:
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
        """Close the form and every widget in it."""
        self.editor.on_change.clear()
        close_all(self, *self._look.all())

    def __repr__(self) -> str:
        lines = [f"ConfigListBuilder: {self.editor.path}{', not saved' if self.editor.changed else ''}"]
        lines += [f"  {_line(index, entry)}" for index, entry in enumerate(self.editor.entries)]
        asked = self.editor.question
        lines += [asked.text, asked.diff, f"[{asked.yes}] or [No]?"] if asked else []
        return "\n".join([*lines, f"  {_summary(self.editor, self.editor.problems())}"])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Give the front end the form, and whoever can't show it the text; ipywidgets would cut that."""
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": repr(self)} if isinstance(bundle, dict) else bundle

    # What the form is made of -------------------------------------------------------------------

    def _make_inputs(self) -> None:
        look = self._look
        self._path = look.text("File", value=self.editor.path)
        self._files = self._buttons(Load=self._load, Save=self._save)
        self._preset = look.make(widgets.Dropdown, "Preset", options=list(presets()))
        self._list = look.make(widgets.Select, "Entries", rows=4)
        self._status = StatusLine()
        self._fix = self._buttons(Fix=self._fix_it)
        self._inputs = {field.name: look.choice(field.label) for field in FIELDS}
        self._under = {name: look.note() for name in [*self._inputs, KEY, EXTRA]}
        self._variable = look.text("Key's variable")
        self._key = look.make(widgets.Password, "Key", continuous_update=False)
        self._more = widgets.ToggleButton(description=MORE, tooltip=MORE, layout=look.button)
        self._extra = look.make(
            widgets.Textarea, OTHER, rows=4, continuous_update=False, placeholder=OTHER_EXAMPLE
        )
        self._find = self._buttons(Find_my_classes=self._draw, Ask_the_server_for_models=self._ask_server)
        self._passed = look.note()
        self._arguments = widgets.VBox(layout=look.plain)
        self._drawn_arguments: list[str] | None = None
        self._json, self._code = CopyableText("JSON"), CopyableText("Python")
        self._message = look.text("Message", value=QUESTION)
        self._takes, self._reply = StatusLine(), CopyableText("reply")
        self._pasted = look.make(widgets.Textarea, "Text", rows=5, continuous_update=False)
        self._filter = look.text("Filter (JSON)", placeholder='{"tags": ["small"]}')
        self._kept, self._registered = StatusLine(), StatusLine()
        self._tabs = widgets.Tab(layout=look.shown)
        self._tabs.add_class("kit-tabs")
        self._tabs.children = [
            self._json,
            self._code,
            self._box(self._message, self._buttons(Try_it=self._try), self._takes, self._reply),
            self._box(self._pasted, self._buttons(Use_this_text=self._draw)),
            self._box(self._filter, self._kept),
            self._box(self._registered, self._buttons(Look_again=self._draw)),
        ]
        self._tabs.titles = ["JSON", "Python", "Try it", "Paste", "Filter", "Agent"]
        self._asked, self._changes = StatusLine(), CopyableText("changes")
        self._yes = self._buttons(Yes=lambda: self._answer(True), No=lambda: self._answer(False))
        self._question = self._box(self._asked, self._changes, self._yes)
        self._watch()

    def _form(self) -> list[Any]:
        """Return the fields of one entry: what every entry has first, then what only some have."""
        basic: list[Any] = []
        more: list[Any] = []
        for field in FIELDS:
            (basic if field.basic else more).extend([self._inputs[field.name], self._under[field.name]])
        # After the class come buttons that are always there: what the class decides is shown or hidden
        # while Tab leaves it, and the focus needs a place to go to.
        return [
            *basic[:4],
            self._find,
            *basic[4:],
            self._variable,
            self._key,
            self._under[KEY],
            self._more,
            *more,
            self._extra,
            self._under[EXTRA],
            self._passed,
            self._arguments,
        ]

    def _watch(self) -> None:
        """Pass on what a person does. A value is sent when Enter is pressed or the input is left."""
        self._on(self._list, self.editor.select)
        self._on(self._path, self.editor.set_path)
        for field in FIELDS:
            self._on(self._inputs[field.name], partial(self.editor.set_text, field))
        self._on(self._pasted, self._paste)
        self._on(self._extra, self.editor.set_extra_text)
        self._on(self._variable, self.editor.set_key_variable)
        self._on(self._key, self._take_key)
        self._on(self._more, lambda _: self._draw())
        self._on(self._filter, lambda _: self._draw())
        self._on(self._message, lambda _: None)  # for what `_on` does about keys
        self._on(self._tabs, lambda _: self._draw(), "selected_index")

    def _on(self, widget: Any, action: Callable[[Any], Any], trait: str = "value") -> None:
        def changed(change: Any) -> None:
            if self._drawing or change.new is None:  # what _draw itself sets is no edit
                return
            self._attempt(lambda: action(change.new))
            if isinstance(change.new, str) and widget.value == change.new:
                self._drawing = True  # a key in the wrong place: what a widget holds may be saved
                widget.value = _hidden(change.new)
                self._drawing = False

        widget.observe(changed, names=trait)

    def _box(self, *children: Any) -> widgets.VBox:
        return widgets.VBox(children, layout=self._look.plain)

    def _row(self, *children: Any) -> widgets.HBox:
        return widgets.HBox(children, layout=self._look.wrap)

    def _buttons(self, **actions: Callable[[], None]) -> widgets.HBox:
        """Return a row of buttons, each named after what it does."""
        row = []
        for name, action in actions.items():
            button = self._look.make_button(name.replace("_", " "))
            button.on_click(lambda _, action=action: self._attempt(action))
            row.append(button)
        return self._row(*row)

    # What a person does -------------------------------------------------------------------------

    def _attempt(self, action: Callable[[], Any]) -> None:
        """Do what was asked; an error becomes a message, since Jupyter hides those of callbacks."""
        try:
            action()
        except Exception as error:
            self._status.text = f"✖ {hide_secrets(str(error))}"

    def _add(self) -> None:
        self.editor.add(self._preset.value)
        self._inputs["model"].focus()

    def _load(self) -> None:
        self.editor.load(self._path.value)

    def _save(self) -> None:
        self.editor.save(self._path.value)

    # Where what was pressed disappears, the focus goes on: with the keyboard alone it would be lost.

    def _answer(self, yes: bool) -> None:
        self._files.children[0].focus()
        self.editor.answer(yes)

    def _fix_it(self) -> None:
        self._inputs["model"].focus()
        self.editor.fix()

    def _take_key(self, key: str) -> None:
        self._key.value = ""  # at once: what a widget holds may be saved with the notebook
        self.editor.set_key(key)

    def _paste(self, text: str) -> None:
        """Take the text as soon as its input is left, and empty that: the text may hold keys."""
        self._pasted.value = ""
        if text.strip():
            self.editor.paste(text)

    def _ask_server(self) -> None:
        names = self.editor.served_models()
        self._inputs["model"].options = names
        self._status.text = f"The server offers {', '.join(names)}. Choose one in Model."

    def _try(self) -> None:
        """Ask the entry in a thread of its own, so that the form stays alive while a model loads."""
        if self._worker and self._worker.is_alive():
            self._reply.text = "Still waiting for the reply to the last message."
            return
        message = self._message.value
        self._reply.text = "Waiting for the reply..."

        def work() -> None:
            try:
                self._reply.text = str(self.editor.try_it(message))
            except Exception as error:
                self._reply.text = hide_secrets(f"{type(error).__name__}: {error}")

        self._worker = threading.Thread(target=work, daemon=True)
        self._worker.start()

    # What a person sees -------------------------------------------------------------------------

    def _draw(self) -> None:
        """Show the state."""
        if self._drawing:
            return
        self._drawing = True
        try:
            problems = self.editor.problems()
            self._draw_list(problems)
            self._draw_fields(problems)
            self._draw_arguments()
            self._draw_tab()
            self._draw_question()
            self._draw_fix()
            self._status.text = _summary(self.editor, problems)
        finally:
            self._drawing = False

    def _draw_list(self, problems: list[Problem]) -> None:
        editor = self.editor
        faulty = {problem.entry for problem in problems if not problem.warning}
        options = [
            (f"{_line(index, entry)}{' ✖' if index in faulty else ''}", index)
            for index, entry in enumerate(editor.entries)
        ]
        if list(self._list.options) != options:
            self._list.options = options
        self._list.value = editor.selected if options else None
        self._path.value = editor.path
        here = editor.entries.path is None or str(editor.entries.path) == editor.path
        self._files.children[1].description = "Save" if here else "Save as"

    def _draw_fields(self, problems: list[Problem]) -> None:
        editor, look = self.editor, self._look
        kind, more = kind_of_entry(editor.entry or {}), self._more.value
        for field in FIELDS:
            widget, note = self._inputs[field.name], self._under[field.name]
            filled = field.name in (editor.entry or {}) or field.name in editor.unparsed
            visible = kind in field.kinds_of_entry and (field.basic or more) or filled
            widget.layout = look.shown if visible else look.hidden
            note.layout = look.under if visible else look.hidden
            widget.disabled = editor.entry is None
            if field.name not in editor.unparsed:
                widget.value = editor.text(field)
            note.value = _verdict(editor.problems_of(field.name, problems)) or _help(field)
        self._inputs["model_client_cls"].options = editor.classes()
        self._inputs["stream"].options = ["yes", "no"]
        if editor.models():
            self._inputs["model"].options = editor.models()
        custom = kind == CUSTOM
        self._find.children[1].disabled = custom
        self._variable.value, self._under[KEY].value = editor.key_variable(), editor.key_state()
        self._variable.disabled = self._key.disabled = self._extra.disabled = editor.entry is None
        visible = more or not custom or KEY in (editor.entry or {})
        self._variable.layout = self._key.layout = look.shown if visible else look.hidden
        self._under[KEY].layout = look.under if visible else look.hidden
        if EXTRA not in editor.unparsed:
            self._extra.value = editor.extra_text()
        self._under[EXTRA].value = _verdict(editor.problems_of(EXTRA, problems)) or OTHER_HELP

    def _draw_arguments(self) -> None:
        """Show what the class's constructor takes at registration."""
        defaults, typed = self.editor.class_arguments(), self.editor.typed_arguments()
        names = list(defaults)
        if names != self._drawn_arguments:
            old, self._arguments.children = self._arguments.children, [self._look.text(n) for n in names]
            close_all(*old, keep=self._look.all())
            for name, widget in zip(names, self._arguments.children, strict=True):
                self._on(widget, partial(self.editor.set_argument, name))
            self._drawn_arguments = names
            self._passed.value = "Given to the class when it is registered:" if names else ""
        for name, widget in zip(names, self._arguments.children, strict=True):
            widget.placeholder = f"{defaults[name] or 'needed'}; a literal, or the name of a variable"
            if f"{name}=" not in self.editor.unparsed:
                widget.value = typed.get(name, "")

    def _draw_tab(self) -> None:
        """Show the text of the tab that is open; the others wait until they are."""
        editor, tab = self.editor, self._tabs.titles[self._tabs.selected_index or 0]
        if tab == "JSON":
            self._json.text = editor.preview()
        elif tab == "Python":
            self._code.text = editor.python()
        elif tab == "Try it":
            self._takes.text = editor.what_loading_takes()
        elif tab == "Filter":
            self._kept.text = editor.kept(self._filter.value)
        elif tab == "Agent":
            none = "No agent yet: builder.agent = your_agent"
            self._registered.text = none if self._agent is None else editor.registered(self._agent)

    def _draw_fix(self) -> None:
        problem = self.editor.fixable()
        self._fix.layout = self._look.wrap if problem else self._look.hidden
        if problem and problem.fix:
            name, value = problem.fix
            better = name if name != problem.field else value
            self._fix.children[0].description = f"Fix {problem.field}: make it {better}"

    def _draw_question(self) -> None:
        question = self.editor.question
        self._question.layout = self._look.plain if question else self._look.hidden
        if question:
            self._asked.text, self._changes.text = question.text, question.diff
            self._yes.children[0].description = question.yes


class _Look:
    """Layouts and styles, shared by the widgets of one form: fewer models to make and to send."""

    def __init__(self) -> None:
        self.shown = widgets.Layout(width="auto", max_width="760px")
        self.hidden = widgets.Layout(display="none")
        self.under = widgets.Layout(margin="-2px 0 4px 148px", width="auto", max_width="610px")
        self.plain = widgets.Layout()
        self.wrap = widgets.Layout(flex_flow="row wrap")
        self.button = widgets.Layout(width="auto", align_self="flex-start")
        self.of_texts = TextStyle(description_width="140px")
        self.of_choices = DescriptionStyle(description_width="140px")
        self.of_notes = LabelStyle(font_size="12px")
        self.of_buttons = widgets.ButtonStyle()

    def all(self) -> list[Any]:
        return list(vars(self).values())

    def make(self, cls: type, label: str, **options: Any) -> Any:
        style = self.of_choices if issubclass(cls, _Selection) else self.of_texts
        return cls(**{"description": label, "style": style, "layout": self.shown, **options})

    def text(self, label: str, **options: Any) -> Any:
        return self.make(widgets.Text, label, continuous_update=False, **options)

    def choice(self, label: str) -> Any:
        return self.make(widgets.Combobox, label, continuous_update=False)

    def note(self) -> Any:
        label = widgets.Label(style=self.of_notes, layout=self.under)
        label.add_class("kit-note")
        return label

    def make_button(self, text: str) -> Any:
        return widgets.Button(description=text, tooltip=text, layout=self.button, style=self.of_buttons)


def _hidden(text: str) -> str:
    """Return what was typed without the keys in it, known by their look or by the name beside them."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return NAMED.sub(rf"\1{MASK}", hide_secrets(text))
    return hide_secrets(text) if masked(value) == value else json.dumps(masked(value), ensure_ascii=False)


def _verdict(problems: list[Problem]) -> str:
    """Return what is wrong with a field as the text under it, empty if nothing is."""
    if not problems:
        return ""
    mark = "▲" if all(problem.warning for problem in problems) else "✖"
    return f"{mark} {' '.join(problem.message for problem in problems)}"


def _help(field: Field) -> str:
    """Return a field's explanation with the range that AutoGen allows."""
    return f"{field.help}; {range}" if (range := limits(field.name)) else field.help


def _line(index: int, entry: dict[str, Any]) -> str:
    entry = masked(entry)
    client = entry.get("model_client_cls") or entry.get("api_type") or "OpenAI client"
    where = entry.get("base_url") or entry.get("device")
    return f"{index}: {entry.get('model')} ({client}{f', {where}' if where else ''})"


def _summary(editor: ConfigListEditor, problems: list[Problem]) -> str:
    """Return the state of the whole list in a sentence or two."""
    errors = [problem for problem in problems if not (problem.warning or problem.only_here)]
    if not editor.entries:
        state = "The list is empty: choose a preset and press Add."
    elif errors:
        state = f"✖ {len(errors)} to fix. First, {errors[0]}"
    else:
        but = f" But {problems[0]}" if problems else ""
        state = f"✔ AutoGen accepts this list ({len(editor.entries)}).{but}"
    unsaved = "● Not saved yet." if editor.changed else ""
    return " ".join(part for part in (editor.message, state, unsaved) if part)
