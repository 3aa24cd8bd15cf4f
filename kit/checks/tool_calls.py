"""A chat that an agent has had, and what became of its tools: who ran them, what came back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kit.agents.inside import clients_of, described, entries_of, group_of
from kit.checks.catalogue import found
from kit.checks.protocol import ignores_tools
from kit.checks.report import Finding
from kit.config_list.secrets import fit

CALL = re.compile(
    r'<tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|<\|?tool_?calls?|<function=|"(?:arguments|parameters)"\s*:'
)
NO_ACCESS = r"\b(?:do not|don't|cannot|can't|no) (?:directly )?(?:have )?(?:access|browse|call functions)\b"
# What AutoGen answers for arguments that are no JSON, and for a tool that an agent lacks.
UNREADABLE = "The argument must be in JSON format"
NOT_FOUND = re.compile(r"Error: Function .* not found")
Message = dict[str, Any]


def text_in(message: Message) -> str:
    """Return the text of a message, of one with images too."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def calls_in(message: Message) -> list[Message]:
    """Return the tool calls of a message, and its function call, which is their older form."""
    old = message.get("function_call")
    return [*(message.get("tool_calls") or []), *([{"id": old.get("name"), "function": old}] if old else [])]


@dataclass(frozen=True)
class Chat:
    """What is in an agent's history of its chat with a partner: another agent, or the manager of a group."""

    agent: Any
    partner: Any
    messages: list[Message]

    def is_own(self, message: Message) -> bool:
        """Return whether the agent itself sent a message."""
        return message.get("role") == "assistant" and message.get("name", self.agent.name) == self.agent.name

    @property
    def own(self) -> list[Message]:
        return [message for message in self.messages if self.is_own(message)]

    @property
    def calls(self) -> list[Message]:
        """The tool calls that the agent made."""
        return [call for message in self.own for call in calls_in(message)]


def tools(chat: Chat) -> Iterator[Finding]:
    """Yield the tools that nobody ran, those that failed, and the calls that are texts."""
    agent, partner = chat.agent, chat.partner
    texts = [text_in(message) for message in chat.own if not calls_in(message)]
    names = [str(function.get("name")) for function in described(agent)]
    members = group_of(partner).agents if group_of(partner) else [partner]
    executors = {name: one.name for one in members for name in getattr(one, "function_map", None) or {}}
    yield from _run(chat, names, executors)
    one_of = rf"\b(?:{'|'.join(map(re.escape, sorted({*names, *executors}))) or '(?!)'})\b"
    if text := next((text for text in texts if _is_call(text, one_of)), None):
        yield found("call-as-text", agent=agent.name, shown=fit(repr(text), 60))
    elif names and not chat.calls:
        yield from _unused(
            agent, names, [one for one in texts if re.search(rf"(?i){one_of}|{NO_ACCESS}", one)]
        )


def _run(chat: Chat, names: list[str], executors: dict[str, str]) -> Iterator[Finding]:
    """Yield what went wrong with calls: who should have run them, and what came back.

    The `names` are those of the tools that the agent knows, the `executors` who can run which.
    """
    agent, partner = chat.agent, chat.partner
    answers: dict[Any, tuple[Message, Message]] = {}  # by the id of the call, each with its whole message
    for message in chat.messages:
        for one in message.get("tool_responses") or ([] if chat.is_own(message) else [message]):
            answers[one.get("tool_call_id") or one.get("name")] = one, message
    failed, done = [], []
    for call in chat.calls:
        function = call.get("function") or {}
        name, arguments = str(function.get("name")), function.get("arguments")
        answer, message = answers.get(call.get("id"), ({}, {}))
        facts = {"agent": agent.name, "tool": name, "names": fit(", ".join(names), 80)}
        text = text_in(answer)
        missing = not answer or bool(NOT_FOUND.match(text))
        if UNREADABLE in text:
            yield found("tool-arguments", agent=agent.name, shown=fit(repr(arguments), 80))
            return
        if missing and name not in executors:
            code = "unread-tool" if name in names or not names else "made-up-tool"
            yield found(code, **facts, **_nobody(partner))
            break
        if answer and missing:
            who = message.get("name") if message.get("role") == "tool" else "another agent"
            yield found("wrong-executor", **facts, who=who, executor=executors[name])
            break
        if not answer:
            yield found("ended-before-tool", **facts, executor=executors[name])
            break
        if answer.get("content") in (None, "", "None"):
            yield found("tool-gave-nothing", **facts)
            break
        if text.startswith("Error: "):
            failed.append((name, fit(str(arguments), 80), fit(text.removeprefix("Error: "), 120)))
        else:
            done.append((name, arguments))
    if failed:
        name, arguments, shown = failed[-1]
        count = failed.count(failed[-1])
        facts = {"agent": agent.name, "tool": name, "arguments": arguments, "shown": shown, "count": count}
        yield found("tool-failed" if count == 1 else "tool-failed-again", **facts)
    if len(done) > 1 and done[-1] == done[-2] and not any(map(text_in, chat.own)):
        name, arguments = done[-1]
        count = done.count(done[-1])
        yield found("only-calls", agent=agent.name, tool=name, arguments=arguments, count=count)


def _nobody(partner: Any) -> dict[str, str]:
    """Return who should have a tool that nobody has: in a group, a member without a model."""
    if group := group_of(partner):
        return {
            "partner": next((one.name for one in group.agents if not entries_of(one)), "user"),
            "lacks": "none has it",
        }
    return {"partner": partner.name, "lacks": f"{partner.name}, who gets the call, does not have it"}


def _is_call(text: str, one_of: str) -> bool:
    """Return whether a text is a call of one of some tools, in whatever notation."""
    marked = CALL.search(text) and re.search(rf"""["'=:]\s*{one_of}""", text)
    return bool(marked or re.search(rf"""(?s){one_of}.{{0,40}}\{{\s*"\w+"\s*:""", text))


def _unused(agent: Any, names: list[str], spoke: list[str]) -> Iterator[Finding]:
    """Yield why no tool was called: the client never looks at them, or the model spoke of them instead."""
    deaf = next((type(one) for one in clients_of(agent) if ignores_tools(type(one))), None)
    if deaf:
        yield found("tools-ignored", agent=agent.name, name=deaf.__name__)
    elif spoke:
        shown = fit(repr(spoke[0]), 100)
        yield found("tools-unused", agent=agent.name, names=fit(", ".join(names), 80), shown=shown)
