"""ConfigListEditor: a config list being edited, as plain state. The widget only shows it."""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kit.agents.register import register_model_clients
from kit.checks.protocol import model_clients
from kit.config_list import lists
from kit.config_list.fields import (
    CUSTOM,
    IN_FORM,
    KEY,
    OPENAI,
    Field,
    kind_of_entry,
    presets,
    text_of,
    value_of,
)
from kit.config_list.lists import ConfigList, ConfigListConflict, ConfigListError, Problem
from kit.config_list.repair import diff, repair
from kit.config_list.secrets import (
    BESIDE,
    MASK,
    NO_KEY,
    REFERENCE,
    ConfigEntry,
    belongs_elsewhere,
    free_variable,
    hide_secrets,
    hide_typed,
    lifted,
    masked,
    secrets_of,
    server_of,
    variable_for,
    variables_in,
    walk,
)
from kit.files import write_atomically
from kit.models import local_folders, what_loading_takes
from kit.widgets.classes import arguments_of, is_loaded_here, kit_clients, notebook
from kit.widgets.program import program
from kit.widgets.trial import QUESTION, Trial, argument, try_entry

EXTRA = "other fields"
UNDO_STEPS = 100
STARS = "these stars hide no value here: write the value itself"
KEPT = "until this kernel stops. Set {them} in your system to stay."


@dataclass(frozen=True)
class Question:
    """Something to be agreed to: a repair, or a file to be replaced. `diff` shows what it changes."""

    text: str
    diff: str
    yes: str
    do: Callable[[], None]


@dataclass(frozen=True)
class _Snapshot:
    entries: ConfigList
    selected: int
    arguments: dict[str, dict[str, str]]
    path: str
    stored: str


