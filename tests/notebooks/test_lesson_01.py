"""Lesson 01: its checks accept every right answer, and name each misconception."""

import itertools
import time
from types import SimpleNamespace

import checks
import pytest
from openai.types.chat import ChatCompletion

from kit import DummyModelClient


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


USAGE = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7, "cost": 0, "model": "counter-7"}
BILL = staticmethod(lambda response: {**USAGE, "cost": response.cost})
WHOLE = {
    "message_retrieval": lambda self, response: [choice.message.content for choice in response.choices],
    "cost": lambda self, response: 0.5,
    "get_usage": BILL,
}
FREE = {**WHOLE, "cost": lambda self, response: 0}


def counted(response, **fields):
    """What `get_usage` of 1b returns, right but for what is given."""
    words = response.prompt_words
    usage = {"prompt_tokens": words, "completion_tokens": 3, "total_tokens": words + 3, "cost": response.cost}
    return {**usage, "model": response.model, **fields}


def counter(usage=None, **fields):
    """A client of 1b, with what its `get_usage` returns, or with fields of it that differ."""

    class Counter:
        def __init__(self, config):
            self.model = config["model"]

        def cost(self, response):
            return 0.01

        def create(self, params):
            return answer("three word answer", model=self.model, prompt_words=len(last(params).split()))

        @staticmethod
        def get_usage(response):
            return counted(response, **fields) if usage is None else usage

    return Counter


def gets(usage):
    """A client of 1b whose `get_usage` is a function of the response."""
    return type("WordCounter", (counter(),), {"get_usage": usage})


def loud(params):
    return answer(*[last(params).upper()] * params.get("n", 1))


def shouts(create=loud, **methods):
    """A client of 1c, right but for what is given."""
    return client(create, **{**WHOLE, **methods})


def words(params):
    return str(len(last(params).split()))


def all_words(params):
    return str(sum(len((message["content"] or "").split()) for message in params["messages"]))


def counts(create=lambda params: answer(words(params), id="1"), **methods):
    """A client of 1d, right but for what is given."""
    return client(create, **{**FREE, **methods})


class Words(DummyModelClient):
    def _answers(self, messages, n):
        return [str(len(messages[-1]["content"].split()))] * n


class Nothing: ...


class Echo:
    """The lesson's `EchoClient`."""

    def __init__(self, config, **kwargs):
        self.model = config["model"]

    def create(self, params):
        return answer(*[last(params)] * params.get("n", 1), model=self.model)

    message_retrieval, cost, get_usage = WHOLE["message_retrieval"], lambda self, response: 0.01, BILL


def sub(base=Echo, **methods):
    """A class that inherits from the lesson's client, with some methods of its own."""
    return type("LoudClient", (base,), methods)


def upper_of_super(self, params):
    response = super(type(self), self).create(params)
    for choice in response.choices:
        choice.message.content = choice.message.content.upper()
    return response


HALF = {"cost": lambda self, response: 0.5}
LOUD = {"create": lambda self, params: loud(params), **HALF}


class NoConstructor:
    def create(self, params):
        return answer(words(params), id="1")

    message_retrieval, cost, get_usage = FREE["message_retrieval"], FREE["cost"], BILL


def adds_to(response):
    """A `create` without its first line: it adds its choices to the response of an earlier cell."""

    def create(params):
        for text in [last(params).upper()] * params.get("n", 1):
            response.choices.append(SimpleNamespace(message=SimpleNamespace(content=text)))
        return response

    return create


SAME = "`create` returns the same response at every call. Its first line must make a new one: `response = "
SAME_1C, SAME_1D = SAME + "SimpleNamespace(choices=[], model=self.model)`", SAME + "SimpleNamespace(id="
TWO_SHELLS = "two shells around the text: `SimpleNamespace(message=SimpleNamespace(content=text))`."

