"""check_model_client: run a model client class through everything that AutoGen asks of it."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import contextvars
import copy
import functools
import json
import queue
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from numbers import Real
from typing import Any

from kit.agents.inside import PROTOCOL
from kit.checks.explain import explain
from kit.checks.protocol import constructor_of, methods_of, needed_by
from kit.checks.report import Finding, Report
from kit.config_list.secrets import fit

USAGE_KEYS = ("prompt_tokens", "completion_tokens", "total_tokens", "cost", "model")  # AutoGen's
# What AutoGen asks a response for, be it there or not.
ASKED_FOR = ("choices", "model", "id", "message_retrieval_function", "config_id", "pass_filter")
SPECIAL_TOKEN = re.compile(
    r"<\|[^|<>]{1,40}\|>|^\s*<s>(?!.*</s>\s*\S)|</s>\s*$|\[/?INST\]|<(?:start|end)_of_turn>|<eos>", re.DOTALL
)
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"}]
ADD = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 1}'}}
AFTER_A_TOOL: list[dict[str, Any]] = [
    {"role": "user", "content": "Add 1 and 1."},
    {"role": "assistant", "content": None, "tool_calls": [ADD]},
    {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    {"role": "user", "content": "Add 2 and 2."},
]
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
TOOLS = [{"type": "function", "function": {"name": "add", "description": "Add.", "parameters": NUMBERS}}]

_wrong = functools.partial(Finding, step=1)  # all that is found here is about the class


class _Failed(Exception):
    """A step that later steps build on did not work; its finding is in the report already."""


class _TooSlow(_Failed):
    """And it is still at work, so that no later step can be run."""


def check_model_client(
    client: Any, /, config: dict[str, Any] | None = None, *, timeout: float = 60, **kwargs: Any
) -> Report:
    """Run a model client through the protocol, and report what AutoGen would stumble over.

    This runs your class: it makes one, unless you pass one, and calls its methods, `create` four
    times. So a class that loads a model loads it, and one that asks a server asks it.

    Args:
        client: the class, or a client that was made from it.
        config: the entry to make it with; by default one with a model's name and the class's.
        timeout: seconds that each call may take. One that takes longer goes on in the background.
        kwargs: what the constructor gets besides the config, as at registration.
    """
    report = Report()
    if config is not None and not isinstance(config, dict):
        message = f"an entry is a dict; this is a {type(config).__name__}."
        report.add(2, "the entry", [Finding("no-entry", message, "Pass one of the list: config_list[0].", 2)])
        return report
    checkup = _Checkup(report, client, config, timeout, kwargs)
    with contextlib.suppress(_Failed), contextlib.closing(checkup.worker), checkup.looking("the rest"):
        checkup.run()
    return report


class _Worker:
    """Runs calls in a thread of its own, so that one that never ends can be left behind.

    It is one thread for all, since a client may be bound to that in which it was made; and where the
    caller has an event loop, as a notebook has, the calls run in one too.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        serve: Callable[[], Any] = self._serve
        with contextlib.suppress(RuntimeError):  # that there is no loop
            asyncio.get_running_loop()
            serve = self._serve_in_loop
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._work, serve), daemon=True).start()

    def run(self, action: Callable[[], Any], timeout: float) -> tuple[bool, Any] | None:
        """Return True and the result, False and what was raised, or None if it takes longer."""
        self._calls.put(action)
        try:
            return self._results.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._calls.put(None)

    def _work(self, serve: Callable[[], Any]) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)  # only a main thread has one from the start
        if (coroutine := serve()) is not None:
            loop.run_until_complete(coroutine)
        loop.close()

    def _serve(self) -> None:
        while action := self._calls.get():
            try:
                self._results.put((True, action()))
            except BaseException as error:
                self._results.put((False, error))

    async def _serve_in_loop(self) -> None:
        self._serve()


