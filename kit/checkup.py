"""check_model_client: run a model client class through everything that AutoGen asks of it."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import pickle
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kit.config_list import hide_secrets
from kit.registration import PROTOCOL
from kit.report import Finding, Report

USAGE_KEYS = ("prompt_tokens", "completion_tokens", "total_tokens", "cost", "model")  # AutoGen's
SPECIAL_TOKEN = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|<eos>")
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"}]
AFTER_A_TOOL: list[dict[str, Any]] = [
    {"role": "user", "content": "Add 1 and 1."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 1}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "2"},
]


class _Failed(Exception):
    """A step that later steps build on did not work; its finding is in the report already."""


def check_model_client(
    client: Any, config: dict[str, Any] | None = None, *, timeout: float = 60, **kwargs: Any
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
    with contextlib.suppress(_Failed):
        _Checkup(report, client, config, timeout, kwargs).run()
    return report


class _Checkup:
    def __init__(
        self, report: Report, client: Any, config: dict[str, Any] | None, timeout: float, kwargs: Any
    ) -> None:
        self.report, self.timeout, self.kwargs = report, timeout, kwargs
        self.cls = client if isinstance(client, type) else type(client)
        self.client: Any = None if isinstance(client, type) else client
        self.name = self.cls.__name__
        # What AutoGen adds to an entry before the class sees it.
        added = {"api_type": "openai", "stream": False, "tags": []}
        self.config = {**added, "model": "any-name", "model_client_cls": self.name, **(config or {})}

    def run(self) -> None:
        self.methods()
        if self.client is None:
            self.client = self.construct()
        response = self.create("a reply", QUESTION)
        self.shape(response)
        self.retrieval(response)
        self.cost(response)
        self.usage(response)
        self.several_choices()
        self.extra_messages()
        self.pickled(response)

    # Each of these is one row of the report.

    def methods(self) -> None:
        missing = [name for name in PROTOCOL if not callable(getattr(self.cls, name, None))]
        findings = []
        if missing:
            message = f"{self.name} has no method {', '.join(missing)}."
            findings.append(self.wrong("missing-method", message, f"def {missing[0]}(self, ...): ..."))
        for name in PROTOCOL:
            method = inspect.getattr_static(self.cls, name, None)
            function = getattr(method, "__func__", method)
            if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
                message = f"{name} is `async`: AutoGen would get a coroutine instead of its result."
                findings.append(self.wrong("coroutine", message, f"def {name}, without async"))
            elif inspect.isfunction(method) and not inspect.signature(method).parameters:
                message = f"{name} takes no arguments, not even self."
                findings.append(self.wrong("no-self", message, f"def {name}(self, response): ..."))
        usage = inspect.getattr_static(self.cls, "get_usage", None)
        if inspect.isfunction(usage) and len(inspect.signature(usage).parameters) == 1:
            message = "get_usage takes one argument and is no static method: AutoGen passes it two."
            findings.append(self.wrong("get-usage-not-static", message, "@staticmethod above def get_usage"))
        self.report.add(1, "it has the four methods", findings)
        if findings:
            raise _Failed

    def construct(self) -> Any:
        def new() -> Any:
            return self.cls(dict(self.config), **self.kwargs)

        if inspect.getattr_static(self.cls, "__init__") is object.__init__:
            message = f"{self.name} has no __init__ that takes the config entry."
            fix = "def __init__(self, config, **kwargs): ..."
            self.fail("the constructor", self.wrong("constructor", message, fix))
        client = self.call("the constructor", new, "constructor", "def __init__(self, config, **kwargs): ...")
        self.report.add(1, "the constructor", [])
        return client

    def create(self, checked: str, messages: list[dict[str, Any]], **params: Any) -> Any:
        """Return the response to some messages, after what every response must be."""
        given = {**self.config, "messages": [dict(message) for message in messages], **params}
        fix = "Run create by itself with these params to see where it fails."
        response = self.call(f"create: {checked}", lambda: self.client.create(given), "create-fails", fix)
        finding = None
        if inspect.isawaitable(response) or inspect.isgenerator(response):
            kind = type(response).__name__
            message = f"create returned a {kind} instead of a response."
            finding = self.wrong("coroutine", message, "Run it to its end within create.")
        elif response is None:
            message = "create returned nothing."
            finding = self.wrong("create-returns-none", message, "End it with: return response")
        elif isinstance(response, (str, dict, list, tuple)):
            kind = type(response).__name__
            message = f"create returned a {kind}: AutoGen could not store a cost on it."
            fix = "Return an openai ChatCompletion, or a SimpleNamespace with choices and model."
            finding = self.wrong("create-returns-text", message, fix)
        if finding:
            self.fail(f"create: {checked}", finding)
        self.report.add(1, f"create: {checked}", [])
        return response

    def shape(self, response: Any) -> None:
        findings = []
        choices = getattr(response, "choices", None)
        if not isinstance(choices, (list, tuple)):
            message = "the response has no list `choices`."
            findings.append(self.wrong("no-choices", message, "response.choices = [...]"))
        elif not choices:
            message = "`choices` is empty: the reply was made, but not put into it."
            findings.append(self.wrong("empty-choices", message, "response.choices.append(choice)"))
        elif not all(hasattr(getattr(choice, "message", None), "content") for choice in choices):
            message = "a choice has no message.content."
            findings.append(self.wrong("no-content", message, "choice.message.content = text"))
        if getattr(response, "model", None) is None:
            message = "the response names no model."
            findings.append(self.wrong("no-model", message, 'response.model = self.config["model"]'))
        try:
            response.cost = getattr(response, "cost", 0)
        except (AttributeError, TypeError, ValueError):
            message = f"AutoGen can't store the cost on a {type(response).__name__}."
            fix = "Return a ChatCompletion or a SimpleNamespace."
            findings.append(self.wrong("frozen-response", message, fix))
        if not findings and not getattr(response, "id", None):
            message = (
                "the response has no `id`: AutoGen 0.14 reads its choices and never calls message_retrieval."
            )
            findings.append(self.wrong("no-id", message, "response.id = uuid.uuid4().hex", warning=True))
        self.report.add(1, "the response's shape", findings)
        if any(not finding.warning for finding in findings):
            raise _Failed

    def retrieval(self, response: Any) -> None:
        row, fix = "message_retrieval", "return [choice.message.content for choice in response.choices]"
        texts = self.call(row, lambda: self.client.message_retrieval(response), "retrieval-fails", fix)
        if isinstance(texts, str):
            message = "message_retrieval returned a text: AutoGen would reply with its first letter."
            self.fail(row, self.wrong("retrieval-text", message, fix))
        if not isinstance(texts, (list, tuple)):
            message = f"message_retrieval returned a {type(texts).__name__} instead of a list."
            self.fail(row, self.wrong("retrieval-no-list", message, fix))
        if not texts:
            message = "message_retrieval returned an empty list."
            self.fail(row, self.wrong("retrieval-empty", message, fix))
        findings = []
        for item in texts:
            if not (isinstance(item, (str, dict)) or hasattr(item, "content")):
                message = f"message_retrieval's list holds a {type(item).__name__}, not a text or a message."
                findings.append(self.wrong("retrieval-items", message, fix))
                break
        first = texts[0] if isinstance(texts[0], str) else ""
        if tokens := SPECIAL_TOKEN.findall(first):
            message = f"the reply holds special tokens of the model: {' '.join(sorted(set(tokens)))}"
            how = "tokenizer.decode(..., skip_special_tokens=True)"
            findings.append(self.wrong("special-tokens", message, how, warning=True))
        asked = QUESTION[-1]["content"]
        if asked in first and len(first) > len(asked):
            message = "the reply repeats the prompt."
            how = "Decode only what is new: output[0, prompt_length:]"
            findings.append(self.wrong("repeats-prompt", message, how, warning=True))
        self.report.add(1, row, findings)

    def cost(self, response: Any) -> None:
        fix = "return 0"
        cost = self.call("cost", lambda: self.client.cost(response), "cost-fails", fix)
        findings = []
        if isinstance(cost, bool) or not isinstance(cost, (int, float)):
            message = f"cost returned {_shown(cost)} instead of a number."
            findings.append(self.wrong("cost-no-number", message, fix))
        elif cost < 0:
            findings.append(self.wrong("cost-negative", f"cost returned {cost}.", fix))
        self.report.add(1, "cost", findings)
        if not findings:
            response.cost = cost  # as AutoGen does, before it asks for the usage

    def usage(self, response: Any) -> None:
        fix = f"Return a dict with {', '.join(USAGE_KEYS)}, or {{}} for none."
        usage = self.call("get_usage", lambda: self.client.get_usage(response), "usage-fails", fix)
        findings = []
        if usage is not None and not isinstance(usage, dict):
            message = f"get_usage returned {_shown(usage)} instead of a dict."
            findings.append(self.wrong("usage-no-dict", message, fix))
        elif usage:
            missing = [key for key in USAGE_KEYS if key not in usage]
            odd = [key for key in USAGE_KEYS[:4] if key in usage and not isinstance(usage[key], (int, float))]
            if missing:
                message = (
                    f"get_usage lacks {', '.join(missing)}: AutoGen would drop the others, without a word."
                )
                findings.append(self.wrong("usage-keys", message, fix))
            if odd:
                message = f"get_usage's {odd[0]} is {_shown(usage[odd[0]])} instead of a number."
                findings.append(self.wrong("usage-no-number", message, fix))
        self.report.add(1, "get_usage, as AutoGen calls it", findings)

    def several_choices(self) -> None:
        before = len(self.report.checks)
        try:
            response = self.create("two choices", QUESTION, n=2)
        except _Failed:
            self.soften(before)  # a class may have no use for n
            return
        count = len(getattr(response, "choices", None) or [])
        message = f"n=2 was asked for, and the response has {count} choices."
        if count != 2:
            fix = "A choice for each of range(params.get('n', 1))"
            wrong = self.wrong("n-ignored", message, fix, warning=True)
            self.report.checks[-1] = (1, "create: two choices", [wrong])

    def extra_messages(self) -> None:
        for checked, messages, params in (
            ("streaming asked for", QUESTION, {"stream": True}),
            ("messages of a tool call", AFTER_A_TOOL, {}),
        ):
            before = len(self.report.checks)
            try:
                self.create(checked, messages, **params)
            except _Failed:
                self.soften(before)

    def pickled(self, response: Any) -> None:
        findings = []
        try:
            pickle.loads(pickle.dumps(response))
        except Exception as error:
            message = f"the response can't be pickled, so AutoGen's cache can't keep it: {error}"
            fix = "Keep models, functions and locks out of the response."
            findings.append(self.wrong("not-picklable", hide_secrets(message), fix, warning=True))
        self.report.add(1, "the response can be cached", findings)

    # How a step is called, and what becomes of one that fails.

    def call(self, checked: str, action: Callable[[], Any], code: str, fix: str) -> Any:
        """Return what an action returns, or fail with what it raised, or with the time that it takes."""
        result: list[Any] = []

        def work() -> None:
            try:
                result.extend((True, action()))
            except BaseException as error:
                result.extend((False, error))

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join(self.timeout)
        if not result:
            message = f"{checked} takes more than {self.timeout:g} s."
            self.fail(
                checked, self.wrong("too-slow", message, "Wait longer with timeout=, or find what waits.")
            )
        fine, value = result
        if not fine:
            message = f"{_place(value, self.cls)}{type(value).__name__}: {hide_secrets(str(value))}"
            self.fail(checked, self.wrong(code, message[:500], fix))
        return value

    def fail(self, checked: str, finding: Finding) -> None:
        self.report.add(finding.step, checked, [finding])
        raise _Failed

    def soften(self, before: int) -> None:
        """Turn what was found since then into warnings: AutoGen only asks for it if you do."""
        for index, (step, checked, findings) in enumerate(self.report.checks):
            if index >= before:
                softer = [replace(finding, warning=True) for finding in findings]
                self.report.checks[index] = (step, checked, softer)

    def wrong(self, code: str, message: str, fix: str, warning: bool = False) -> Finding:
        return Finding(code, message, fix, 1, warning)


def _place(error: BaseException, cls: type) -> str:
    """Return the line of the class that raised an error: "line 12, `x = ...`: "."""
    trace, last = error.__traceback__, None
    files = {getattr(getattr(m, "__code__", None), "co_filename", None) for m in vars(cls).values()}
    while trace:
        if trace.tb_frame.f_code.co_filename in files - {None}:
            last = trace
        trace = trace.tb_next
    if last is None:
        return ""
    frame = last.tb_frame
    line = linecache.getline(frame.f_code.co_filename, last.tb_lineno).strip()
    where = f"{frame.f_code.co_name}, line {last.tb_lineno}"
    return f"{where}, `{line}`: " if line else f"{where}: "


def _shown(value: Any) -> str:
    text = hide_secrets(repr(value))
    return text if len(text) < 60 else f"{text[:57]}..."
