"""Try an entry of a config list: one message and its reply, or what is wrong; and what its server offers."""

from __future__ import annotations

import ast
import re
import threading
import time
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import kit
from kit.checks.catalogue import found as named
from kit.checks.diagnose import diagnose
from kit.checks.explain import explain
from kit.checks.frames import chain
from kit.checks.protocol import model_clients
from kit.checks.report import Report
from kit.config_list.secrets import NO_KEY, REFERENCE, hide_secrets, resolved
from kit.widgets.classes import kit_clients

QUESTION = "What is the capital of France?"
SECONDS = 5  # that a server has to say which models it offers


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
        report.add(1, "the class", [named("class-not-here", name=name)])
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


class NoModels(ValueError):
    """A server did not say which models it has: why, and what to do.

    `address` is another one, at which it was seen to answer, "" if none was found.
    """

    def __init__(self, message: str, address: str = "") -> None:
        super().__init__(message)
        self.address = address


def served_models(entry: dict[str, Any]) -> list[str]:
    """Return the names of the models that an OpenAI-compatible server offers, in at most 5 seconds.

    Raises:
        NoModels: it can't be reached in that time, or refuses; or its answer is not a list of models.
    """
    import openai  # noqa: F401  # takes a while the first time, and is no fault of the server

    answers: SimpleQueue[list[str] | NoModels] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_models_at(entry))
        except Exception as error:
            answers.put(_why_none(error, entry))

    # In a thread: neither a name that is looked up nor a server that dribbles keeps to a timeout.
    threading.Thread(target=ask, name="served_models", daemon=True).start()
    try:
        answer = answers.get(timeout=SECONDS)
    except Empty:
        answer = NoModels(f"{_host(entry)} did not answer in {SECONDS} seconds. Is the address right?")
    if isinstance(answer, NoModels):
        raise answer
    return answer


def _models_at(entry: dict[str, Any], key: str | None = None) -> list[str]:
    from openai import OpenAI

    known = resolved(entry)
    address, key = known.get("base_url"), key or known.get("api_key")
    with OpenAI(base_url=address, api_key=key, timeout=SECONDS, max_retries=0) as client:
        return sorted(str(model.id) for model in client.models.list())


def _host(entry: dict[str, Any]) -> str:
    address = urlsplit(str(entry.get("base_url") or "https://api.openai.com"))
    return hide_secrets(address.netloc.rpartition("@")[2] or address.geturl(), entry)


def _why_none(error: Exception, entry: dict[str, Any]) -> NoModels:
    """Return why a server did not say which models it has, and what to do."""
    import openai

    text = " ".join(str(one) for one in chain(error))
    variable = REFERENCE.fullmatch(str(entry.get("api_key")))
    if isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
        return NoModels(f"{_host(entry)} refuses {variable[1] if variable else 'the key'}. Set a valid key.")
    if isinstance(error, openai.OpenAIError) and not isinstance(error, openai.APIError):
        return NoModels("OpenAI's client needs a key. Name its variable below.")
    if "refused" in text:
        return NoModels(f"No server answers at {_host(entry)}. Start it, or fix the port.")
    if re.search("getaddrinfo|[Nn]ame or service|nodename|name resolution", text):
        return NoModels(f"There is no server named {_host(entry)}. Fix the address.")
    for address in _near(str(entry.get("base_url") or "")):
        try:
            _models_at({**entry, "base_url": address}, NO_KEY)  # the key goes to the entry's address alone
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            pass
        except Exception:
            continue
        return NoModels(f"It does not answer there, but at {address}.", address)
    if isinstance(error, openai.NotFoundError):
        return NoModels(f"{_host(entry)} has no list of models at this path. Mostly it ends in /v1.")
    if isinstance(error, openai.APIError):
        reason = hide_secrets(str(chain(error)[-1]).rstrip("."), entry)
        return NoModels(f"{_host(entry)}: {reason}. {explain(error).fix}")
    return NoModels(f"{_host(entry)} answers, but not as OpenAI's API does. Is the address right?")


def _near(address: str) -> list[str]:
    """Return other addresses that may be meant: with /v1 at the end, with the other of http and https."""
    scheme, found, rest = address.rpartition("://")
    rest = rest.rstrip("/")
    paths = [rest] if rest.endswith("/v1") else [f"{rest}/v1", rest]
    schemes = [scheme, "https" if scheme == "http" else "http"] if found else ["http", "https"]
    near = [f"{one}://{path}" for one in schemes for path in paths]
    return [one for one in near if rest and "@" not in rest and one != address.rstrip("/")]
