"""ConfigListEditor: a config list being edited, as plain state. The widget only shows it."""

from __future__ import annotations

import copy
import json
import pprint
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kit import config_list as lists
from kit.config_list import MASK, NO_KEY, ConfigEntry, ConfigList, ConfigListError, Problem, masked
from kit.models import NAME, models_folder, portable


@dataclass(frozen=True)
class Field:
    """A field of the form: the entry's key, its label, what its text must be, and a line of help."""

    name: str
    label: str
    kind: type
    help: str


FIELDS = [
    Field("model", "Model", str, "a folder, a name on the model hub, or any name for a dummy"),
    Field("model_client_cls", "Client class", str, "the name of your class; empty for OpenAI's own client"),
    Field("base_url", "Server address", str, "of an OpenAI-compatible server, up to /v1"),
    Field("device", "Device", str, "auto, cpu, cuda, cuda:1 or mps, for a local model"),
    Field("n", "Choices (n)", int, "answers per call; AutoGen replies with the first"),
    Field("max_tokens", "Max tokens", int, "most new tokens in an answer"),
    Field("temperature", "Temperature", float, "0 to 1: how much chance is in the answer"),
    Field("top_p", "Top p", float, "0 to 1: choose among the most likely tokens only"),
    Field("seed", "Seed", int, "the same chance again at each run"),
]
IN_FORM = {field.name for field in FIELDS}
EXTRA = "extra fields"


def presets() -> dict[str, dict[str, Any]]:
    """Return the entries to start from, each complete enough to run."""
    return {
        "Dummy (no model)": {
            "model": "dummy",
            "model_client_cls": "DummyModelClient",
            "params": {"replies": "Hello from the dummy!"},
        },
        "Local Hugging Face model": {
            "model": portable(models_folder() / NAME),
            "model_client_cls": "HuggingFaceModelClient",
            "device": "auto",
            "n": 1,
            "params": {"max_length": 100},
        },
        "OpenAI-compatible server": {
            "model": "name-of-the-served-model",
            "base_url": "http://localhost:8000/v1",
            "api_key": NO_KEY,
        },
    }


