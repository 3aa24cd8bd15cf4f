"""check_model_client: classes as people write them, run through what AutoGen asks of them."""

import asyncio
import os
import sys
import threading
import time
from collections import namedtuple
from concurrent.futures import Future
from types import SimpleNamespace

import numpy
import pytest
import requests
from server import GOOD, URL
from set_ups import (
    ALL_FOUR,
    DUMMY,
    MINE,
    Assembled,
    Mute,
    agent,
    ask,
    client,
    codes,
    coroutine,
    group,
    ready,
    with_tool,
)

from kit import (
    DummyModelClient,
    HuggingFaceModelClient,
    RecordingModelClient,
    check_model_client,
    diagnose,
    tool_call,
)

# Classes ---------------------------------------------------------------------------------------------


def retrieve(self, response):
    return [choice.message.content for choice in response.choices]


def response(message_retrieval=retrieve, **parts):
    """Return a class whose response is right but for some parts; None leaves a part out."""
    text = SimpleNamespace(content="Hello", function_call=None)
    right = {"id": "1", "model": "m", "choices": [SimpleNamespace(message=text)], "cost": 0}
    parts = {name: part for name, part in {**right, **parts}.items() if part is not None}
    made = SimpleNamespace(**parts)
    return client(
        create=lambda self, params: made,
        message_retrieval=message_retrieval,
        get_usage=staticmethod(lambda response: {}),
        cost=lambda self, response: 0,
    )


def usage(**changes):
    keys = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cost": 0, "model": "m"}
    changed = {name: value for name, value in {**keys, **changes}.items() if value is not None}
    return client(get_usage=staticmethod(lambda response: changed))


def says(text):
    return client(_answers=lambda self, messages, n: [text] * n)


def broken(self, params):
    return params["no such field"]


def generator(self, params):
    yield "Hello"


def says_raw(content, **parts):
    return response(choices=[SimpleNamespace(message=SimpleNamespace(content=content))], **parts)


def strip_all(self, params):
    texts = [message["content"].strip() for message in params["messages"]]  # None beside a tool call
    return DummyModelClient.create(self, params) if texts else None


def reply(**message):
    return client(message_retrieval=lambda self, response: [message])


def call(**changes):
    """Return a class that replies with a tool call that is right but for some parts; None leaves one out."""
    right = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    parts = {name: part for name, part in {**right, **changes}.items() if part is not None}
    return reply(role="assistant", content=None, tool_calls=[parts])


class Lazy:
    """A response that fails when it is looked at."""

    id, model = "1", "m"

    @property
    def choices(self):
        raise RuntimeError("still loading")


class Mapping(dict):
    """A dict with attributes, which says KeyError where Python says AttributeError."""

    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__


class Sealed:
    """What can't even be written out."""

    def __repr__(self):
        raise RuntimeError


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError


def speechless(self, params):
    raise Speechless


def no_life(self, params):
    sys.exit("no")


def interrupt(self, params):
    raise KeyboardInterrupt


async def answer():
    return DummyModelClient(MINE).create({"messages": [], "n": 1})


def run_anew(self, params):
    return asyncio.run(answer())


def forget(self, params):
    for message in params["messages"]:
        message["content"] = ""
    return DummyModelClient.create(self, params)


