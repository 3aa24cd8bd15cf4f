"""Lesson 01: its checks accept every right answer, and name each misconception."""

import itertools
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from openai.types.chat import ChatCompletion

from kit import DummyModelClient

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


def client(create, **methods):
    """A model client class whose `create` is the given function of the params."""
    fixed = {"__init__": lambda self, config, **kwargs: setattr(self, "model", config["model"])}
    return type("MyClient", (), {**fixed, "create": lambda self, params: create(params), **methods})


def answer(*texts, **fields):
    choices = [SimpleNamespace(message=SimpleNamespace(content=text)) for text in texts]
    return SimpleNamespace(choices=choices, model=fields.pop("model", "counter-7"), **fields)


def openai_answer(text):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return ChatCompletion(id="1", object="chat.completion", created=0, model="m", choices=[choice])


def last(params):
    return params["messages"][-1]["content"]


def words(params):
    return str(len(last(params).split()))


def all_words(params):
    return str(sum(len((message["content"] or "").split()) for message in params["messages"]))


USAGE = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7, "cost": 0, "model": "counter-7"}
BILL = staticmethod(lambda response: {**USAGE, "cost": response.cost})
WHOLE = {
    "message_retrieval": lambda self, response: [c.message.content for c in response.choices],
    "cost": lambda self, response: 0.5,
    "get_usage": BILL,
}
FREE = {**WHOLE, "cost": lambda self, response: 0}


def counter(usage):
    return client(lambda params: answer("three word answer"), get_usage=staticmethod(lambda response: usage))


def loud(params):
    return answer(*[last(params).upper()] * params.get("n", 1))


class Nothing: ...


class Words(DummyModelClient):
    def _answers(self, messages, n):
        return [str(len(messages[-1]["content"].split()))] * n


# 1a


def test_1a_takes_exactly_the_orders_that_work_as_code(capsys):
    lines = {
        "A": "    return response",
        "B": "        response.choices.append(SimpleNamespace(message=message))",
        "C": '    for _ in range(params.get("n", 1)):',
        "D": "    response = SimpleNamespace(choices=[], model=self.model)",
        "E": "        message = SimpleNamespace(content=text)",
        "F": '    text = params["messages"][-1]["content"]',
    }

    def works(order):
        space = {"SimpleNamespace": SimpleNamespace}
        try:
            exec("\n".join(["def create(self, params):", *(lines[letter] for letter in order)]), space)
            params = {"messages": [{"content": "no"}, {"content": "yes"}], "n": 2}
            response = space["create"](SimpleNamespace(model="m"), params)
            return [choice.message.content for choice in response.choices] == ["yes", "yes"]
        except Exception:
            return False

    accepted = set()
    for order in itertools.permutations("ABCDEF"):
        if verdict(capsys, "1a", order) == "✔ 1a: right!\n":
            accepted.add("".join(order))
    assert accepted == {"DFCEBA", "FDCEBA"}
    assert all(works(order) for order in accepted)
    assert not works("FCDEBA") and not works("DFCBEA") and not works("DFCEAB")


@pytest.mark.parametrize(
    "order", ["D F C E B A", "dfceba", ["D", "F", "C", "E", "B", "A"], "D, F, C, E, B, A"]
)
def test_1a_takes_the_order_in_any_spelling(capsys, order):
    assert verdict(capsys, "1a", order) == "✔ 1a: right!\n"


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("DFCEAB", "below a `return` never runs"),
        ("FCEBDA", "D makes the response"),
        ("DCEBFA", "F reads the text"),
        ("DFECBA", "stand below the `for`"),
        ("DFBECA", "stand below the `for`"),
        ("DFCBEA", "E comes first"),
        ("DFCEB", "letters A to F once"),
        (5, "write the letters A to F"),
        ({"A": 1}, "write the letters A to F"),
    ],
)
def test_1a_names_the_line_in_a_wrong_place(capsys, order, why):
    out = verdict(capsys, "1a", order)
    assert out.startswith("✘ 1a: ") and why in out


# 1b