class _Checkup:
    def __init__(
        self, report: Report, client: Any, config: dict[str, Any] | None, timeout: float, kwargs: Any
    ) -> None:
        self.report, self.timeout, self.kwargs = report, timeout, kwargs
        self.cls = client if isinstance(client, type) else type(client)
        self.client: Any = None if isinstance(client, type) else client
        self.name = self.cls.__name__
        self.worker = _Worker()
        # What AutoGen adds to an entry before the class sees it.
        added = {"api_type": "openai", "stream": False, "tags": []}
        self.config = {**added, "model": "any-name", "model_client_cls": self.name, **(config or {})}

    def run(self) -> None:
        self.methods()
        if self.client is None:
            self.client = self.construct()
        response = self.create("a reply", QUESTION)
        for row, look in (
            ("the response's shape", self.shape),
            ("message_retrieval", self.retrieval),
            ("cost", self.cost),
            ("get_usage, as AutoGen calls it", self.usage),
        ):
            with self.looking(row):
                look(row, response)
        self.several_choices()
        self.extra_messages()

    # Each of these is one row of the report.

    def methods(self) -> None:
        findings = methods_of(self.cls)
        self.report.add(1, "it has the four methods", findings)
        if findings:
            raise _Failed

    def construct(self) -> Any:
        row, fix = "the constructor", "def __init__(self, config, **kwargs): ..."
        for finding in constructor_of(self.cls):
            self.fail(row, finding)
        if needed := [name for name in needed_by(self.cls) if name not in self.kwargs]:
            message = f"{self.name}'s constructor needs {', '.join(needed)} besides the config entry."
            passed = ", ".join(f"{name}=..." for name in needed)
            self.fail(row, _wrong("constructor", message, f"check_model_client({self.name}, {passed})"))
        client = self.call(row, lambda: self.cls(dict(self.config), **self.kwargs), "constructor", fix)

        def missing() -> list[str]:
            return [name for name in PROTOCOL if not callable(getattr(client, name, None))]

        if lacks := self.call(row, missing, "constructor", fix):
            message = f"{self.name}(config) makes a {type(client).__name__} without {', '.join(lacks)}."
            self.fail(row, _wrong("missing-method", message, f"def {lacks[0]}(self, ...): ..."))
        self.report.add(1, row, [])
        return client

    def create(self, checked: str, messages: list[dict[str, Any]], **params: Any) -> Any:
        """Return the response to some messages, after what every response must be."""
        request = {**self.config, "messages": copy.deepcopy(messages), **params}
        history = list(request["messages"])
        fix = "Run create by itself with these params to see where it fails."
        response = self.call(f"create: {checked}", lambda: self.client.create(request), "create-fails", fix)
        kind, finding = type(response), None
        if hasattr(kind, "__await__") or issubclass(
            kind, (collections.abc.Iterator, collections.abc.AsyncIterator)
        ):
            message = f"create returned a {kind.__name__} instead of a response."
            finding = _wrong("coroutine", message, "Run it to its end within create.")
        elif response is None:
            message = "create returned nothing."
            finding = _wrong("create-returns-none", message, "End it with: return response")
        elif kind.__module__ == "builtins":
            message = f"create returned a {kind.__name__}: AutoGen could not store a cost on it."
            fix = "Return an openai ChatCompletion, or a SimpleNamespace with choices and model."
            finding = _wrong("create-returns-text", message, fix)
        if finding:
            self.fail(f"create: {checked}", finding)
        findings = []
        if history != messages:
            message = "create changes the messages that it gets: they are the agent's history."
            fix = 'messages = [dict(message) for message in params["messages"]]'
            findings.append(_wrong("changes-messages", message, fix, warning=True))
        self.report.add(1, f"create: {checked}", self.new(findings))
        return response

    def shape(self, row: str, response: Any) -> None:
        def read() -> dict[str, Any]:
            return {name: getattr(response, name) for name in ASKED_FOR if hasattr(response, name)}

        fix = "Let the response raise AttributeError, and nothing else, for what it does not have."
        parts = self.call(row, read, "response-raises", fix)
        kind, findings = type(response).__name__, []
        choices = parts.get("choices")
        if not isinstance(choices, (list, tuple)):
            message = f"the response, a {kind}, has no list `choices`."
            retrieve = functools.partial(self.client.message_retrieval, response)
            done = self.worker.run(retrieve, self.timeout) if "id" in parts else None
            taken = done is not None and done[0] and isinstance(done[1], list)  # AutoGen asks for no more
            findings.append(_wrong("no-choices", message, "response.choices = [...]", warning=taken))
        elif not choices:
            message = "`choices` is empty: the reply was made, but not put into it."
            findings.append(_wrong("empty-choices", message, "response.choices.append(choice)"))
        elif not all(hasattr(getattr(choice, "message", None), "content") for choice in choices):
            message = "a choice has no message.content."
            findings.append(_wrong("no-content", message, "choice.message.content = text"))
        if parts.get("model") is None:
            message = "the response names no model."
            findings.append(_wrong("no-model", message, 'response.model = self.config["model"]'))
        try:
            response.cost = getattr(response, "cost", 0)
        except (AttributeError, TypeError, ValueError):
            message = f"AutoGen can't store the cost on a {kind}."
            fix = "Return a ChatCompletion or a SimpleNamespace."
            findings.append(_wrong("frozen-response", message, fix))
        if not findings and "id" not in parts:
            message = "the response has no `id`: AutoGen 0.14 reads its choices, not message_retrieval."
            fix = "response.id = uuid.uuid4().hex"
            findings.append(_wrong("no-id", message, fix, warning=True))
        self.report.add(1, row, findings)
        if any(not finding.warning for finding in findings):
            raise _Failed

    def retrieval(self, row: str, response: Any) -> None:
        texts, findings = self.texts(row, response)
        reply, instead = texts[0], texts[0]
        if not hasattr(response, "id"):  # then AutoGen looks at the choices itself
            message = response.choices[0].message
            instead = message if getattr(message, "tool_calls", None) else message.content
        if not findings and reply is not instead and reply != instead:
            message = f"without an `id`, AutoGen 0.14 takes the first choice, not {_shown(reply)}."
            findings.append(_wrong("no-id", message, "response.id = uuid.uuid4().hex"))
        text = reply if isinstance(reply, str) else "a message"
        if not text:
            message = "the reply is an empty text."
            fix = "Look at what the model made, and where it was cut."
            findings.append(_wrong("empty-reply", message, fix, warning=True))
        if tokens := SPECIAL_TOKEN.findall(text):
            found = " ".join(sorted({token.strip() for token in tokens}))
            message = f"the reply holds special tokens of the model: {found}"
            fix = "tokenizer.decode(..., skip_special_tokens=True)"
            findings.append(_wrong("special-tokens", message, fix, warning=True))
        system, asked = (message["content"] for message in QUESTION)
        _, repeated, rest = text.partition(asked)
        if repeated and (rest.strip() or system in text):  # else it may be an echo, made on purpose
            message = "the reply repeats the prompt."
            fix = "Decode only what is new: output[0, prompt_length:]"
            findings.append(_wrong("repeats-prompt", message, fix, warning=True))
        self.report.add(1, row, findings)

    def texts(self, row: str, response: Any) -> tuple[list[Any], list[Finding]]:
        """Return what message_retrieval makes of a response, and what AutoGen can't use of it."""
        fix = "return [choice.message.content for choice in response.choices]"
        texts = self.call(row, lambda: self.client.message_retrieval(response), "retrieval-fails", fix)
        if isinstance(texts, str):
            message = "message_retrieval returned a text: AutoGen would reply with its first letter."
            self.fail(row, _wrong("retrieval-text", message, fix))
        if not isinstance(texts, (list, tuple)):
            message = f"message_retrieval returned a {type(texts).__name__} instead of a list."
            self.fail(row, _wrong("retrieval-no-list", message, fix))
        if not texts:
            message = "message_retrieval returned an empty list."
            self.fail(row, _wrong("retrieval-empty", message, fix))
        contents = [choice.message.content for choice in getattr(response, "choices", [])]
        for item in texts:
            if not isinstance(item, (str, dict)) and not hasattr(item, "model_dump"):
                kind = type(item).__name__
                message = f"message_retrieval's list holds a value of type {kind}, not a text or a message"
                if any(item is content for content in contents):
                    message, fix = f"{message}: create put it there", "choice.message.content = text"
                return texts, [_wrong("retrieval-items", f"{message}.", fix)]
            if not isinstance(item, str):
                message_ = item if isinstance(item, dict) else item.model_dump()
                if wrong := _wrong_message(message_):
                    return texts, [_wrong(*wrong)]
        return texts, []

    def cost(self, row: str, response: Any) -> None:
        fix = "return 0"
        cost = self.call(row, lambda: self.client.cost(response), "cost-fails", fix)
        findings = []
        if isinstance(cost, bool) or not isinstance(cost, Real):
            message = f"cost returned {_shown(cost)} instead of a number."
            findings.append(_wrong("cost-no-number", message, fix))
        elif not float(cost) >= 0:
            findings.append(_wrong("cost-negative", f"cost returned {cost}.", fix))
        self.report.add(1, row, findings)
        if not findings:
            response.cost = cost  # as AutoGen does, before it asks for the usage

    def usage(self, row: str, response: Any) -> None:
        fix = f"Return a dict with {', '.join(USAGE_KEYS)}, or {{}} for none."
        usage = self.call("get_usage", lambda: self.client.get_usage(response), "usage-fails", fix)
        findings = []
        if usage is not None and not isinstance(usage, dict):
            message = f"get_usage returned {_shown(usage)} instead of a dict."
            findings.append(_wrong("usage-no-dict", message, fix))
        elif usage:
            missing = [key for key in USAGE_KEYS if key not in usage]
            odd = [key for key in USAGE_KEYS[:4] if key in usage and not isinstance(usage[key], Real)]
            if missing:
                message = f"get_usage lacks {', '.join(missing)}: AutoGen would drop the others too."
                findings.append(_wrong("usage-keys", message, fix))
            if odd:
                message = f"get_usage's {odd[0]} is {_shown(usage[odd[0]])} instead of a number."
                findings.append(_wrong("usage-no-number", message, fix))
        self.report.add(1, row, findings)

    def several_choices(self) -> None:
        with self.as_warnings():
            response = self.create("two choices", QUESTION, n=2)
            count = len(getattr(response, "choices", (1, 2)) or [])
            if count != 2:
                message = f"n=2 was asked for, and the response has {count} choice{'s' * (count != 1)}."
                fix = "A choice for each of range(params.get('n', 1))"
                wrong = _wrong("n-ignored", message, fix, warning=True)
                self.report.checks[-1] = (1, "create: two choices", [wrong])

    def extra_messages(self) -> None:
        with self.as_warnings():
            self.create("streaming asked for", QUESTION, stream=True)
        row, response = "messages of a tool call", None
        with self.as_warnings():
            response = self.create(row, AFTER_A_TOOL, tools=TOOLS)
        if response is not None:  # what it says may be a tool call now
            with contextlib.suppress(_Failed), self.looking(f"create: {row}"):
                step, checked, findings = self.report.checks.pop()
                self.report.add(step, checked, findings + self.new(self.texts(checked, response)[1]))

    # How a step is called, and what becomes of one that fails.

    def call(self, checked: str, action: Callable[[], Any], code: str, fix: str) -> Any:
        """Return what an action returns, or fail with what it raised, or with the time that it takes."""
        done = self.worker.run(action, self.timeout)
        if done is None:
            message = f"{checked} takes more than {self.timeout:g} s."
            fix = "Wait longer with timeout=, or find what waits."
            self.report.add(1, checked, [_wrong("too-slow", message, fix)])
            raise _TooSlow
        fine, value = done
        if not fine:
            known = explain(value)
            self.fail(checked, _wrong(code, known.message, fix if known.code == "error" else known.fix))
        return value

    @contextlib.contextmanager
    def looking(self, checked: str) -> Iterator[None]:
        """Report what can't be looked at, since it raises when its attributes are read."""
        try:
            yield
        except _Failed:
            raise
        except Exception as error:
            fix = "Find what raises it when it is looked at: a property, or __getattr__."
            self.fail(checked, _wrong("unreadable", explain(error).message, fix))

    @contextlib.contextmanager
    def as_warnings(self) -> Iterator[None]:
        """Turn what is found here into warnings: AutoGen only asks for it if you do."""
        before = len(self.report.checks)
        try:
            yield
        except _TooSlow:
            raise
        except _Failed:
            for index, (step, checked, findings) in enumerate(self.report.checks[before:], before):
                warnings = [replace(finding, warning=True) for finding in findings]
                self.report.checks[index] = (step, checked, warnings)

    def fail(self, checked: str, finding: Finding) -> None:
        self.report.add(finding.step, checked, [finding])
        raise _Failed

    def new(self, findings: list[Finding]) -> list[Finding]:
        """Return what has not been found in an earlier row."""
        known = self.report.findings
        return [finding for finding in findings if finding not in known]


def _wrong_message(message: dict[str, Any]) -> tuple[str, str, str] | None:
    """Return code, message and fix of what AutoGen can't use of a reply that is a whole message."""
    content, calls = message.get("content"), message.get("tool_calls")
    if not isinstance(content, (str, list, type(None))):
        return "message-content", f"a message's content is {_shown(content)}.", '"content": text'
    if content is None and not calls and not message.get("function_call"):
        what = "a message has neither a content nor tool_calls: AutoGen can't send it."
        return "message-empty", what, '{"role": "assistant", "content": text}'
    form = '{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}'
    for call in calls or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not all(map(call.get, ("id", "type"))):
            return "tool-call", "a tool call lacks its id, its type or its function.", form
        arguments: Any = function.get("arguments")
        try:
            json.loads(arguments)
        except (TypeError, ValueError):
            what = f"a tool call's arguments are {_shown(arguments)} instead of a JSON text."
            return "tool-call", what, '"arguments": json.dumps(arguments)'
    return None


def _shown(value: Any) -> str:
    try:
        return fit(repr(value), 60)
    except Exception:
        return f"a {type(value).__name__}"