MESSAGE = SimpleNamespace(content="Hello", function_call=None)
CHOICE = SimpleNamespace(message=MESSAGE)
Frozen = namedtuple("Frozen", ["choices", "id", "model"])
WRONG = {
    "a method is missing": (type("Mine", (), {"create": broken}), "missing-method"),
    "create is a generator": (client(create=generator), "coroutine"),
    "a constructor without config": (client(__init__=lambda self: None), "constructor"),
    "a constructor that needs more": (
        client(__init__=lambda self, config, model: None),
        "check-needs-arguments",
    ),
    "a constructor that fails": (client(__init__=lambda self, config: int("none")), "error"),
    "a constructor that reads what the entry lacks": (
        client(__init__=lambda self, config: config["none"]),
        "entry-lacks",
    ),
    "create fails": (client(create=lambda self, params: int("none")), "error"),
    "create reads what is not always there": (client(create=broken), "params-lacks"),
    "create returns nothing": (client(create=lambda self, params: None), "create-returns-none"),
    "create returns a text": (client(create=lambda self, params: "Hello"), "create-returns-text"),
    "create returns a dict": (client(create=lambda self, params: {"choices": []}), "create-returns-text"),
    "no choices": (response(choices=None), "no-choices"),
    "choices is a text": (response(choices="Hello"), "no-choices"),
    "the choices were not appended": (response(choices=[]), "empty-choices"),
    "a choice without a message": (response(choices=[SimpleNamespace(text="Hello")]), "no-content"),
    "a response that is frozen": (
        client(create=lambda self, params: Frozen([CHOICE], "1", "m")),
        "frozen-response",
    ),
    "retrieval fails": (client(message_retrieval=lambda self, r: r.none), "error"),
    "retrieval returns a text": (client(message_retrieval=lambda self, r: "Hello"), "retrieval-text"),
    "retrieval returns nothing": (client(message_retrieval=lambda self, r: None), "retrieval-no-list"),
    "retrieval returns an empty list": (client(message_retrieval=lambda self, r: []), "retrieval-empty"),
    "retrieval returns numbers": (client(message_retrieval=lambda self, r: [1]), "retrieval-items"),
    "retrieval is async": (client(message_retrieval=coroutine), "coroutine"),
    "cost fails": (client(cost=lambda self, r: 1 / 0), "error"),
    "cost returns nothing": (client(cost=lambda self, r: None), "cost-no-number"),
    "cost returns a text": (client(cost=lambda self, r: "0"), "cost-no-number"),
    "cost is negative": (client(cost=lambda self, r: -1), "cost-no-number"),
    "get_usage fails": (client(get_usage=lambda self, r: r.none), "error"),
    "get_usage returns a list": (client(get_usage=lambda self, r: [1]), "usage-keys"),
    "get_usage lacks a key": (usage(model=None), "usage-keys"),
    "get_usage holds a text": (usage(prompt_tokens="1"), "usage-keys"),
    "a property in place of a method": (client(cost=property(lambda self: 0)), "missing-method"),
    "a constructor that makes nothing": (client(__new__=lambda cls, config: None), "missing-method"),
    "create leaves the program": (client(create=no_life), "error"),
    "create interrupts": (client(create=interrupt), "error"),
    "create calls itself": (client(create=lambda self, params: self.create(params)), "error"),
    "create raises what can't be told": (client(create=speechless), "error"),
    "create returns an iterator": (client(create=lambda self, params: map(str, [])), "coroutine"),
    "create returns a future": (client(create=lambda self, params: Future()), "no-choices"),
    "a response that can't be read": (client(create=lambda self, params: Lazy()), "error"),
    "a response that raises KeyError": (
        client(create=lambda self, params: Mapping(choices=[1], model="m", id="1")),
        "error",
    ),
    "tokens that nobody decodes": (says_raw([1, 2]), "retrieval-items-of-create"),
    "a model's dict in place of its text": (says_raw({"generated_text": "Hello"}), "message-empty"),
    "retrieval returns choices": (client(message_retrieval=lambda self, r: r.choices), "retrieval-choices"),
    "retrieval returns objects": (client(message_retrieval=lambda self, r: [MESSAGE]), "retrieval-items"),
    "a message without a content": (reply(role="assistant"), "message-empty"),
    "a message with a number": (reply(content=3), "message-content"),
    "a tool call without an id": (call(id=None), "tool-call"),
    "a tool call without a type": (call(type=None), "tool-call"),
    "a tool call in one level": (call(function=None, name="add", arguments="{}"), "tool-call"),
    "a tool call with a dict of arguments": (
        call(function={"name": "add", "arguments": {}}),
        "tool-call-arguments",
    ),
    "a tool call with Python": (
        call(function={"name": "add", "arguments": "{'a': 1}"}),
        "tool-call-arguments",
    ),
    "cost is not a number": (client(cost=lambda self, r: float("nan")), "cost-no-number"),
    "cost can't be written out": (client(cost=lambda self, r: Sealed()), "cost-no-number"),
}
DOUBTFUL = {
    "no id": (
        response(
            id=None, message_retrieval=lambda self, r: [one.message.content.strip() for one in r.choices]
        ),
        "no-id",
    ),
    "no model": (response(model=None), "response-model"),
    "special tokens": (says("Hello<|im_end|>"), "special-tokens"),
    "special tokens of Llama": (says("<s>[INST] Hello</s>"), "special-tokens"),
    "the prompt comes back": (says("What is 1 + 1? It is 2."), "repeats-prompt"),
    "n is ignored": (response(), "n-ignored"),
    "messages of a tool call": (client(create=strip_all), "error"),
    "no choices, and no need of them": (
        response(choices=None, text="Hello", message_retrieval=lambda self, response: [response.text]),
        "no-choices",
    ),
    "an empty reply": (says(""), "empty-reply"),
    "the messages are changed": (client(create=forget), "changes-messages"),
}


