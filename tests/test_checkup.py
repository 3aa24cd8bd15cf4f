"""check_model_client: classes as people write them, run through what AutoGen asks of them."""

import time
from types import SimpleNamespace

import pytest

from kit import DummyModelClient, HuggingFaceModelClient, check_model_client

ENTRY = {"model": "m", "model_client_cls": "Mine"}


def client(**methods):
    """Return a class that is right but for some methods."""
    return type("Mine", (DummyModelClient,), methods)


def response(**parts):
    """Return a response that is right but for some parts; None leaves a part out."""
    text = SimpleNamespace(content="Hello", function_call=None)
    right = {"id": "1", "model": "m", "choices": [SimpleNamespace(message=text)], "cost": 0}
    parts = {name: part for name, part in {**right, **parts}.items() if part is not None}
    made = SimpleNamespace(**parts)
    return client(
        create=lambda self, params: made,
        message_retrieval=lambda self, response: [choice.message.content for choice in response.choices],
        get_usage=staticmethod(lambda response: {}),
        cost=lambda self, response: 0,
    )


def usage(**changes):
    keys = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cost": 0, "model": "m"}
    changed = {name: value for name, value in {**keys, **changes}.items() if value is not None}
    return client(get_usage=staticmethod(lambda response: changed))


def says(text):
    return client(_answers=lambda self, messages, n: [text] * n)


class Frozen:
    __slots__ = ("choices", "id", "model")

    def __init__(self):
        self.id, self.model = "1", "m"
        self.choices = [SimpleNamespace(message=SimpleNamespace(content="Hello"))]


async def coroutine(self, params): ...


def broken(self, params):
    return params["no such field"]


def generator(self, params):
    yield "Hello"


def strip_all(self, params):
    texts = [message["content"].strip() for message in params["messages"]]  # None beside a tool call
    return DummyModelClient.create(self, params) if texts else None


def no_self(): ...


WRONG = {
    "a method is missing": (type("Mine", (), {"create": broken}), "missing-method"),
    "create is async": (client(create=coroutine), "coroutine"),
    "create is a generator": (client(create=generator), "coroutine"),
    "a method without self": (client(cost=no_self), "signature"),
    "get_usage without @staticmethod": (client(get_usage=lambda response: {}), "get-usage-not-static"),
    "a constructor without config": (client(__init__=lambda self: None), "constructor"),
    "a constructor that needs more": (client(__init__=lambda self, config, model: None), "constructor"),
    "a constructor that fails": (client(__init__=lambda self, config: config["none"]), "constructor"),
    "create fails": (client(create=broken), "create-fails"),
    "create returns nothing": (client(create=lambda self, params: None), "create-returns-none"),
    "create returns a text": (client(create=lambda self, params: "Hello"), "create-returns-text"),
    "create returns a dict": (client(create=lambda self, params: {"choices": []}), "create-returns-text"),
    "no choices": (response(choices=None), "no-choices"),
    "choices is a text": (response(choices="Hello"), "no-choices"),
    "the choices were not appended": (response(choices=[]), "empty-choices"),
    "a choice without a message": (response(choices=[SimpleNamespace(text="Hello")]), "no-content"),
    "no model": (response(model=None), "no-model"),
    "a response that is frozen": (client(create=lambda self, params: Frozen()), "frozen-response"),
    "retrieval fails": (client(message_retrieval=lambda self, r: r.none), "retrieval-fails"),
    "retrieval returns a text": (client(message_retrieval=lambda self, r: "Hello"), "retrieval-text"),
    "retrieval returns nothing": (client(message_retrieval=lambda self, r: None), "retrieval-no-list"),
    "retrieval returns an empty list": (client(message_retrieval=lambda self, r: []), "retrieval-empty"),
    "retrieval returns numbers": (client(message_retrieval=lambda self, r: [1]), "retrieval-items"),
    "retrieval is async": (client(message_retrieval=coroutine), "coroutine"),
    "cost fails": (client(cost=lambda self, r: 1 / 0), "cost-fails"),
    "cost returns nothing": (client(cost=lambda self, r: None), "cost-no-number"),
    "cost returns a text": (client(cost=lambda self, r: "0"), "cost-no-number"),
    "cost is negative": (client(cost=lambda self, r: -1), "cost-negative"),
    "get_usage fails": (client(get_usage=lambda self, r: r.none), "usage-fails"),
    "get_usage returns a list": (client(get_usage=lambda self, r: [1]), "usage-no-dict"),
    "get_usage lacks a key": (usage(model=None), "usage-keys"),
    "get_usage holds a text": (usage(prompt_tokens="1"), "usage-no-number"),
}
DOUBTFUL = {
    "no id": (response(id=None), "no-id"),
    "special tokens": (says("Hello<|im_end|>"), "special-tokens"),
    "special tokens of Llama": (says("<s>[INST] Hello</s>"), "special-tokens"),
    "the prompt comes back": (says("What is 1 + 1? It is 2."), "repeats-prompt"),
    "n is ignored": (response(), "n-ignored"),
    "a response that can't be pickled": (response(extra=lambda: None), "not-picklable"),
    "messages of a tool call": (client(create=strip_all), "create-fails"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_autogen_would_stumble_over_is_found(case):
    cls, code = WRONG[case]
    report = check_model_client(cls, ENTRY)
    assert not report.ok
    first = report.findings[0]
    assert (first.code, first.step) == (code, 1)
    assert first.message
    assert first.fix


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_is_probably_a_mistake_is_a_warning(case):
    cls, code = DOUBTFUL[case]
    report = check_model_client(cls, ENTRY)
    assert report.ok
    assert code in {finding.code for finding in report.findings if finding.warning}


def test_the_dummy_passes_with_every_row_checked():
    report = check_model_client(DummyModelClient)
    assert report.findings == []
    assert len(report.checks) == 11


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
    ],
)
def test_what_autogen_takes_passes(cls):
    assert check_model_client(cls, ENTRY).findings == []


def test_a_client_that_was_made_is_taken_as_it_is():
    made = DummyModelClient({"model": "m"}, replies="Ahoy")
    assert check_model_client(made).ok
    assert len(made.calls) == 4


def test_what_the_constructor_gets_is_passed_on():
    assert check_model_client(DummyModelClient, replies=["1", "2", "3", "4"]).findings == []
    assert check_model_client(DummyModelClient, colour="blue").findings[0].code == "constructor"


def test_a_failing_line_is_named(tmp_path):
    code = "def create(self, params):\n    return params['no such field']\n"
    (tmp_path / "mine.py").write_text(code)
    space = {}
    exec(compile(code, tmp_path / "mine.py", "exec"), space)
    first = check_model_client(client(create=space["create"])).findings[0]
    assert first.message == "Mine.create, line 2, `return params['no such field']`: KeyError: 'no such field'"


def test_a_call_that_never_ends_is_left_behind():
    report = check_model_client(client(create=lambda self, params: time.sleep(5)), timeout=0.1)
    assert report.findings[0].code == "too-slow"
    assert report.findings[0].message == "create: a reply takes more than 0.1 s."


def test_no_finding_shows_a_key():
    def refuse(self, params):
        raise ValueError(f"bad key {params['api_key']}")

    report = check_model_client(client(create=refuse), {**ENTRY, "api_key": "sk-recognisable"})
    assert "sk-recognisable" not in str(report)


def test_the_local_model_passes(local_model_folder):
    entry = {"model": local_model_folder, "max_tokens": 4, "temperature": 0.5}
    report = check_model_client(HuggingFaceModelClient, entry)
    assert report.ok, report
    assert {finding.code for finding in report.findings} <= {"create-fails"}