@pytest.mark.parametrize(
    "right",
    [
        counter(USAGE),
        counter({**USAGE, "cost": 0.0, "more": "is fine"}),
        client(lambda params: answer("three word answer"), get_usage=BILL),
        client(lambda params: answer("three word answer"), get_usage=lambda self, response: USAGE),
    ],
)
def test_1b_takes_all_five_keys(capsys, right):
    assert verdict(capsys, "1b", right) == "✔ 1b: right!\n"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (counter({**USAGE, "cost": None}), '"cost" should be 0: `response.cost`. Yours is None.'),
        (counter({**USAGE, "total_tokens": 4}), "the sum of the other two. Yours is 4."),
        (counter({**USAGE, "prompt_tokens": 22}), "`response.prompt_words`"),
        (counter({**USAGE, "model": "my-model"}), "`response.model`"),
        (counter({"prompt_tokens": 4}), "drops them all without a word"),
        (counter({}), "drops them all"),
        (counter([4, 3, 7]), "returns a dict"),
        (counter({4, 3, 7}), "returns a dict"),
        (client(lambda params: answer("a b c"), get_usage=lambda response: USAGE), "This is mistake two"),
        (client(lambda params: answer("a b c"), get_usage=lambda: USAGE), "raised TypeError"),
    ],
)
def test_1b_says_which_key_is_wrong(capsys, wrong, why):
    out = verdict(capsys, "1b", wrong)
    assert out.startswith("✘ 1b: ") and why in out


# 1c


@pytest.mark.parametrize(
    "right",
    [
        client(loud, **WHOLE),
        client(loud, **{**WHOLE, "cost": staticmethod(lambda response: 1 / 2)}),
        client(loud, **{**WHOLE, "get_usage": staticmethod(lambda response: {**USAGE, "cost": 0.5})}),
    ],
)
def test_1c_takes_any_loud_client(capsys, right):
    assert verdict(capsys, "1c", right) == "✔ 1c: right!\n"


@pytest.mark.parametrize(
    ("create", "why"),
    [
        (lambda p: answer(), "append each choice"),
        (lambda p: answer(p["messages"][-1]), '["content"]'),
        (lambda p: answer("FIRST"), "whoever wrote it"),
        (lambda p: answer(last(p)), "text.upper()"),
        (lambda p: answer(last(p).upper()), "return after the loop"),
        (lambda p: answer(*[last(p).upper()] * 2), "without `n` in the params, the response has 2"),
        (lambda p: answer(*[last(p).upper()] * p["n"]), 'params.get("n", 1)'),
        (lambda p: answer(*[last(p).upper()] * n), 'params.get("n", 1)'),  # noqa: F821
        (lambda p: answer(p["message"]), "raised KeyError: 'message'"),
        (lambda p: SimpleNamespace(choices=[last(p).upper()]), "`choice.message.content`"),
        (lambda p: SimpleNamespace(choices=[SimpleNamespace(content="HELLO THERE")]), "has no `message`"),
        (lambda p: answer("Hello!"), "expected ['HELLO THERE'], got ['Hello!']"),
        (lambda p: None, "return response"),
        (lambda p: last(p).upper(), "it returns str"),
        (lambda p: [answer(last(p).upper())], "it returns list"),
        (lambda p: answer(last(p).uper()), "raised AttributeError"),
    ],
)
def test_1c_says_what_is_wrong_with_create(capsys, create, why):
    out = verdict(capsys, "1c", client(create, **WHOLE))
    assert out.startswith("✘ 1c: ") and why in out


@pytest.mark.parametrize(
    ("methods", "why"),
    [
        ({"message_retrieval": lambda self, response: ...}, "`message_retrieval` returns nothing yet"),
        ({"cost": lambda self, response: None}, "`cost` returns nothing yet"),
        ({"get_usage": staticmethod(lambda response: ...)}, "`get_usage` returns nothing yet"),
        ({"message_retrieval": lambda self, response: "HELLO THERE"}, "should return the list"),
        ({"cost": lambda self, response: 5}, "`cost` should return 0.5, it returns 5"),
        ({"get_usage": staticmethod(lambda response: USAGE)}, "the bill says 0"),
        ({"get_usage": staticmethod(lambda response: {"cost": response.cost})}, "mistake three"),
        ({"get_usage": lambda response: USAGE}, "This is mistake two: `@staticmethod`"),
        ({"get_usage": staticmethod(lambda self, response: USAGE)}, "raised TypeError"),
        ({"cost": lambda self, response: 0.5 * len(response.choices)}, "with n=3, `cost` returns 1.5"),
    ],
)
def test_1c_goes_through_the_other_methods(capsys, methods, why):
    out = verdict(capsys, "1c", client(loud, **{**WHOLE, **methods}))
    assert out.startswith("✘ 1c: ") and why in out


