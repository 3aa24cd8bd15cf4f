"""Try an entry of a config list: one message, one reply, or what is wrong."""

from __future__ import annotations

import ast
import time
from dataclasses import dataclass, replace
from typing import Any

import kit
from kit.checks.diagnose import diagnose, explain
from kit.checks.protocol import model_clients
from kit.checks.report import Finding, Report
from kit.config_list.secrets import hide_secrets, resolved
from kit.widgets.classes import kit_clients

QUESTION = "What is the capital of France?"


@dataclass(frozen=True)
class Trial:
    """What became of one message: the reply, or a report of what is wrong. Times are in seconds."""

    reply: str = ""
    seconds: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    report: Report | None = None

    def __str__(self) -> str:
        if self.report:
            return str(self.report)
        used = (
            "" if self.prompt_tokens is None else f", {self.prompt_tokens} + {self.completion_tokens} tokens"
        )
        price = f", cost {self.cost:.6g}" if self.cost else ""
        return f"{self.reply}\n({self.seconds:.1f} s{used}{price})"


def try_entry(
    entry: dict[str, Any], arguments: dict[str, str], namespace: dict[str, Any], message: str = QUESTION
) -> Trial:
    """Make an agent from one entry, register its class, and ask it something.

    Args:
        entry: the entry; references to keys are filled in.
        arguments: what to pass to the class at registration: Python literals, or names in `namespace`.
        namespace: where the class is looked for, before the kit.
        message: what to ask.
    """
    from autogen import AssistantAgent, LLMConfig

    report = diagnose([entry])
    name = entry.get("model_client_cls")
    if not report.ok:
        return Trial(report=report)
    found: Any = model_clients(namespace).get(name or "") or (
        getattr(kit, name) if name in kit_clients() else None
    )
    if name and found is None:
        message = f"there is no model client class {name!r} in this notebook."
        report.add(1, "the class", [Finding("no-class", message, "Run the cell that defines it.", 1)])
        return Trial(report=report)
    try:
        agent = AssistantAgent(
            "assistant",
            system_message="You are a helpful assistant.",
            llm_config=LLMConfig(dict(resolved(entry))),
        )
        if found:
            values = {key: argument(text, namespace, key) for key, text in arguments.items()}
            agent.register_model_client(found, **values)
        start = time.perf_counter()
        reply = agent.generate_reply(messages=[{"role": "user", "content": message}])
        seconds = time.perf_counter() - start
    except Exception as error:
        finding = explain(error)
        finding = replace(finding, message=hide_secrets(finding.message, entry))
        report.add(4, "a chat with it", [finding])
        return Trial(report=report)
    text = reply if isinstance(reply, str) else str((reply or {}).get("content") or reply)
    usage: dict[str, Any] = agent.get_total_usage() or {}
    used = next((one for one in usage.values() if isinstance(one, dict)), {})
    return Trial(
        hide_secrets(text, entry),
        seconds,
        used.get("prompt_tokens"),
        used.get("completion_tokens"),
        used.get("cost"),
    )


def argument(text: str, namespace: dict[str, Any], name: str = "") -> Any:
    """Return what a typed constructor argument stands for: a variable of the notebook, or a literal.

    References to secrets in it are filled in; `name` is that of the argument.

    Raises:
        ValueError: it is neither.
    """
    if text.isidentifier() and text in namespace:
        return namespace[text]
    try:
        return resolved(ast.literal_eval(text), name)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError('this must be the name of a variable, or a literal such as "text" or 3.') from None


def served_models(entry: dict[str, Any]) -> list[str]:
    """Return the names of the models that an OpenAI-compatible server offers.

    Raises:
        openai.OpenAIError: the server can't be reached in 5 seconds, or refuses.
    """
    from openai import OpenAI

    known = resolved(entry)
    client = OpenAI(base_url=known.get("base_url"), api_key=known.get("api_key"), timeout=5, max_retries=0)
    return sorted(model.id for model in client.models.list())