class ConfigListEditor:
    """The entries of a config list, which one is selected, and what is wrong with them.

    Everything the widget does is a method here. `on_change` functions are called after each change.
    `message` says what the last action did, and `question` what has to be answered first.

    Args:
        path: the file to load from and save to.
        namespace: where classes are looked for; by default the variables of the running notebook.
    """

    def __init__(self, path: str | Path = "OAI_CONFIG_LIST", namespace: dict[str, Any] | None = None) -> None:
        self.entries = ConfigList()
        self.path = str(path)
        self.selected = 0
        self.arguments: dict[str, dict[str, str]] = {}  # class -> what its constructor gets, as Python
        self.unparsed: dict[str, str] = {}  # field of the selected entry -> why its text can't be used
        self._unparsed_texts: dict[str, str] = {}  # the texts themselves, without keys
        self.message = ""
        self.question: Question | None = None
        self.on_change: list[Callable[[], None]] = []
        self._namespace = namespace
        self._past: list[_Snapshot] = []
        self._future: list[_Snapshot] = []
        self._stored = _text(self.entries)
        self._typed: set[str] = set()  # variables that were set here
        self._verdicts: dict[str, list[Problem]] = {}

    # The list -----------------------------------------------------------------------------------

    @property
    def entry(self) -> dict[str, Any] | None:
        """The selected entry, None while the list is empty."""
        return self.entries[self.selected] if self.entries else None

    @property
    def changed(self) -> bool:
        """Whether there is something to save."""
        return _text(self.entries) != self._stored

    @property
    def can_undo(self) -> bool:
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    def select(self, index: int) -> None:
        index = max(0, min(index, len(self.entries) - 1))
        if self.unparsed and index != self.selected:
            self.message = f"Not kept, since it can't be used: {', '.join(self.unparsed)}."
        self.selected, self.unparsed = index, {}
        self._changed()

    def add(self, preset: str) -> None:
        """Append an entry made from a preset and select it.

        Raises:
            KeyError: there is no such preset.
        """
        known = presets()
        if preset not in known:
            raise KeyError(f"There is no preset {preset!r}; there are {', '.join(known)}.")
        with self._edit():
            self.entries.append(ConfigEntry(known[preset]))
            self.selected = len(self.entries) - 1

    def duplicate(self) -> None:
        """Put a copy of the selected entry below it and select the copy."""
        with self._edit():
            if self.entry is not None:
                self.entries.insert(self.selected + 1, copy.deepcopy(self.entry))
                self.selected += 1

    def remove(self) -> None:
        with self._edit():
            if self.entry is not None:
                del self.entries[self.selected]
                self.unparsed = {}
                self.selected = max(0, min(self.selected, len(self.entries) - 1))

    def move(self, step: int) -> None:
        """Move the selected entry up (-1) or down (1): AutoGen tries entries in order."""
        self.move_to(self.selected + step)

    def move_to(self, target: int) -> None:
        """Move the selected entry to a place in the list."""
        with self._edit():
            if self.entry is not None and 0 <= target < len(self.entries):
                self.entries.insert(target, self.entries.pop(self.selected))
                self.selected = target

    def undo(self) -> None:
        self._travel(self._past, self._future, "Nothing to undo.")

    def redo(self) -> None:
        self._travel(self._future, self._past, "Nothing to redo.")

    # The selected entry -------------------------------------------------------------------------

    def text(self, field: Field) -> str:
        """Return the selected entry's value of a field as text, empty where it has none."""
        value = (self.entry or {}).get(field.name)
        if (
            field.kind == "texts"
            and isinstance(value, str)
            and (value.startswith("[") or value != value.strip())
        ):
            value = [value]  # which a person could not type as it is
        return "" if value is None else text_of(masked(value, field.name))

    def unparsed_text(self, name: str) -> str:
        """Return what was typed for a field and can't be used, without keys; "" where all can."""
        return self._unparsed_texts.get(name, "") if name in self.unparsed else ""

    def set_text(self, field: Field, text: str) -> None:
        """Set a field of the selected entry from what was typed; an empty text removes the field."""
        self._set(field.name, field.kind, text.strip())

    def set(self, **fields: Any) -> None:
        """Set fields of the selected entry from code, None to remove one; the form follows."""
        with self._edit():
            if self.entry is not None:
                for name, value in fields.items():
                    if value is None:
                        self.entry.pop(name, None)
                    else:
                        self.entry[name] = value
                self.unparsed = {}

    def key_variable(self) -> str:
        """Return the environment variable that the selected entry's API key is read from, if any."""
        found = REFERENCE.fullmatch(str((self.entry or {}).get(KEY)))
        return found[1] if found else ""

    def key_state(self) -> str:
        """Return where the selected entry's API key comes from, and whether it is there."""
        if self.entry is None:
            return ""
        variable, key = self.key_variable(), self.entry.get(KEY)
        if variable:
            return f"✔ {variable} is set" if os.environ.get(variable) else f"▲ {variable} is not set here"
        if key == NO_KEY:
            return "This server wants no key."
        if key:
            return "▲ The key itself is in the list. Name a variable instead, and the file holds no key."
        if kind_of_entry(self.entry) == CUSTOM:
            return ""
        # OpenAI's client sends the key of this variable to whatever address there is.
        known = variable_for({"api_type": self.entry.get("api_type")})
        there = bool(os.environ.get(known))
        if there and belongs_elsewhere(known, self.entry):
            return f"▲ AutoGen would send the key in {known} to {server_of(self.entry)}."
        return f"AutoGen looks for {known}: it is {'set' if there else 'not set here'}."

    def set_key_variable(self, name: str) -> None:
        """Name the environment variable that holds the key. What looks like a key is taken as one."""
        name = name.strip().removeprefix("$").removeprefix("{").removesuffix("}")
        if name and name not in os.environ and not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", name):
            self.set_key(name)
            self.message = f"That looked like a key, not like a name. {self.message}"
            self._changed()
        else:
            self._set(KEY, "text", f"${{{name}}}" if name else "")

    def set_key(self, key: str) -> None:
        """Keep a key that was typed in this process's environment; the entry gets the variable's name.

        So the key is in no file, no preview and no widget. The variable is named after the server that
        the key is for. One that was set before keeps its value: the key gets another name.

        Raises:
            ValueError: it has characters that no key has.
        """
        key = key.strip()
        if not key or self.entry is None:
            return
        if not key.isprintable():
            raise ValueError("That can't be a key: it has characters that can't be seen. Copy it again.")
        if MASK in key:
            raise ValueError(f"That is no key: {STARS}.")
        variable = old = self.key_variable()
        if not variable or belongs_elsewhere(variable, self.entry):
            variable = variable_for(self.entry)
        typed_anew = variable == old and variable in self._typed and self._users(variable) == 1
        if not typed_anew:
            variable = free_variable(variable, key, {})
        self._keep({variable: key})
        self._set(KEY, "text", f"${{{variable}}}")
        self.message = f"The key is kept as {variable} {KEPT.format(them='it')}"
        self._changed()

    def extra_text(self) -> str:
        """Return the fields without an input of their own as JSON, secrets masked; "" if there are none."""
        extra = masked(self._extra())
        return json.dumps(extra, indent=2, ensure_ascii=False, default=repr) if extra else ""

    def set_extra_text(self, text: str) -> None:
        """Replace the fields without an input of their own; masked secrets keep their value."""
        if self.entry is None:
            return
        self.unparsed.pop(EXTRA, None)
        with self._edit():
            try:
                objects = lists.parse_config_list(f"[{text.strip() or '{}'}]")
                if len(objects) != 1:
                    raise ValueError("one object is needed: {...}")
                _unmask(objects[0], self._extra())
                found: dict[str, str | None] = {}
                typed = lifted(objects[0], {**self.entry, **objects[0]}, found)
                extra = _unmask(typed, self._extra())
                if _text([extra]) == _text([self._extra()]):
                    return
            except ValueError as error:
                reason = error.problems[0].message if isinstance(error, ConfigListError) else error
                self._refuse(EXTRA, text, f"Not used: {reason}")
            else:
                kept = {name: value for name, value in self.entry.items() if name in IN_FORM}
                self.entries[self.selected] = ConfigEntry({**kept, **extra})
                self._keep(found)

    def class_arguments(self) -> dict[str, str]:
        """Return what the selected entry's class takes at registration, with its defaults as Python."""
        return arguments_of(self._class(), self.namespace)

    def typed_arguments(self) -> dict[str, str]:
        """Return what was typed for the selected entry's class to get at registration."""
        return self.arguments.get(self._class(), {})

    def set_argument(self, name: str, text: str) -> None:
        """Set what the class gets at registration: a literal, or the name of a notebook's variable."""
        if not self._class():
            return
        self.unparsed.pop(f"{name}=", None)
        with self._edit():
            typed = {other: old for other, old in self.typed_arguments().items() if other != name}
            try:
                if text.strip():
                    typed[name] = self._argument(name, text.strip())
                others = {cls: old for cls, old in self.arguments.items() if cls != self._class()}
                self.arguments = {**others, self._class(): typed} if typed else others
            except ValueError as error:
                self._refuse(f"{name}=", text, f"Not used: {error}")

    def _argument(self, name: str, text: str) -> str:
        """Return what was typed for an argument; references stand for the secrets in a literal."""
        if MASK in text:
            raise ValueError(f"{STARS}.")
        argument(text, self.namespace)
        if text.isidentifier() and text in self.namespace:
            return text
        found: dict[str, str | None] = {}
        new = lifted(ast.literal_eval(text), self.entry or {}, found, name)
        text = repr(_plain(new)) if found else text
        if hide_secrets(text) != text or masked(new, name) != new:
            raise ValueError(
                f"a key can't be kept in it: write {name} = os.environ[...] in a cell, then {name}."
            )
        self._keep(found)
        return text

    # What is wrong, and what it will be ---------------------------------------------------------

    def problems(self) -> list[Problem]:
        """Return what is wrong with the list, unusable texts of the form first."""
        unparsed = [Problem(message, self.selected, name) for name, message in self.unparsed.items()]
        if not self.entries:
            return unparsed + lists.check_config_list([])
        names = json.dumps(sorted(name for name in os.environ if os.environ[name]))
        stored = [
            problem
            for index, entry in enumerate(self.entries)
            for problem in self._check(index, entry, names)
        ]
        stored += self._missing_classes(stored)
        stored.sort(key=lambda problem: (problem.warning, problem.only_here))
        # A field shows its text, not what is stored.
        return unparsed + [p for p in stored if p.entry != self.selected or p.field not in self.unparsed]

    def _missing_classes(self, problems: list[Problem]) -> list[Problem]:
        """Return a warning for each class that neither this notebook nor the kit has."""
        wrong, known = {p.entry for p in problems if p.field == "model_client_cls"}, self.classes()
        message = "there is no such class here yet: run its cell, or import it."
        return [
            Problem(message, index, "model_client_cls", warning=True, only_here=True)
            for index, entry in enumerate(self.entries)
            if entry.get("model_client_cls", known[0]) not in known and index not in wrong
        ]

    def problems_of(self, name: str, problems: list[Problem] | None = None) -> list[Problem]:
        """Return what is wrong with one field of the selected entry; `EXTRA` stands for the other fields."""
        here = [
            problem
            for problem in (self.problems() if problems is None else problems)
            if problem.entry == self.selected
        ]
        if name != EXTRA:
            return [problem for problem in here if problem.field == name]
        # The text of an argument that can't be used is no field: its name ends in "=".
        return [p for p in here if p.field not in IN_FORM and not str(p.field).endswith("=")]

    def fix_of(self, name: str, problems: list[Problem] | None = None) -> str:
        """Return in words what `fix` would make of a field of the selected entry; "" if it can't."""
        problem = self._fixable(name, problems)
        if problem is None or problem.fix is None:
            return ""
        other, value = problem.fix
        return f"Rename it to {other}" if other != problem.field else f"Use {masked(value, other)}"

    def fix(self, name: str) -> None:
        """Put what the first fixable problem of a field proposes in its place."""
        problem = self._fixable(name)
        if problem and problem.fix and self.entry is not None:
            new = problem.fix
            with self._edit():
                pairs = [new if old == problem.field else (old, value) for old, value in self.entry.items()]
                pairs += [] if problem.field in self.entry else [new]
                self.entries[self.selected] = ConfigEntry(pairs)

    def _fixable(self, name: str, problems: list[Problem] | None = None) -> Problem | None:
        taken = self.entry or {}
        for problem in self.problems_of(name, problems):
            if problem.fix and (problem.fix[0] == problem.field or problem.fix[0] not in taken):
                return problem
        return None

    def preview(self) -> str:
        """Return the JSON of the list, secrets masked."""
        return json.dumps(masked(self.entries), indent=2, ensure_ascii=False, default=repr)

    def python(self) -> str:
        """Return the blog's three steps for this list as a program without secrets."""
        return program(self.entries, self.arguments, self.namespace)

    def kept(self, filter_text: str) -> str:
        """Return in words which entries a filter keeps."""
        try:
            wanted = json.loads(filter_text or "{}")
            if not isinstance(wanted, dict):
                raise ValueError("an object is needed")
            kept = lists.filter_config_list(self.entries, wanted)
        except ConfigListError as error:
            return error.problems[0].message
        except (ValueError, TypeError, RecursionError):
            return 'A filter is an object of lists: {"tags": ["small"]}'
        numbers = [str(index) for index, entry in enumerate(self.entries) if any(entry is k for k in kept)]
        return f"Keeps {len(numbers)} of {len(self.entries)}: {', '.join(numbers) or 'none'}"

    def registered(self, agent: Any) -> str:
        """Return which entries have their client on an agent, and the calls that are still to make."""
        registrations = register_model_clients(agent)
        calls = [f"agent.register_model_client({item.class_name})" for item in registrations.left]
        return "\n".join([str(registrations), *(["", "Still to call:", *calls] if calls else [])])

    def classes(self) -> list[str]:
        """Return the model client classes to choose from: the notebook's, then the kit's."""
        return list(dict.fromkeys([*model_clients(self.namespace), *kit_clients()]))

    def models(self) -> list[str]:
        """Return names to choose from for the selected entry's model."""
        return local_folders() if is_loaded_here(self._class(), self.namespace) else []

    def what_loading_takes(self) -> str:
        """Return what loading the selected entry's model takes, empty where nothing is loaded here."""
        here = is_loaded_here(self._class(), self.namespace)
        return what_loading_takes(self.entry) if self.entry and here else ""

    @property
    def namespace(self) -> dict[str, Any]:
        return notebook() if self._namespace is None else self._namespace

    # Trying -------------------------------------------------------------------------------------

    def try_it(self, message: str = QUESTION) -> Trial:
        """Ask the selected entry something, with an agent of its own; see `kit.widgets.trial.try_entry`."""
        return try_entry(self.entry or {}, self.typed_arguments(), self.namespace, message)

    def has_server_models(self) -> bool:
        """Return whether the selected entry's server can be asked for its models, as OpenAI's can."""
        entry = self.entry or {}
        return kind_of_entry(entry) == OPENAI and entry.get("api_type", OPENAI) == OPENAI

    # Files --------------------------------------------------------------------------------------

    def set_path(self, path: str) -> None:
        """Name the file to load from and save to."""
        if hide_secrets(path) != path or MASK in path:
            self.message = "That looks like a key, not like the name of a file."
        else:
            self.path = path
        self._changed()

    def load(self, path: str | Path | None = None) -> None:
        """Replace the entries by those of a file or variable, whatever is wrong with their fields.

        A text that is not valid JSON, but can be fixed, becomes a `question`.

        Raises:
            ConfigListError: there is no such file or variable, or it holds nothing that can be fixed.
        """
        self.path = str(self.path if path is None else path)
        text, source, file = lists.read_source(self.path)
        self._take(text, source, lambda entries: self._loaded(entries, file, text))

    def paste(self, text: str) -> None:
        """Replace the entries by those of a text, fixed like a file's.

        Raises:
            ConfigListError: it holds nothing that can be fixed, or stars in the place of a value.
        """

        def use(entries: ConfigList) -> None:
            found: dict[str, str | None] = {}
            pasted = ConfigList(self._pasted(index, entry, found) for index, entry in enumerate(entries))
            with self._edit():
                pasted.path, pasted.digest = self.entries.path, self.entries.digest
                self.entries, self.selected, self.unparsed = pasted, 0, {}
                self._keep(found)
                self.message = f"Pasted {_counted(pasted)}. {self.message}".strip()

        self._take(text, "the pasted text", use)

    def save(self, path: str | Path | None = None, overwrite: bool = False) -> None:
        """Write the list to the file that it came from, or to another.

        A file that holds something else becomes a `question`.

        Raises:
            ConfigListError: AutoGen would reject the list, or the file can't be written.
        """
        if self.unparsed:
            name, message = next(iter(self.unparsed.items()))
            raise ConfigListError(self.path, [Problem(message, self.selected, name)])
        target = Path(self.path if path is None else path)
        before = target.read_bytes() if overwrite and target.is_file() else None
        try:
            saved = lists.save_config_list(self.entries, target, overwrite=overwrite)
        except ConfigListConflict as conflict:
            changes = diff(target.read_text(encoding="utf-8", errors="replace"), self.entries)
            self._ask(str(conflict), changes, "Replace the file", lambda: self.save(target, overwrite=True))
            return
        if before is not None:
            backup = target.with_name(f"{target.name}.bak")
            write_atomically(backup, before)
        self.entries, self.path = saved, str(target)
        self._stored, self.question = _text(self.entries), None
        for state in (*self._past, *self._future):  # a list that had no file yet has this one now
            state.entries.path = state.entries.path or saved.path
        self.message = f"Saved {_counted(saved)} to {self.path}."
        if self.preview() != lists.to_json(self.entries):  # the file holds a key
            self.message += " It holds a key in plain text" + (
                ", and git does not ignore it." if _seen_by_git(target) else "."
            )
        self._changed()

    def answer(self, yes: bool) -> None:
        """Answer the open question.

        Raises:
            ConfigListError: what was agreed to can't be done.
        """
        question, self.question = self.question, None
        self.message = "" if yes else "Left as it was."
        if question and yes:
            question.do()
        self._changed()

    # Within -------------------------------------------------------------------------------------

    def _pasted(self, index: int, entry: dict[str, Any], found: dict[str, str | None]) -> ConfigEntry:
        """Return an entry as it came with a text, without secrets; stars are those of an entry shown here."""
        same = [old for old in self.entries if masked(old) == entry]
        if same:
            return copy.deepcopy(same[0])
        try:
            _unmask(entry, None)
            return ConfigEntry(lifted(entry, entry, found))
        except ValueError as error:
            raise ConfigListError("the pasted text", [Problem(str(error), index)]) from None

    def _keep(self, found: dict[str, str | None]) -> None:
        """Set the variables of secrets that were typed, and say so."""
        for variable, secret in found.items():
            os.environ[variable] = secret or ""
            self._typed.add(variable)
        if found:
            them = "it" if len(found) == 1 else "them"
            self.message = f"Not in the list, but kept as {', '.join(found)} {KEPT.format(them=them)}"

    def _users(self, variable: str) -> int:
        """Return how many secrets of the list and of the arguments are kept in a variable."""
        arguments = [text for typed in self.arguments.values() for text in typed.values()]
        used = [name for entry in self.entries for name in variables_in(entry)]
        return used.count(variable) + sum(f"${{{variable}}}" in text for text in arguments)

    def _take(self, text: str, source: str, use: Callable[[ConfigList], None]) -> None:
        try:
            entries = lists.parse_config_list(text, source)
        except ConfigListError as error:
            fixed = repair(text)
            if fixed is None:
                raise
            self._ask(str(error), diff(text, fixed), "Use the fixed list", lambda: use(fixed))
        else:
            self.question = None
            use(entries)

    def _loaded(self, entries: ConfigList, file: Path | None, text: str) -> None:
        with self._edit():
            entries.path, entries.digest = file, lists.digest(text)
            self.entries, self.selected, self.unparsed = entries, 0, {}
            try:
                self._stored = _text(lists.parse_config_list(text))
            except ConfigListError:  # fixed: what is on disk is something else
                self._stored = text
            self.message = f"Loaded {_counted(entries)} from {self.path}."

    def _ask(self, text: str, changes: str, yes: str, do: Callable[[], None]) -> None:
        self.question, self.message = Question(text, changes, yes, do), ""
        self._changed()

    def _class(self) -> str:
        """Return the name of the selected entry's class, empty if it names none."""
        name = (self.entry or {}).get("model_client_cls")
        return name if isinstance(name, str) else ""

    def _set(self, name: str, kind: str, text: str) -> None:
        """Set or remove a field of the selected entry, in one step that can be undone."""
        self.unparsed.pop(name, None)
        if self.entry is None or text == MASK:  # stars that stand for a secret: nothing was typed
            self._changed()
            return
        with self._edit():
            try:
                if text.strip():
                    found: dict[str, str | None] = {}
                    old, value = self.entry.get(name), value_of(kind, text)
                    _unmask(value, old, name)
                    if isinstance(value, str) and _is_key(value, name):
                        raise ValueError("It looks like a key: type it in the key's own input.")
                    value = lifted(value, {**self.entry, name: value}, found, name)
                    self.entry[name] = _unmask(value, old, name)
                    self._keep(found)
                else:
                    self.entry.pop(name, None)
            except ValueError as error:
                self._refuse(name, text, f"{masked(text, name)!r} is not used. {error}")

    def _check(self, index: int, entry: dict[str, Any], names: str) -> list[Problem]:
        """Return the problems of one entry; one that did not change is not checked again.

        `names` are the variables that are set: they change the verdict, too.
        """
        key = json.dumps(entry, default=repr) + names
        if key not in self._verdicts:
            if len(self._verdicts) > 1000:
                self._verdicts.clear()
            try:
                self._verdicts[key] = lists.check_config_list([entry])
            except ImportError as error:  # of autogen: what is wrong can't be told, the rest goes on
                return [Problem(str(error), index)]
        return [replace(problem, entry=index) for problem in self._verdicts[key]]

    def _refuse(self, name: str, text: str, why: str) -> None:
        """Keep a text that can't be used, for the form to show it with the reason."""
        self.unparsed[name] = why
        self._unparsed_texts[name] = without_secrets(text, name)

    def _extra(self) -> dict[str, Any]:
        return {name: value for name, value in (self.entry or {}).items() if name not in IN_FORM}

    def _snapshot(self) -> _Snapshot:
        return _Snapshot(
            copy.deepcopy(self.entries),
            self.selected,
            copy.deepcopy(self.arguments),
            self.path,
            self._stored,
        )

    @contextmanager
    def _edit(self) -> Iterator[None]:
        """Make what happens within one step that can be undone, and tell those who watch."""
        before, selected = self._snapshot(), self.selected
        self.message = ""
        yield
        if selected != self.selected and self.unparsed:
            self.message = f"Not kept, since it can't be used: {', '.join(self.unparsed)}."
            self.unparsed = {}
        if _text(self.entries) != _text(before.entries) or self.arguments != before.arguments:
            self._past = [*self._past, before][-UNDO_STEPS:]
            self._future = []
        self._changed()

    def _travel(self, source: list[_Snapshot], target: list[_Snapshot], nothing: str) -> None:
        self.unparsed, self.question, self.message = {}, None, ""
        if not source:
            self.message = nothing
        else:
            target.append(self._snapshot())
            state = source.pop()
            if state.entries.path == self.entries.path:  # the same file, perhaps saved since
                state.entries.digest = self.entries.digest
            else:
                self.path, self._stored = state.path, state.stored
            self.entries, self.selected, self.arguments = state.entries, state.selected, state.arguments
        self._changed()

    def _changed(self) -> None:
        for function in self.on_change:
            function()


