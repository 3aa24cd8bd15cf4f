"""Conversation: a talk with an agent or a group chat, as plain state. The panel only shows it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from autogen import ConversableAgent, UserProxyAgent
from autogen.code_utils import content_str
from autogen.io.base import IOStream

from kit.agents.inside import clients_of, entries_of
from kit.checks.catalogue import found
from kit.checks.diagnose import diagnose
from kit.checks.report import Finding
from kit.config_list.secrets import hide_secrets

YOU = "You"
TOOL_TURNS = 20  # of one agent that calls and runs its tools, at most, before you speak again


class Stopped(BaseException):
    """Ends a reply. Not an Exception, since clients and tools may catch those."""


@dataclass(frozen=True)
class Usage:
    """What a reply took. AutoGen counts tokens and cost; 0 stands for what it does not know."""

    seconds: float = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0

    def __str__(self) -> str:
        parts = [f"{self.seconds:.1f} s"]
        if self.prompt_tokens or self.completion_tokens:
            parts.append(f"{self.prompt_tokens} + {self.completion_tokens} tokens")
        if self.cost:
            parts.append(f"cost {self.cost:.4g}")
        return ", ".join(parts)


@dataclass(eq=False)
class Message:
    """One message, as it may be shown: keys in it are stars.

    Its `kind` is "question" (yours), "reply" (an agent's, perhaps growing), "result" (of tools), or "error"
    (with a finding). The `text` of a reply ends with the `calls` of tools, each like `add(a=1, b=2)`.
    `results` are the names of tools, and what each returned. `thoughts` are what a model thought before.
    """

    speaker: str
    text: str = ""
    kind: str = "reply"
    thoughts: str = ""
    calls: list[str] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)
    usage: Usage | None = None
    stopped: bool = False
    finding: Finding | None = None
    sent: dict[str, Any] | None = field(default=None, repr=False)  # what models see of it

    @property
    def words(self) -> str:
        """What a reply says in words: its text without the calls."""
        return self.text.removesuffix("\n".join(self.calls)).rstrip("\n") if self.calls else self.text

    @property
    def note(self) -> str:
        return ", ".join([*([str(self.usage)] if self.usage else []), *(["stopped"] if self.stopped else [])])


class Conversation:
    """The messages between you and an agent, or a group chat's manager.

    An agent's own chat history is neither read nor written: it gets the messages here. A group chat
    keeps its history in its agents, and `clear` empties that with the next message.
    `on_change` functions are called after each change, in the thread that called `send`.
    """

    def __init__(self, agent: Any) -> None:
        if not hasattr(agent, "generate_reply"):
            raise TypeError(f"An AutoGen agent or group-chat manager is needed, not {agent!r}.")
        self.agent = agent
        self.messages: list[Message] = []
        self.running = self.stopping = False
        self.on_change: list[Callable[[], None]] = []
        self._group = getattr(agent, "groupchat", None)
        self._agents = list(self._group.agents) if self._group else [agent]
        self._user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
        self._cleared = False
        self._before_clear: tuple[list[Message], bool] | None = None  # what `undo_clear` brings back
        self._lock = threading.Lock()
        self.growing: Message | None = None  # the reply that is being written
        self._start: tuple[Any, float, Usage]  # of that reply: who writes it, since when, tokens before
        self._source = ""  # where its pieces come from

    @property
    def names(self) -> list[str]:
        """The names of those who may answer."""
        return [agent.name for agent in self._agents]

    @property
    def total(self) -> Usage:
        """What all replies took together."""
        used = [message.usage for message in self.messages if message.usage]
        names = ("seconds", "prompt_tokens", "completion_tokens", "cost")
        return Usage(*(sum(getattr(usage, name) for usage in used) for name in names))

    def send(self, text: str) -> Message:
        """Send a message, wait for all that follows, and return the last message.

        An error becomes a message with a `finding`; the same text can then be sent again.

        Raises:
            ValueError: there is nothing to send.
            RuntimeError: the last message is still being answered.
        """
        if not text.strip():
            raise ValueError("Write a message first.")
        with self._lock:
            if self.running:
                raise RuntimeError(f"{self.agent.name} is still answering: wait, or stop it first.")
            self.running, self.stopping, self._before_clear = True, False, None
        start = len(self.messages)
        sent = {"role": "user", "content": text}
        self.messages.append(Message(YOU, self.without_keys(text), "question", sent=sent))
        try:
            self._changed()
            with IOStream.set_default(_Stream(self)), self._listening():
                (self._ask_group if self._group else self._ask_agent)(text)
            self._close()
            if len(self.messages) == start + 1:
                self._add_error(self._silence(), start)
        except Stopped:
            pass
        except Exception as error:
            self._add_error(diagnose(self.agent, error=error).findings[0], start)
        except BaseException:  # the kernel's own interrupt
            self.stopping = True
            raise
        finally:
            self._close()
            self.running = False
            self._changed()
        return self.messages[-1]

    def stop(self) -> None:
        """End the reply at its next piece and keep what is there. A non-streamed reply is discarded."""
        if self.running and not self.stopping:
            self.stopping = True
            self._changed()

    def clear(self) -> None:
        """Forget all messages. Until the next one is sent, `undo_clear` brings them back."""
        if self.running:
            raise RuntimeError(f"{self.agent.name} is still answering: wait, or stop it first.")
        if self.messages:
            self._before_clear = list(self.messages), self._cleared
        self.messages.clear()
        self._cleared, self.stopping = True, False
        self._changed()

    @property
    def can_undo_clear(self) -> bool:
        """Whether nothing was sent since `clear`."""
        return self._before_clear is not None

    def undo_clear(self) -> None:
        """Bring back what `clear` took away.

        Raises:
            RuntimeError: there is nothing to bring back.
        """
        if self._before_clear is None:
            raise RuntimeError(
                "There is nothing to bring back: no message was cleared, or one was sent since."
            )
        self.messages[:], self._cleared = self._before_clear
        self._before_clear = None
        self._changed()

    def without_keys(self, text: str) -> str:
        """Return a text with stars for each key in it, those of the agents' entries among them."""
        entries = [entry for agent in [*self._agents, self.agent] for entry in entries_of(agent)]
        return hide_secrets(text, *entries)

    def markdown(self) -> str:
        """Return the transcript as Markdown."""
        parts = []
        for message in self.messages:
            note = f"\n\n*{message.note}*" if message.note else ""
            parts.append(f"**{message.speaker}**\n\n{hide_secrets(message.text)}{note}\n")
        return "\n".join(parts)

    # Talking ----------------------------------------------------------------------------------

    def _ask_agent(self, text: str) -> None:
        """Let one agent answer; if it calls tools that it can run itself, until it has."""
        for _ in range(TOOL_TURNS):
            self._begin(self.agent)
            # Without this exclusion an agent may ask a human, or count its replies and fall silent.
            reply = self.agent.generate_reply(
                messages=self._history(), exclude=[ConversableAgent.check_termination_and_human_reply]
            )
            self._finish(reply)
            message = reply if isinstance(reply, dict) else {}
            calls = [call["function"]["name"] for call in message.get("tool_calls") or []]
            runs = calls and all(self.agent.can_execute_function(name) for name in calls)
            if not runs and message.get("role") != "tool":
                return

    def _ask_group(self, text: str) -> None:
        cleared, self._cleared = self._cleared, False
        self._user.initiate_chat(self.agent, message=text, clear_history=cleared, summary_method=None)

    def _history(self) -> list[dict[str, Any]]:
        """Return what a single agent gets to see; tool calls that nobody answered become text."""
        messages = [message for message in self.messages if message.sent]
        history = []
        for message, following in zip(messages, [*messages[1:], None], strict=True):
            answered = following is None or (following.sent or {}).get("role") == "tool"
            calls = (message.sent or {}).get("tool_calls") and not answered
            plain = {"role": "assistant", "content": _text(message.sent or {})}
            history.append(plain if calls else dict(message.sent or {}))
        return history

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Follow who speaks in a group, and what clients hand out on the way; then leave no trace.

        A client with `on_text` or `on_thought` tells each piece. AutoGen gets no thoughts from a client: they
        are in its response, so its `create` is listened to.
        """
        clients = {id(client): client for agent in self._agents for client in clients_of(agent)}.values()
        hooks: list[tuple[list[Any], Any]] = []
        for agent in self._agents if self._group else []:
            hooks.append((agent.hook_lists["update_agent_state"], self._on_turn))
            hooks.append((agent.hook_lists["process_message_before_send"], self._on_send))
        with ExitStack() as stack:
            for client in clients:
                listeners = {
                    "on_text": lambda piece: self._add(piece, "on_text"),
                    "on_thought": self._think,
                    "create": self._with_thoughts(getattr(client, "create", None)),
                }
                for name, listener in listeners.items():
                    with suppress(AttributeError, TypeError, ValueError):  # it lacks that, or is closed
                        stack.enter_context(patch.object(client, name, listener))
            for hook_list, hook in hooks:
                hook_list.append(hook)
                stack.callback(hook_list.remove, hook)
            yield

    def _with_thoughts(self, create: Any) -> Callable[[Any], Any]:
        """Return a client's `create` that also shows the thoughts in its response."""

        def listened(params: Any) -> Any:
            response = create(params)
            message = getattr(next(iter(getattr(response, "choices", None) or []), None), "message", None)
            thoughts = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
            if self.growing is not None and isinstance(thoughts, str):
                self.growing.thoughts = thoughts
            return response

        return listened

    def _on_turn(self, agent: Any, messages: Any) -> None:
        self._begin(agent)

    def _on_send(self, sender: Any, message: Any, recipient: Any, silent: Any) -> Any:
        if recipient is self.agent:
            self._begin(sender)  # a guardrail's reply comes without a turn
            self._finish(message)
        return message

    # A reply ----------------------------------------------------------------------------------

    def _begin(self, agent: Any) -> None:
        self._check()
        if self.growing is None:
            self._start, self._source = (agent, time.monotonic(), _used(agent)), ""
            self.growing = Message(agent.name)
            self.messages.append(self.growing)
            self._changed()

    def _add(self, piece: str, source: str) -> None:
        """Add to the growing reply. A client may send its pieces in two ways: the first one counts."""
        self._check()
        if self.growing is not None and self._source in ("", source):
            self._source = source
            self.growing.text += piece
            self._changed()

    def _think(self, piece: str) -> None:
        """Add to the thoughts of the growing reply."""
        self._check()
        if self.growing is not None:
            self.growing.thoughts += piece
            self._changed()

    def _finish(self, reply: Any) -> None:
        """Put the whole reply in the place of the pieces."""
        self._check()
        message = self.growing
        if message is not None and reply is not None:
            reply = reply if isinstance(reply, dict) else {"content": reply}
            message.text, message.sent = _text(reply), {"role": "assistant", **reply}
            message.calls = [_written(call) for call in _calls(reply)]
            message.results = self._results(reply)
            message.kind = "result" if message.results else "reply"
            message.thoughts = str(reply.get("reasoning_content") or message.thoughts)
        self._close()

    def _results(self, reply: dict[str, Any]) -> list[tuple[str, str]]:
        """Return what tools returned, each with the name of the tool that was called."""
        if reply.get("role") not in ("tool", "function"):
            return []
        sent = [message.sent or {} for message in self.messages]
        names = {call["id"]: call["function"]["name"] for one in sent for call in one.get("tool_calls") or []}
        parts = reply.get("tool_responses") or [reply]
        return [
            (str(names.get(part.get("tool_call_id")) or part.get("name") or "tool"), _content(part))
            for part in parts
        ]

    def _close(self) -> None:
        """End the growing reply, whether it is whole, was stopped, or failed."""
        message = self.growing
        if message is None:
            return
        agent, began, before = self._start
        after, message.stopped = _used(agent), self.stopping
        message.usage = Usage(
            time.monotonic() - began,
            after.prompt_tokens - before.prompt_tokens,
            after.completion_tokens - before.completion_tokens,
            after.cost - before.cost,
        )
        if message.stopped:
            message.sent = {"role": "assistant", "content": message.text} if message.text else None
        elif not (message.text or message.thoughts) and (message.sent is None or not clients_of(agent)):
            self.messages.remove(message)  # an empty reply
        message.text, message.thoughts = self.without_keys(message.text), self.without_keys(message.thoughts)
        message.calls = [self.without_keys(call) for call in message.calls]
        message.results = [(name, self.without_keys(text)) for name, text in message.results]
        self.growing = None
        self._changed()

    def _check(self) -> None:
        if self.running and self.stopping:
            raise Stopped

    def _changed(self) -> None:
        for function in self.on_change:
            function()

    # Errors -----------------------------------------------------------------------------------

    def _add_error(self, finding: Finding, start: int) -> None:
        """Add an error to the conversation. The model never gets to see what failed."""
        speaker = self.growing.speaker if self.growing else self.agent.name
        self._close()
        for message in self.messages[start:]:
            message.sent = None
        finding = replace(finding, message=self.without_keys(finding.message))
        text = f"✖ {finding.message}\nFix: {finding.fix}"
        self.messages.append(Message(speaker, text, "error", finding=finding))

    def _silence(self) -> Finding:
        if not any(map(clients_of, self._agents)):
            return found("no-llm-config", agent=self.agent.name)
        return found("no-reply", agent=self.agent.name)


class _Stream:
    """What AutoGen prints to while a message is answered: nothing gets into the notebook's output."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def send(self, event: Any) -> None:
        self._conversation._check()
        if event.type == "stream":
            self._conversation._add(event.content.content, "event")

    def print(self, *objects: Any, sep: str = " ", end: str = "\n", flush: bool = False) -> None:
        self._conversation._check()

    def input(self, prompt: str = "", *, password: bool = False) -> str:
        return ""  # a human in the group skips: you speak when the others are done


def _used(agent: Any) -> Usage:
    """Return the tokens and cost that AutoGen has counted for an agent so far."""
    summary = getattr(getattr(agent, "client", None), "total_usage_summary", None) or {}
    models = [counts for counts in summary.values() if isinstance(counts, dict)]
    prompt, completion = (sum(m[name] for m in models) for name in ("prompt_tokens", "completion_tokens"))
    return Usage(0, prompt, completion, summary.get("total_cost", 0))


def _text(reply: dict[str, Any]) -> str:
    """Return a reply as text, tool calls as `add(a=1, b=2)`."""
    return "\n".join(line for line in [_content(reply), *map(_written, _calls(reply))] if line)


def _content(reply: dict[str, Any]) -> str:
    content = reply.get("content")
    return content_str(content) if isinstance(content, (str, list, type(None))) else str(content)


def _calls(reply: dict[str, Any]) -> list[dict[str, Any]]:
    older = [reply["function_call"]] if reply.get("function_call") else []
    return [*older, *(call["function"] for call in reply.get("tool_calls") or [])]


def _written(call: dict[str, Any]) -> str:
    try:
        arguments = json.loads(call["arguments"] or "{}").items()
        inside = ", ".join(f"{name}={value!r}" for name, value in arguments)
    except (ValueError, AttributeError):  # what the model wrote is not a JSON object
        inside = call["arguments"]
    return f"{call['name']}({inside})"
