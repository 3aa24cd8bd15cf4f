"""The three steps of the blog post, as a program for a config list."""

from __future__ import annotations

import ast
import pprint
import textwrap
from typing import Any

from kit.config_list.secrets import hide_secrets, lifted, masked, parts_of, referring, variables_in, walk
from kit.widgets.classes import how_to_get

NO_CLASS = "# none needed: AutoGen has a client for every entry of this list"
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


def program(
    entries: list[dict[str, Any]], arguments: dict[str, dict[str, str]], namespace: dict[str, Any]
) -> str:
    """Return a program without secrets: keys are read from environment variables.

    Args:
        entries: the config list.
        arguments: for each class, what to pass to its constructor at registration, as Python.
        namespace: the notebook's variables; the cells that define classes are written out.
    """
    taken: dict[str, str | None] = {variable: None for entry in entries for variable in variables_in(entry)}
    literal = "".join(textwrap.indent(f"{as_python(entry, taken)},\n", "    ") for entry in entries)
    classes = [entry.get("model_client_cls") for entry in entries]
    names = [name for name in classes if isinstance(name, str) and name.isidentifier()]
    registrations = ""
    for name in names:
        extra = "".join(f", {key}={_argument(key, value)}" for key, value in arguments.get(name, {}).items())
        registrations += f"agent.register_model_client({name}{extra})\n"
    ways = dict.fromkeys(how_to_get(name, namespace) for name in names)
    imports = "\n".join(way for way in ways if "\n" not in way)  # the others are whole classes
    written = "\n\n\n".join([imports, *(way for way in ways if "\n" in way)]).strip() or NO_CLASS
    return STEPS.format(
        imports="import os\n\n" if "os.environ[" in literal + registrations else "",
        classes=hide_secrets(written, *entries),
        literal=literal,
        registrations=registrations,
    )


class _Code:
    """Python that stands in a literal as it is."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __repr__(self) -> str:
        return self.code


def as_python(entry: dict[str, Any], taken: dict[str, str | None]) -> str:
    """Return an entry as Python. Secrets, by reference or in the list, become environment variables."""
    entry = referring(entry)
    try:
        entry = lifted(entry, entry, taken)
    except ValueError:  # a secret that is no text: stars stand for it
        entry = lifted(masked(entry), entry, taken)
    return pprint.pformat(_code(entry), sort_dicts=False, width=90)


def _argument(name: str, text: str) -> str:
    """Return a constructor's argument as Python, with environment variables for references."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # the name of a variable
        return text
    return repr(_code(value, name)) if variables_in(value, name) else text


def _code(value: Any, name: str = "") -> Any:
    """Return a copy of a value in which code stands for each text with a reference."""

    def write(value: Any, name: str) -> Any:
        parts = parts_of(value, name) if isinstance(value, str) else []
        if not any(isinstance(part, tuple) for part in parts):
            return value
        return _Code(" + ".join(f'os.environ["{p[0]}"]' if isinstance(p, tuple) else repr(p) for p in parts))

    return walk(value, write, name)