@pytest.mark.parametrize(("cls", "code"), WRONG.values(), ids=WRONG)
def test_what_autogen_would_stumble_over_is_found(cls, code):
    report = check_model_client(cls, MINE)
    assert not report.ok
    assert codes(report)[0] == code
    assert {finding.step for finding in report.findings} == {1}


@pytest.mark.parametrize(("cls", "code"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_is_probably_a_mistake_is_a_warning(cls, code):
    report = check_model_client(cls, MINE)
    assert report.ok
    assert code in codes(report)


def keep(self, config):
    self.inner = DummyModelClient(config)


class Attributes(dict):
    def __getattr__(self, name):
        return self[name] if name in self else object.__getattribute__(self, name)

    __setattr__ = dict.__setitem__


def of_one_thread(self):
    """Return True in each thread that this client was first used in, as sqlite's connections do."""
    self.thread = getattr(self, "thread", threading.get_ident())
    return self.thread == threading.get_ident()


def run_anew_with_n(self, params):
    async def answer():
        return DummyModelClient.create(self, params)

    return asyncio.get_event_loop().run_until_complete(answer())


def add_a_message(self, params):
    params["messages"].append({"role": "assistant", "content": "Well,"})  # the list is AutoGen's, made anew
    return DummyModelClient.create(self, params)


def test_the_dummy_passes_with_every_row_checked():
    report = check_model_client(DummyModelClient)
    assert report.findings == []
    assert len(report.checks) == 10


@pytest.mark.parametrize(
    "cls",
    [
        client(get_usage=lambda self, response: {}),
        client(get_usage=lambda self, response: None),
        client(get_usage=classmethod(lambda cls, response: {})),
        client(__init__=lambda self, config, *args, **kwargs: DummyModelClient.__init__(self, config)),
        client(message_retrieval=lambda self, r: [choice.message for choice in r.choices]),
        client(message_retrieval=lambda self, r: tuple(choice.message.content for choice in r.choices)),
        says("An answer with <b>tags</b> and [brackets]."),
        usage(),
        usage(prompt_tokens=numpy.int64(1), cost=numpy.float32(0)),
        client(create=property(lambda self: lambda params: DummyModelClient.create(self, params))),
        type("Mine", (), {"__init__": keep, "__getattr__": lambda self, name: getattr(self.inner, name)}),
        Assembled,
        type("Mine", (), {**ALL_FOUR, "__new__": lambda cls, config: DummyModelClient(config)}),
        Mute("Mine", (DummyModelClient,), {}),
        client(create=lambda self, params: self(params), __call__=DummyModelClient.create),
        client(create=lambda self, params: of_one_thread(self) and DummyModelClient.create(self, params)),
        client(create=run_anew_with_n),
        client(create=lambda self, params: Attributes(vars(DummyModelClient.create(self, params)))),
        client(create=add_a_message),
        call(),
        call(id="any", function={"name": "add", "arguments": '{"a": 1}'}),
        says("You said: What is 1 + 1?"),
        says("<s>Struck out</s> is HTML for old prices."),
    ],
)
def test_what_autogen_takes_passes(cls):
    assert check_model_client(cls, MINE).findings == []


def test_a_client_that_was_made_is_taken_as_it_is():
    made = DummyModelClient({"model": "m"}, replies="Ahoy")
    assert check_model_client(made).ok
    assert len(made.calls) == 4


def test_what_the_constructor_gets_is_passed_on():
    assert check_model_client(DummyModelClient, replies=["1", "2", "3", "4"]).findings == []
    assert check_model_client(DummyModelClient, colour="blue").findings[0].code == "says-itself"


def test_a_failing_line_is_named(tmp_path):
    code = "def create(self, params):\n    return params['no such field']\n"
    (tmp_path / "mine.py").write_text(code)
    space = {}
    exec(compile(code, tmp_path / "mine.py", "exec"), space)
    first = check_model_client(client(create=space["create"])).findings[0]
    assert first.message.startswith("Mine.create, line 2, `return params['no such field']`: ")


def test_a_call_that_never_ends_is_left_behind():
    report = check_model_client(client(create=lambda self, params: time.sleep(5)), timeout=0.1)
    assert codes(report) == ["too-slow"]


def test_nothing_is_asked_of_a_client_that_is_still_at_work():
    def create(self, params):
        return time.sleep(5) if "n" in params else DummyModelClient.create(self, params)

    start = time.monotonic()
    report = check_model_client(client(create=create), timeout=0.3)
    assert time.monotonic() - start < 3
    step, row, [finding] = report.checks[-1]
    assert (row, finding.code) == ("create: two choices", "too-slow")


def test_in_a_notebook_the_class_runs_in_an_event_loop_as_its_chats_will():
    async def cell():
        return check_model_client(client(create=run_anew))

    assert check_model_client(client(create=run_anew)).ok
    first = asyncio.run(cell()).findings[0]
    assert first.code == "running-loop"
    assert "event loop" in first.message
    assert "asyncio.run" in first.fix


def test_without_an_id_the_reply_is_not_what_message_retrieval_returns():
    decoding = says_raw([72, 105], id=None)
    decoding.message_retrieval = lambda self, r: [bytes(r.choices[0].message.content).decode()]
    first = check_model_client(decoding, MINE).findings[0]
    assert (first.code, first.warning) == ("no-id", False)


def test_what_quotes_a_question_does_not_repeat_the_prompt():
    assert check_model_client(says("You asked: 'What is 1 + 1?'. It is 2.")).findings == []
    for reply in ("What is 1 + 1?\nIt is 2.", "user\nWhat is 1 + 1?\nassistant\n2"):
        assert "repeats-prompt" in codes(check_model_client(says(reply)))


def test_create_gets_what_autogen_passes_on_and_no_more():
    entry = {**MINE, "api_key": "k", "base_url": "http://localhost/v1", "tags": ["a"], "temperature": 0.5}
    got = []

    def create(self, params):
        got.append({*params} - {"messages"})
        return DummyModelClient(MINE).create(params)

    assert check_model_client(client(create=create), entry).findings == []
    by_check = got[0]
    ask(agent(entry, register=[client(create=create)]))
    assert got[-1] == by_check == {"model", "model_client_cls", "stream", "temperature"}


def test_a_tool_call_is_looked_at_where_tools_are_offered():
    def create(self, params):
        replies = tool_call("add", a=2) if params.get("tools") else "Hello"
        return DummyModelClient(self.config, replies=lambda messages: replies).create(params)

    def retrieval(self, response):
        return [choice.message.tool_calls or choice.message.content for choice in response.choices]

    report = check_model_client(client(create=create, message_retrieval=retrieval))
    assert codes(report) == ["retrieval-items"]
    assert check_model_client(client(create=create)).findings == []


def test_what_the_constructor_needs_is_to_be_passed_to_the_check(tmp_path):
    first = check_model_client(client(__init__=lambda self, config, tokenizer: None)).findings[0]
    assert first.fix == "check_model_client(Mine, tokenizer=...)"
    assert check_model_client(RecordingModelClient, path=tmp_path / "talk.jsonl", client=DummyModelClient).ok


def test_a_whole_list_is_no_entry():
    assert codes(check_model_client(DummyModelClient, [MINE])) == ["no-entry"]


def test_a_response_that_turns_odd_later_is_told_too():
    def create(self, params):
        return Lazy() if "n" in params else DummyModelClient.create(self, params)

    first = check_model_client(client(create=create)).findings[0]
    assert first.code == "unreadable"
    assert "RuntimeError: still loading" in first.message


def test_what_is_no_class_has_no_methods():
    assert check_model_client("Mine").findings[0].code == "missing-method"


def test_no_finding_shows_a_key():
    def refuse(self, params):
        key = "sk-recognisable"
        raise ValueError(f"bad key {params['api_key']}", key == "sk-recognisable")

    report = check_model_client(client(create=refuse), {**MINE, "api_key": "sk-recognisable"})
    assert "sk-recognisable" not in str(report)


def test_the_local_model_passes(local_model_folder):
    entry = {"model": local_model_folder, "max_tokens": 4, "temperature": 0.5}
    report = check_model_client(HuggingFaceModelClient, entry)
    assert report.ok, report
    assert {finding.code for finding in report.findings} <= {"says-itself"}


# Classes that work, and do otherwise than AutoGen wants -------------------------------------------------


def remembers(self, params):
    self.seen.extend(message["content"] for message in params["messages"])
    return DummyModelClient.create(self, params)


def posting(shown):
    """Return a create that posts some of the messages, those that `shown` picks."""

    def create(self, params):
        body = {"model": "m", "messages": shown(params["messages"])}
        requests.post(URL + "/v1/chat/completions", json=body, timeout=5)
        return DummyModelClient(self.config, replies=["Hi", "Hi"]).create({**params, "messages": []})

    return create


def played(self, params):  # an answer to the last message, and no model that would have to know the others
    last = str(params["messages"][-1]["content"])
    return DummyModelClient(self.config, replies=[last.upper()] * 2).create({**params, "messages": []})


def with_seen(self, config):
    DummyModelClient.__init__(self, config)
    self.seen = []


CLASSES = {
    "memory of the class": (client(create=remembers, seen=[]), "shared-memory"),
    "only the last message": (client(create=posting(lambda all: all[-1]["content"])), "one-message"),
    "only the first message": (client(create=posting(lambda all: all[0]["content"])), "one-message"),
    "turns that the model made up": (
        client(_answers=lambda self, messages, n: ["Hi\n### Human:\nAnd?\n### Assistant:\nNo."] * n),
        "runs-on",
    ),
    "thoughts in the reply": (
        client(_answers=lambda self, messages, n: ["<think>\nHm.\n</think>\nHi"] * n),
        "thoughts",
    ),
    "a header in the reply": (
        client(_answers=lambda self, messages, n: ["<|im_start|>assistant\nHi"] * n),
        "no-generation-prompt",
    ),
    "thoughts that the template opened": (
        client(_answers=lambda self, messages, n: ["Hm.\n</think>\nHi"] * n),
        "thoughts",
    ),
}
HEALTHY = {
    "memory of the client": client(create=remembers, __init__=with_seen),
    "all messages": client(create=posting(lambda all: [*map(dict, all)])),
    "the first and the last message": client(create=posting(lambda all: [dict(all[0]), dict(all[-1])])),
    "no model": client(create=played),
}


@pytest.mark.parametrize(("cls", "code"), CLASSES.values(), ids=CLASSES)
def test_what_a_class_does_wrong_without_an_exception_is_seen(cls, code):
    assert code in codes(check_model_client(cls, MINE))


def test_a_field_that_only_the_real_entry_has():
    def from_folder(self, config):
        DummyModelClient.__init__(self, config)
        self.folder = config["folder"]

    cls = client(__init__=from_folder)
    assert codes(check_model_client(cls)) == ["check-needs-entry"]
    assert codes(check_model_client(cls, {**MINE, "folder": "x"})) == []

    def from_environment(self, config):
        DummyModelClient.__init__(self, config)
        self.key = os.environ["NO_SUCH_VARIABLE"]

    assert codes(check_model_client(client(__init__=from_environment))) == ["unset-variable"]


@pytest.mark.parametrize("cls", HEALTHY.values(), ids=HEALTHY)
def test_a_class_that_does_it_right_passes(cls):
    assert codes(check_model_client(cls, MINE)) == []


def test_the_classes_of_clients_that_are_registered_are_looked_at():
    async def create(self, params): ...

    made = agent(MINE, register=[client(create=create)])
    assert codes(diagnose(made)) == ["coroutine"]
    assert codes(diagnose(group(made, ready("b"), select="round_robin"))) == ["coroutine"]


def test_the_entries_of_an_agent_are_looked_at_as_a_list_is():
    assert codes(diagnose(agent({**GOOD, "base_url": URL}))) == ["config-list"]
    assert codes(diagnose({"config_list": [DUMMY], "temprature": 0})) == ["llm-config-field"]
    assert codes(diagnose({"config_list": {"one": DUMMY, "two": DUMMY}})) == ["named-entries"]
    assert codes(diagnose({"config_list": [DUMMY], "temperature": 0})) == []


def test_tools_that_were_added_after_registering_empty_the_place():
    assert codes(diagnose(with_tool(ready()))) == ["not-registered"]