ANSWERS = [
    ("1a", "D F C E B A", "right"),
    ("1a", "dfceba", "right"),
    ("1a", ["D", "F", "C", "E", "B", "A"], "right"),
    ("1a", "D, F, C, E, B, A", "right"),
    ("1a", ("f", "d", "c", "e", "b", "a"), "right"),
    ("1a", "D-F-C-E-B-A", "right"),
    ("1a", "ABCDEF", "below a `return` never runs"),
    ("1a", "FEDCBA", "stand below the `for`"),
    ("1a", "CDEBFA", "D makes the response"),
    ("1a", [4, 6, 3, 5, 2, 1], "letters A to F once"),
    ("1a", "DDFCEBA", "letters A to F once"),
    ("1a", ["return response"], "letters A to F once"),
    ("1a", set("DFCEBA"), "a set { } has no order"),
    ("1a", None, "not started"),
    ("1a", "DFCEAB", "below a `return` never runs"),
    ("1a", "FCEBDA", "D makes the response"),
    ("1a", "DCEBFA", "F reads the text"),
    ("1a", "DFECBA", "stand below the `for`"),
    ("1a", "DFBECA", "stand below the `for`"),
    ("1a", "DFCBEA", "E comes first"),
    ("1a", "DFCEB", "letters A to F once"),
    ("1a", 5, "write the letters A to F"),
    ("1a", {"A": 1}, "write the letters A to F"),
    ("1b", counter(), "right"),
    ("1b", counter(cost=1 / 100, more="is fine"), "right"),
    ("1b", gets(staticmethod(counted)), "right"),
    ("1b", gets(classmethod(lambda c, r: counted(r))), "right"),
    ("1b", gets(staticmethod(lambda r: dict(**counted(r)))), "right"),
    ("1b", counter()({"model": "m"}), "hand over the class itself"),
    ("1b", sub(object, get_usage=staticmethod(counted)), "class WordCounter(EchoClient):"),
    ("1b", "WordCounter", "hand over the class itself"),
    ("1b", gets(staticmethod(print)), "a dict, {...}, not None"),
    ("1b", gets(staticmethod(lambda r: prompt_words)), "`response.prompt"),  # noqa: F821
    ("1b", gets(staticmethod(lambda r: r.completion_words)), "the line above"),
    ("1b", gets(staticmethod(lambda r: self.model)), "has no `self`"),  # noqa: F821
    ("1b", counter(prompt_tokens=...), "still dots in it"),
    ("1b", counter(prompt_tokens="4"), "`response.prompt_words`. Yours is '4'."),
    ("1b", counter(cost=0), '"cost" should be 0.01: `response.cost`. Yours is 0.'),
    ("1b", gets(lambda self, response: counted(response)), "right"),
    ("1b", counter({**USAGE, "cost": 0.01}), "asked 'two words' of the model counter-8, "),
    ("1b", counter(model="counter-7"), "\"model\" should be 'counter-8'"),
    ("1b", counter(cost=None), '"cost" should be 0.01: `response.cost`. Yours is None.'),
    ("1b", counter(total_tokens=4), "the sum of the other two. Yours is 4."),
    ("1b", counter(prompt_tokens=22), "`response.prompt_words`"),
    ("1b", counter(model="my-model"), "`response.model`"),
    ("1b", counter({"prompt_tokens": 4}), "drops them all without a word"),
    ("1b", counter({}), "drops them all"),
    ("1b", counter([4, 3, 7]), "returns a dict"),
    ("1b", counter({4, 3, 7}), "returns a dict"),
    ("1b", gets(lambda response: USAGE), "This is mistake two"),
    ("1b", gets(lambda: USAGE), "raised TypeError"),
    ("1b", counter(...), "not started"),
    ("1c", shouts(), "right"),
    ("1c", shouts(cost=staticmethod(lambda response: 1 / 2)), "right"),
    ("1c", shouts(get_usage=staticmethod(lambda response: {**USAGE, "cost": 0.5})), "right"),
    ("1c", sub(**LOUD), "right"),
    ("1c", sub(create=upper_of_super, **HALF), "right"),
    ("1c", sub(sub(**LOUD), cost=classmethod(lambda cls, response: 0.5)), "right"),
    ("1c", sub(create=LOUD["create"]), "`cost` should return 0.5, it returns 0.01"),
    ("1c", sub(**HALF), "text.upper()"),
    ("1c", sub(**HALF, message_retrieval=lambda self, response: ["HELLO THERE"]), "text.upper()"),
    ("1c", sub(**{**LOUD, "cost": lambda self, response: "0.5"}), "should return 0.5, it returns '0.5'"),
    ("1c", sub(**{**LOUD, "cost": lambda response: 0.5}), "`cost` has one parameter, and gets two"),
    ("1c", sub(**{**HALF, "create": lambda params: loud(params)}), "`create` has one parameter"),
    ("1c", sub(object, **LOUD), "class LoudClient(EchoClient):"),
    ("1c", sub(**LOUD)({"model": "m"}), "hand over the class itself"),
    ("1c", "LoudClient", "hand over the class itself"),
    ("1c", sub(create=lambda self, params: ..., cost=lambda self, response: ...), "not started"),
    ("1c", shouts(lambda p: answer()), "append each choice"),
    ("1c", shouts(lambda p: answer(p["messages"][-1])), '["content"]'),
    ("1c", shouts(lambda p: answer("FIRST")), "whoever wrote it"),
    ("1c", shouts(lambda p: answer(last(p))), "text.upper()"),
    ("1c", shouts(lambda p: answer(last(p).upper())), "return after the loop"),
    ("1c", shouts(lambda p: answer(*[last(p).upper()] * 2)), "without `n` in the params, the response has 2"),
    ("1c", shouts(lambda p: answer(*[last(p).upper()] * p["n"])), 'params.get("n", 1)'),
    ("1c", shouts(lambda p: answer(*[last(p).upper()] * n)), 'params.get("n", 1)'),  # noqa: F821
    ("1c", shouts(lambda p: answer(p["message"])), "raised KeyError: 'message'"),
    ("1c", shouts(lambda p: SimpleNamespace(choices=[last(p).upper()])), "`choice.message.content`"),
    (
        "1c",
        shouts(lambda p: SimpleNamespace(choices=[SimpleNamespace(content="HELLO THERE")])),
        "has no `message`",
    ),
    ("1c", shouts(lambda p: answer(last(p).upper)), "without ( ) behind its name"),
    ("1c", shouts(lambda messages: answer(messages[-1]["content"].upper())), "`create` gets one dict"),
    ("1c", shouts(lambda p: answer("Hello!")), "expected ['HELLO THERE'], got ['Hello!']"),
    ("1c", shouts(lambda p: None), "return response"),
    ("1c", shouts(lambda p: last(p).upper()), "it returns str"),
    ("1c", shouts(lambda p: [answer(last(p).upper())]), "it returns list"),
    ("1c", shouts(lambda p: answer(last(p).uper())), "raised AttributeError"),
    ("1c", shouts(adds_to(answer())), SAME_1C),
    ("1c", shouts(adds_to(answer("this is a dummy text response"))), SAME_1C),
    ("1c", shouts(message_retrieval=lambda self, r: ...), "`message_retrieval` returns nothing yet"),
    ("1c", shouts(cost=lambda self, r: None), "`cost` returns nothing yet"),
    ("1c", shouts(get_usage=staticmethod(lambda r: ...)), "`get_usage` returns nothing yet"),
    ("1c", shouts(message_retrieval=lambda self, r: "HELLO THERE"), "returns a text: it should be a list"),
    ("1c", shouts(message_retrieval=lambda self, r: r.choices), "should return the list ['HELLO THERE']"),
    ("1c", shouts(cost=lambda self, r: 5), "`cost` should return 0.5, it returns 5"),
    ("1c", shouts(cost=lambda self, r: 0.5 * len(r.choices)), "with n=3, `cost` returns 1.5"),
    ("1c", shouts(get_usage=staticmethod(lambda r: USAGE)), "the bill says 0"),
    ("1c", shouts(get_usage=staticmethod(lambda r: {"cost": r.cost})), "mistake three"),
    ("1c", shouts(get_usage=lambda response: USAGE), "This is mistake two: `@staticmethod`"),
    ("1c", shouts(get_usage=staticmethod(lambda self, response: USAGE)), "raised TypeError"),
    ("1c", client(lambda p: ...), "not started"),
    ("1d", counts(), "right"),
    ("1d", counts(lambda p: answer(*[words(p)] * p.get("n", 1), id=7)), "right"),
    ("1d", counts(lambda p: openai_answer(words(p))), "right"),
    (
        "1d",
        counts(message_retrieval=staticmethod(lambda r: [choice.message.content for choice in r.choices])),
        "right",
    ),
    ("1d", Words, "right"),
    ("1d", counts(lambda p: answer(str(len(last(p).split(" "))), id="1")), "right"),
    ("1d", counts(lambda p: answer(str(len(last(p).split)), id="1")), "without ( ) behind its name"),
    ("1d", counts(lambda p: answer(last(p).upper, id="1")), "without ( ) behind its name"),
    ("1d", counts(lambda messages: answer(messages[-1]["content"], id="1")), "`create` gets one dict"),
    ("1d", counts(message_retrieval=lambda self, r: r.choices[0].message.content), "returned a text"),
    ("1d", counts(adds_to(answer(id="1"))), SAME_1D),
    ("1d", counts(adds_to(openai_answer("Hello!"))), SAME_1D),
    ("1d", client(lambda p: answer(words(p), id="1")), "has no method message_retrieval, cost"),
    ("1d", NoConstructor, "does not take the config entry"),
    ("1d", counts(lambda p: answer(words(p))), "give the response an `id`"),
    ("1d", counts(lambda p: answer(int(words(p)), id="1")), "is an int: AutoGen wants text"),
    ("1d", counts(lambda p: answer(str(len(last(p))), id="1")), "counts letters"),
    ("1d", counts(lambda p: answer(all_words(p), id="1")), "the words of all messages"),
    ("1d", counts(lambda p: answer(last(p), id="1")), "should be '2', it is 'hello there'"),
    ("1d", counts(cost=WHOLE["cost"]), "it should cost 0, the bill says 0.5"),
    ("1d", counts(get_usage=staticmethod(lambda r: {})), "mistake three"),
    ("1d", counts(get_usage=lambda r: USAGE), "@staticmethod above"),
    ("1d", counts(lambda p: None), "create returned nothing. Fix: End it with: return response"),
    ("1d", counts(lambda p: answer()), "the response has no choices"),
    ("1d", counts(lambda p: answer(words(p), id="1", model=None)), "names no model: give it a `model=`"),
    ("1d", counts(lambda p: SimpleNamespace(id="1", choices=[words(p)], model="m")), TWO_SHELLS),
    (
        "1d",
        counts(
            lambda p: SimpleNamespace(id="1", choices=[SimpleNamespace(content=words(p))], model="m"),
        ),
        TWO_SHELLS,
    ),
    ("1d", Words({"model": "m"}), "the class itself"),
    ("1d", "MyClient", "the class itself"),
    ("1d", sub(), "should be '2', it is 'hello there'"),
    ("1d", sub(create=lambda self, p: answer(words(p), id="1")), "it should cost 0, the bill says 0.01"),
    ("1d", sub(create=lambda self, p: answer(words(p), id="1"), cost=FREE["cost"]), "right"),
    ("1d", Nothing, "not started"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


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

    orders = list(itertools.permutations("ABCDEF"))
    for order in orders:
        checks.check_1a(order)
    verdicts = zip(orders, capsys.readouterr().out.splitlines(), strict=True)
    accepted = {"".join(order) for order, verdict in verdicts if verdict == "✔ 1a: right!"}
    assert accepted == {"DFCEBA", "FDCEBA"}
    assert all(works(order) for order in accepted)
    assert not works("FCDEBA") and not works("DFCBEA") and not works("DFCEAB")


def test_the_checks_are_instant(check_says):
    check_says("1d", Words, "right")  # imports what is imported once
    start = time.perf_counter()
    check_says("1d", Words, "right")
    assert time.perf_counter() - start < 0.5
