"""check_model_client: run a model client class through everything that AutoGen asks of it."""

from __future__ import annotations

import collections.abc
import contextlib
import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from numbers import Real
from typing import Any

from kit.agents.inside import NOT_PASSED_ON, PROTOCOL, USAGE_KEYS
from kit.checks.catalogue import found
from kit.checks.explain import explain
from kit.checks.frames import frames_of
from kit.checks.history import HIDES, does_more, marks
from kit.checks.protocol import constructor_of, methods_of, needed_by, passes_on
from kit.checks.report import Finding, Report
from kit.checks.worker import Worker
from kit.config_list.secrets import fit

# What AutoGen asks a response for, be it there or not.
ASKED_FOR = ("choices", "model", "id", "message_retrieval_function", "config_id", "pass_filter")
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"}]
CONVERSATION = [*QUESTION, {"role": "assistant", "content": "2"}, {"role": "user", "content": "And 1 + 2?"}]
ADD = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 1}'}}
AFTER_A_TOOL: list[dict[str, Any]] = [
    {"role": "user", "content": "Add 1 and 1."},
    {"role": "assistant", "content": None, "tool_calls": [ADD]},
    {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    {"role": "user", "content": "Add 2 and 2."},
]
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
TOOLS = [{"type": "function", "function": {"name": "add", "description": "Add.", "parameters": NUMBERS}}]


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
        report.add(2, "the entry", [found("no-entry", kind=type(config).__name__)])
        return report
    checkup = _Checkup(report, client, config, timeout, kwargs)
    with contextlib.suppress(_Failed), contextlib.closing(checkup.worker), checkup.looking("the rest"):
        checkup.run()
    return report


class _Checkup:
    def __init__(
        self, report: Report, client: Any, config: dict[str, Any] | None, timeout: float, kwargs: Any
    ) -> None:
        self.report, self.timeout, self.kwargs = report, timeout, kwargs
        self.made_up = config is None
        self.cls = client if isinstance(client, type) else type(client)
        self.client: Any = None if isinstance(client, type) else client
        self.name = self.cls.__name__
        self.worker = Worker()
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
        row = "the constructor"
        for finding in constructor_of(self.cls):
            self.fail(row, finding)
        if needed := [name for name in needed_by(self.cls) if name not in self.kwargs]:
            call = ", ".join(f"{name}=..." for name in needed)
            self.fail(
                row, found("check-needs-arguments", name=self.name, needed=", ".join(needed), call=call)
            )
        client = self.call(row, lambda: self.cls(dict(self.config), **self.kwargs), self.why_not_made)

        def missing() -> list[str]:
            return [name for name in PROTOCOL if not callable(getattr(client, name, None))]

        if lacks := self.call(row, missing):
            named = {"name": f"{self.name}(config)", "methods": ", ".join(lacks), "method": lacks[0]}
            self.fail(row, found("missing-method", **named, arguments="self, ..."))
        self.report.add(1, row, [])
        return client

    def why_not_made(self, error: BaseException) -> Finding:
        """Return what a constructor's error means: a made-up entry may lack a field of the class."""
        if self.made_up and isinstance(error, KeyError) and _module_of(error) != "os":  # not os.environ
            return found("check-needs-entry", name=self.name, field=repr(error.args[0]))
        return explain(error)

    def create(
        self, checked: str, messages: list[dict[str, Any]], watched: list[Any] | None = None, **params: Any
    ) -> Any:
        """Return the response to some messages, or to copies that are watched, after what it must be."""
        row, history = f"create: {checked}", watched or copy.deepcopy(messages)
        passed = {name: value for name, value in self.config.items() if name not in NOT_PASSED_ON}
        request = {**passed, "messages": [*history], **params}
        response = self.call(row, lambda: self.client.create(request))
        kind = type(response)
        late = (collections.abc.Iterator, collections.abc.AsyncIterator)
        if hasattr(kind, "__await__") or issubclass(kind, late):
            self.fail(row, found("coroutine", name=f"{self.name}.create", kind=kind.__name__))
        elif response is None:
            self.fail(row, found("create-returns-none"))
        elif kind.__module__ == "builtins":
            self.fail(row, found("create-returns-text", kind=kind.__name__))
        findings = [found("changes-messages")] if history != messages else []
        if place := self.shared():
            findings.append(found("shared-memory", place=place))
        self.report.add(1, row, self.new(findings))
        return response

    def shared(self) -> str:
        """Return the attribute of the class in which a question has been kept, "" if there is none."""
        asked = QUESTION[-1]["content"]
        for cls in self.cls.__mro__[:-1]:
            for name, value in vars(cls).items():
                if isinstance(value, (list, dict, set, collections.deque)) and asked in repr(value):
                    return f"{cls.__name__}.{name}"
        return ""

    def shape(self, row: str, response: Any) -> None:
        def read() -> dict[str, Any]:
            return {name: getattr(response, name) for name in ASKED_FOR if hasattr(response, name)}

        parts = self.call(row, read)
        kind, findings = type(response).__name__, []
        choices = parts.get("choices")
        if not isinstance(choices, (list, tuple)):
            done = None
            if "id" in parts:
                done = self.worker.run(lambda: self.client.message_retrieval(response), self.timeout)
            taken = done is not None and done[0] and isinstance(done[1], list)  # AutoGen asks for no more
            findings.append(found("no-choices", kind=kind, warning=taken))
        elif not choices:
            findings.append(found("empty-choices"))
        elif not all(hasattr(getattr(choice, "message", None), "content") for choice in choices):
            findings.append(found("no-content"))
        if parts.get("model") is None:
            findings.append(found("response-model", warning=True))
        try:
            response.cost = getattr(response, "cost", 0)
        except (AttributeError, TypeError, ValueError):
            findings.append(found("frozen-response", kind=kind))
        if not findings and "id" not in parts and does_more(self.client):
            findings.append(found("no-id", name=self.name))
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
            findings.append(
                found("no-id", name=self.name, instead=f", so not {_shown(reply)}", warning=False)
            )
        text = reply if isinstance(reply, str) else "a message"
        if not text:
            findings.append(found("empty-reply", agent="the client", count="a question"))
        system, asked = (message["content"] for message in QUESTION)
        before, repeated, rest = text.partition(asked)
        # Else it may be an echo, made on purpose.
        if repeated and (system in text or re.fullmatch(r"\W*|user\W*", before) and re.search(r"\w", rest)):
            findings.append(found("repeats-prompt", agent=self.name))
        findings += marks(self.name, [text], [name for one in findings for name in HIDES.get(one.code, ())])
        self.report.add(1, row, findings)

    def texts(self, row: str, response: Any) -> tuple[list[Any], list[Finding]]:
        """Return what message_retrieval makes of a response, and what AutoGen can't use of it."""
        texts = self.call(row, lambda: self.client.message_retrieval(response))
        if isinstance(texts, str):
            self.fail(row, found("retrieval-text"))
        if not isinstance(texts, (list, tuple)):
            self.fail(row, found("retrieval-no-list", kind=type(texts).__name__))
        if not texts:
            self.fail(row, found("retrieval-empty"))
        contents = [choice.message.content for choice in getattr(response, "choices", [])]
        for item in texts:
            if hasattr(item, "message"):
                return texts, [found("retrieval-choices")]
            if not isinstance(item, (str, dict)) and not hasattr(item, "model_dump"):
                put = "-of-create" if any(item is content for content in contents) else ""
                return texts, [found(f"retrieval-items{put}", kind=type(item).__name__)]
            message = None if isinstance(item, str) else item if isinstance(item, dict) else item.model_dump()
            if message is not None and (wrong := _wrong_message(message)):
                return texts, [wrong]
        return texts, []

    def cost(self, row: str, response: Any) -> None:
        cost = self.call(row, lambda: self.client.cost(response))
        findings = []
        if isinstance(cost, bool) or not isinstance(cost, Real) or not float(cost) >= 0:
            findings.append(found("cost-no-number", value=_shown(cost)))
        self.report.add(1, row, findings)
        if not findings:
            response.cost = cost  # as AutoGen does, before it asks for the usage

    def usage(self, row: str, response: Any) -> None:
        usage = self.call("get_usage", lambda: self.client.get_usage(response))
        findings: list[Finding] = []
        known = usage if isinstance(usage, dict) else {}
        missing = [key for key in USAGE_KEYS if key not in known]
        odd = any(not isinstance(known.get(key), Real) for key in USAGE_KEYS[:4])
        if usage is not None and usage != {} and (missing or odd):
            facts = {"keys": ", ".join(USAGE_KEYS), "missing": ", ".join(missing) or "numbers"}
            findings.append(found("usage-keys", value=_shown(usage), **facts))
        self.report.add(1, row, findings)

    def several_choices(self) -> None:
        with self.as_warnings():
            watched = [_Watched(message) for message in CONVERSATION]
            response = self.create("two choices", CONVERSATION, watched, n=2)
            count = len(getattr(response, "choices", (1, 2)) or [])
            findings = [found("n-ignored", count=f"{count} choice{'s' * (count != 1)}")] if count != 2 else []
            read = [index for index, message in enumerate(watched) if message.read]
            if read in ([0], [3]) and passes_on(self.cls):
                findings.append(found("one-message", which="last" if read[0] else "first"))
            if findings:
                self.report.checks[-1] = (1, "create: two choices", findings)

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

    def call(
        self, checked: str, action: Callable[[], Any], tell: Callable[[BaseException], Finding] = explain
    ) -> Any:
        """Return what an action returns, or fail with what it raised, or with the time that it takes."""
        done = self.worker.run(action, self.timeout)
        if done is None:
            self.report.add(1, checked, [found("too-slow", what=checked, seconds=f"{self.timeout:g}")])
            raise _TooSlow
        fine, value = done
        if not fine:
            self.fail(checked, replace(tell(value), step=1))
        return value

    @contextlib.contextmanager
    def looking(self, checked: str) -> Iterator[None]:
        """Report what can't be looked at, since it raises when its attributes are read."""
        try:
            yield
        except _Failed:
            raise
        except Exception as error:
            self.fail(checked, found("unreadable", text=explain(error).message, step=1))

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


def _module_of(error: BaseException) -> str:
    """Return the module whose code raised an exception."""
    return next((str(frame.f_globals.get("__name__")) for frame, _ in frames_of(error)), "")


class _Watched(dict[str, Any]):
    """A message that remembers whether anybody has read it: dict(message) and {**message} do so, too."""

    read = False


def _reading(name: str) -> Any:
    def method(self: _Watched, *args: Any) -> Any:
        self.read = True
        return getattr(dict, name)(self, *args)

    return method


for _name in ("__getitem__", "__iter__", "get", "keys", "items"):
    setattr(_Watched, _name, _reading(_name))


def _wrong_message(message: dict[str, Any]) -> Finding | None:
    """Return what AutoGen can't use of a reply that is a whole message."""
    content, calls = message.get("content"), message.get("tool_calls")
    if not isinstance(content, (str, list, type(None))):
        return found("message-content", value=_shown(content))
    if content is None and not calls and not message.get("function_call"):
        return found("message-empty")
    for call in calls or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not all(map(call.get, ("id", "type"))):
            return found("tool-call")
        arguments: Any = function.get("arguments")
        try:
            json.loads(arguments)
        except (TypeError, ValueError):
            return found("tool-call-arguments", value=_shown(arguments))
    return None


def _shown(value: Any) -> str:
    try:
        return fit(repr(value), 60)
    except Exception:
        return f"a {type(value).__name__}"
