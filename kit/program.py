"""The three steps of the blog post, as a program for a given config list."""

from __future__ import annotations

import pprint
import textwrap
from typing import Any

import kit
from kit.config_list import MASK, NO_KEY, REFERENCE, masked
from kit.fields import AZURE
from kit.inspection import facts, imports_for

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
        namespace: the notebook's variables; classes that are defined there are written out.
    """
    literal = "".join(_literal(entry) for entry in entries)
    given = [entry.get("model_client_cls") for entry in entries]
    names = [name for name in given if isinstance(name, str) and name.isidentifier()]
    registrations = ""
    for name in names:
        extra = "".join(f", {key}={value}" for key, value in arguments.get(name, {}).items())
        registrations += f"agent.register_model_client({name}{extra})\n"
    return STEPS.format(
        imports="import os\n\n" if "os.environ[" in literal else "",
        classes=_classes(list(dict.fromkeys(names)), namespace),
        literal=literal,
        registrations=registrations,
    )


def _classes(names: list[str], namespace: dict[str, Any]) -> str:
    """Return how the program comes by its classes: imported from the kit, or written out."""
    imports: list[str] = []
    definitions = []
    for name in names:
        known = facts(name, namespace)
        if name in kit.__all__ and name not in namespace:
            imports.append(f"from kit import {name}")
        elif known and known.source:
            imports += imports_for(known.source, namespace)
            definitions.append(known.source)
        elif name in kit.__all__:
            imports.append(f"from kit import {name}")
        else:
            definitions.append(f"# {name} is your own class: define it here, or import it")
    lines = "\n".join(dict.fromkeys(imports))
    text = "\n\n\n".join([*([lines] if lines else []), *definitions])
    return text or "# none needed: AutoGen has a client for every entry of this list"


def _literal(entry: dict[str, Any]) -> str:
    """Return an entry as Python. Keys, by reference or in the list, become environment variables."""
    default = "AZURE_OPENAI_API_KEY" if entry.get("api_type") == AZURE else "OPENAI_API_KEY"
    text = pprint.pformat(masked(dict(entry)), sort_dicts=False, width=90)
    text = text.replace(repr(MASK), f'os.environ["{default}"]')
    key = entry.get("api_key")
    if isinstance(key, str) and key != NO_KEY and (reference := REFERENCE.fullmatch(key)):
        text = text.replace(f"'api_key': {key!r}", f"'api_key': os.environ[\"{reference[1]}\"]")
    return textwrap.indent(text, "    ") + ",\n"