def without_secrets(text: str, name: str = "") -> str:
    """Return what was typed without the keys in it, known by their look or by the name beside them."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return str(masked(hide_typed(text), name))
    shown = masked(value, name)
    return hide_secrets(text) if shown == value else json.dumps(shown, ensure_ascii=False)


def _seen_by_git(path: Path) -> bool:
    """Return whether a file lies in a git repository that does not ignore it."""
    command = ["git", "-C", str(path.resolve().parent), "check-ignore", "-q", path.name]
    try:
        return subprocess.run(command, capture_output=True, timeout=5).returncode == 1
    except (OSError, subprocess.TimeoutExpired):  # there is no git
        return False


def _counted(entries: list[dict[str, Any]]) -> str:
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"


def _text(entries: list[dict[str, Any]]) -> str:
    return json.dumps(entries, ensure_ascii=False, default=repr)


def _is_key(text: str, name: str) -> bool:
    """Return whether a field's text is nothing but a key, perhaps with `Bearer` before it."""
    found = secrets_of(text, name)
    return any(end == len(text) and BESIDE.fullmatch(text, 0, start) for start, end, _ in found)


def _plain(value: Any) -> Any:
    """Return a copy of a value with plain dicts, whose `repr` is Python."""
    return walk(value, lambda item, name: item)


def _unmask(new: Any, old: Any, name: str = "") -> Any:
    """Return `new` with each value that is shown with stars, and was left as it is, replaced by the old one.

    Raises:
        ValueError: there are stars that hide no value of the old one, or more than is shown.
    """
    if isinstance(new, dict):
        old = old if isinstance(old, dict) else {}
        if any(MASK in str(key) and key not in old for key in new):
            raise ValueError(STARS)
        return ConfigEntry({key: _unmask(value, old.get(key), str(key)) for key, value in new.items()})
    if isinstance(new, list):
        old = old if isinstance(old, list) else []
        if len(new) != len(old) and MASK in json.dumps(new):
            raise ValueError("stars in a list of another length: write the values themselves")
        return [_unmask(value, before, name) for value, before in zip_longest(new, old[: len(new)])]
    if not isinstance(new, str) or MASK not in new:
        return new
    if old is None or masked(old, name) != new:
        raise ValueError(STARS)
    return old