def adds_to(response):
    """A `create` without its first line: it adds its choices to the response of an earlier cell."""

    def create(params):
        for text in [last(params).upper()] * params.get("n", 1):
            response.choices.append(SimpleNamespace(message=SimpleNamespace(content=text)))
        return response

    return create


@pytest.mark.parametrize("old", [[], ["this is a dummy text response"]])
def test_1c_tells_of_a_response_from_another_cell(capsys, old):
    out = verdict(capsys, "1c", client(adds_to(answer(*old)), **WHOLE))
    assert out.startswith("✘ 1c: `create` returns the same response at every call.")
    assert "`response = SimpleNamespace(choices=[], model=self.model)`" in out


# 1d


TWO_SHELLS = "two shells around the text: `SimpleNamespace(message=SimpleNamespace(content=text))`."


@pytest.mark.parametrize("old", [answer(id="1"), openai_answer("Hello!")])
def test_1d_tells_of_a_response_from_another_cell(capsys, old):
    out = verdict(capsys, "1d", client(adds_to(old), **FREE))
    assert out.startswith("✘ 1d: `create` returns the same response at every call.")
    assert "`response = SimpleNamespace(id=" in out


@pytest.mark.parametrize(
    "right",
    [
        client(lambda p: answer(words(p), id="1"), **FREE),
        client(lambda p: answer(*[words(p)] * p.get("n", 1), id=7), **FREE),
        client(lambda p: openai_answer(words(p)), **FREE),
        client(
            lambda p: answer(words(p), id="1"),
            **{**FREE, "message_retrieval": staticmethod(lambda r: [c.message.content for c in r.choices])},
        ),
        Words,
    ],
)
def test_1d_takes_any_client_that_counts(capsys, right):
    assert verdict(capsys, "1d", right) == "✔ 1d: right!\n"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (client(lambda p: answer(words(p), id="1")), "has no method message_retrieval, cost, get_usage"),
        (client(lambda p: answer(words(p)), **FREE), "give the response an `id`"),
        (
            client(lambda p: answer(int(words(p)), id="1"), **FREE),
            "is an int: AutoGen wants text. Put `str(...)`",
        ),
        (client(lambda p: answer(str(len(last(p))), id="1"), **FREE), "counts letters"),
        (
            client(lambda p: answer(all_words(p), id="1"), **FREE),
            "the words of all messages",
        ),
        (client(lambda p: answer(last(p), id="1"), **FREE), "should be '2', it is 'hello there'"),
        (client(lambda p: answer(words(p), id="1"), **WHOLE), "it should cost 0, the bill says 0.5"),
        (
            client(lambda p: answer(words(p), id="1"), **{**FREE, "get_usage": staticmethod(lambda r: {})}),
            "mistake three",
        ),
        (
            client(lambda p: answer(words(p), id="1"), **{**FREE, "get_usage": lambda r: USAGE}),
            "@staticmethod above",
        ),
        (client(lambda p: None, **FREE), "create returned nothing. Fix: End it with: return response"),
        (client(lambda p: answer(), **FREE), "`choices` is empty"),
        (client(lambda p: SimpleNamespace(id="1", choices=[words(p)], model="m"), **FREE), TWO_SHELLS),
        (
            client(
                lambda p: SimpleNamespace(id="1", choices=[SimpleNamespace(content=words(p))], model="m"),
                **FREE,
            ),
            TWO_SHELLS,
        ),
        (Words({"model": "m"}), "the class itself"),
    ],
)
def test_1d_names_the_first_thing_wrong(capsys, wrong, why):
    out = verdict(capsys, "1d", wrong)
    assert out.startswith("✘ 1d: ") and why in out


def test_1d_misses_the_constructor(capsys):
    class MyClient:
        def create(self, params):
            return answer(words(params), id="1")

        message_retrieval, cost, get_usage = FREE["message_retrieval"], FREE["cost"], BILL

    assert "has no __init__ that takes the config entry" in verdict(capsys, "1d", MyClient)


# All of them


@pytest.mark.parametrize(
    ("number", "stub"),
    [("1a", ...), ("1b", counter(...)), ("1c", client(lambda params: ...)), ("1d", Nothing), ("1d", ...)],
)
def test_an_answer_not_started_is_no_mistake(capsys, number, stub):
    assert verdict(capsys, number, stub).startswith(f"○ {number}: not solved yet")


def test_the_checks_are_instant(capsys):
    verdict(capsys, "1d", Words)  # imports what is imported once
    start = time.perf_counter()
    verdict(capsys, "1d", Words)
    assert time.perf_counter() - start < 0.5
