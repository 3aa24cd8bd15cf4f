"""The three steps of the blog post, as a program for a config list."""

from __future__ import annotations

import pprint
import textwrap
from typing import Any

from kit.config_list.fields import AZURE
from kit.config_list.secrets import MASK, masked, variable_of
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
    literal = "".join(_literal(entry) for entry in entries)
    classes = [entry.get("model_client_cls") for entry in entries]
    names = [name for name in classes if isinstance(name, str) and name.isidentifier()]
    registrations = ""
    for name in names:
        extra = "".join(f", {key}={value}" for key, value in arguments.get(name, {}).items())
        registrations += f"agent.register_model_client({name}{extra})\n"
    return STEPS.format(
        imports="import os\n\n" if "os.environ[" in literal else "",
        classes="\n\n\n".join(dict.fromkeys(how_to_get(name, namespace) for name in names)) or NO_CLASS,
        literal=literal,
        registrations=registrations,
    )


class _Code:
    """Python that stands in a literal as it is."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __repr__(self) -> str:
        return self.code


def _literal(entry: dict[str, Any]) -> str:
    """Return an entry as Python. Keys, by reference or in the list, become environment variables."""
    default = "AZURE_OPENAI_API_KEY" if entry.get("api_type") == AZURE else "OPENAI_API_KEY"
    text = pprint.pformat(_without_keys(entry, masked(dict(entry)), default), sort_dicts=False, width=90)
    return textwrap.indent(text, "    ") + ",\n"


def _without_keys(value: Any, shown: Any, default: str, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_keys(value[key], shown[key], default, str(key)) for key in value}
    if isinstance(value, list):
        pairs = zip(value, shown, strict=True)
        return [_without_keys(item, masks, default, name) for item, masks in pairs]
    variable = variable_of(value, name) or (default if shown == MASK and value != MASK else None)
    return _Code(f'os.environ["{variable}"]') if variable else value