class ConfigListEditor:
    """The entries of a config list, which one is selected, and what is wrong with them.

    Everything the widget does is a method here. `on_change` functions are called after each change.
    """

    def __init__(self, path: str | Path = "OAI_CONFIG_LIST") -> None:
        self.entries = ConfigList()
        self.path = str(path)
        self.selected = 0
        self.unparsed: dict[str, str] = {}  # field of the selected entry -> why its text can't be used
        self.on_change: list[Callable[[], None]] = []

    @property
    def entry(self) -> dict[str, Any] | None:
        """The selected entry, None while the list is empty."""
        return self.entries[self.selected] if self.entries else None

    def select(self, index: int) -> None:
        self.selected = max(0, min(index, len(self.entries) - 1))
        self.unparsed = {}
        self._changed()

    def add(self, preset: str) -> None:
        """Append an entry made from a preset and select it."""
        self.entries.append(ConfigEntry(presets()[preset]))
        self.select(len(self.entries) - 1)

    def duplicate(self) -> None:
        """Put a copy of the selected entry below it and select the copy."""
        if self.entry is not None:
            self.entries.insert(self.selected + 1, copy.deepcopy(self.entry))
            self.select(self.selected + 1)

    def remove(self) -> None:
        if self.entry is not None:
            del self.entries[self.selected]
            self.select(self.selected)

    def move(self, step: int) -> None:
        """Move the selected entry up (-1) or down (1): AutoGen tries entries in order."""
        target = self.selected + step
        if self.entry is not None and 0 <= target < len(self.entries):
            self.entries.insert(target, self.entries.pop(self.selected))
            self.select(target)

    def text(self, field: Field) -> str:
        """Return the selected entry's value of a field as text, empty where it has none."""
        value = (self.entry or {}).get(field.name)
        return "" if value is None else str(value)

    def set_text(self, field: Field, text: str) -> None:
        """Set a field of the selected entry from what was typed; an empty text removes the field."""
        if self.entry is None:
            return
        text = text.strip()
        self.unparsed.pop(field.name, None)
        if not text:
            self.entry.pop(field.name, None)
        else:
            try:
                self.entry[field.name] = field.kind(text)
            except ValueError:
                kind = "a whole number" if field.kind is int else "a number"
                self.unparsed[field.name] = f"{text!r} is not {kind}."
        self._changed()

    def set(self, **fields: Any) -> None:
        """Set fields of the selected entry from code; the form follows."""
        if self.entry is not None:
            self.entry.update(fields)
            self.unparsed = {}
            self._changed()

    def extra_text(self) -> str:
        """Return the fields that have no place in the form as JSON, secrets masked."""
        return json.dumps(masked(self._extra()), indent=2, ensure_ascii=False)

    def set_extra_text(self, text: str) -> None:
        """Replace the fields that have no place in the form; masked secrets keep their value."""
        if self.entry is None:
            return
        self.unparsed.pop(EXTRA, None)
        try:
            extra = json.loads(text.strip() or "{}", object_pairs_hook=ConfigEntry)
            if not isinstance(extra, dict):
                raise ValueError("an object is needed: {...}")
            extra = _unmask(extra, self._extra())
        except ValueError as error:
            self.unparsed[EXTRA] = f"Not used: {error}"
        else:
            kept = {name: value for name, value in self.entry.items() if name in IN_FORM}
            self.entries[self.selected] = ConfigEntry({**kept, **extra})
        self._changed()

    def problems(self) -> list[Problem]:
        """Return what is wrong with the list, unusable texts of the form first."""
        unparsed = [Problem(message, self.selected, name) for name, message in self.unparsed.items()]
        stored = lists.check_config_list(self.entries)  # a field shows its text, not what is stored
        return unparsed + [p for p in stored if p.entry != self.selected or p.field not in self.unparsed]

    def message(self, name: str, problems: list[Problem] | None = None) -> str:
        """Return what is wrong with one field of the selected entry, or nothing."""
        return " ".join(
            problem.message
            for problem in (self.problems() if problems is None else problems)
            if problem.entry == self.selected
            and (problem.field == name or (name == EXTRA and problem.field not in IN_FORM))
        )

    def preview(self) -> str:
        """Return the JSON of the list, secrets masked."""
        return json.dumps(masked(self.entries), indent=2, ensure_ascii=False, default=repr)

    def python(self) -> str:
        """Return the blog's three steps for this list as a program without secrets."""
        import kit

        literals = [pprint.pformat(masked(dict(entry)), sort_dicts=False, width=90) for entry in self.entries]
        literal = "".join(textwrap.indent(literal, "    ") + ",\n" for literal in literals)
        given = [entry.get("model_client_cls") for entry in self.entries]
        names = [name for name in given if isinstance(name, str) and name.isidentifier()]
        ours = [name for name in dict.fromkeys(names) if name in kit.__all__]
        classes = [f"from kit import {', '.join(ours)}"] if ours else []
        for name in dict.fromkeys(names):
            if name not in ours:
                classes.append(f"# {name} is your own class: define it here, or import it")
        return STEPS.format(
            imports="import os\n\n" if repr(MASK) in literal else "",
            classes="\n".join(classes) or "# none needed: AutoGen has a client for every entry of this list",
            literal=literal.replace(repr(MASK), 'os.environ["OPENAI_API_KEY"]'),
            registrations="".join(f"agent.register_model_client({name})\n" for name in names),
        )

    def load(self) -> None:
        """Replace the entries by those of `path`, whatever is wrong with their fields.

        Raises:
            ConfigListError: there is no such file or variable, or it holds no JSON list of objects.
        """
        text, source, path = lists.read_source(self.path)
        entries = lists.parse_config_list(text, source)
        entries.path, entries.digest = path, lists.digest(text)
        self.entries = entries
        self.select(0)

    def save(self, overwrite: bool = False) -> None:
        """Write the list to `path`.

        Raises:
            ConfigListError: something is wrong with the list, or the file holds something else.
        """
        if self.unparsed:
            name, message = next(iter(self.unparsed.items()))
            raise ConfigListError(self.path, [Problem(message, self.selected, name)])
        self.entries = lists.save_config_list(self.entries, self.path, overwrite=overwrite)
        self._changed()

    def _extra(self) -> dict[str, Any]:
        return {name: value for name, value in (self.entry or {}).items() if name not in IN_FORM}

    def _changed(self) -> None:
        for function in self.on_change:
            function()


def _unmask(new: Any, old: Any) -> Any:
    """Return `new` with every mask that was left standing replaced by the secret behind it."""
    if isinstance(new, dict):
        old = old if isinstance(old, dict) else {}
        return ConfigEntry({name: _unmask(value, old.get(name)) for name, value in new.items()})
    if isinstance(new, list):
        old = old if isinstance(old, list) else []
        return [_unmask(value, before) for value, before in zip_longest(new, old[: len(new)])]
    if new == MASK and old in (None, MASK):
        raise ValueError("these stars hide no value of this entry: write the value itself")
    return old if new == MASK else new


STEPS = """\
{imports}# Step 1: the model client class
{classes}

# Step 2: the config list
config_list = [
{literal}]

# Step 3: register the class, once for each entry that names it, and chat
from autogen import AssistantAgent, LLMConfig

agent = AssistantAgent(
    "assistant",
    system_message="You are a helpful assistant.",
    llm_config=LLMConfig(*config_list),
)
{registrations}question = {{"role": "user", "content": "What is the capital of France?"}}
print(agent.generate_reply(messages=[question]))
"""
