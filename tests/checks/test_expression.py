"""The expression that failed: what it was made of is found, and what can't be told is not guessed."""

from types import SimpleNamespace

import httpx
import pytest
from set_ups import raised

from kit import DummyModelClient
from kit.checks.expression import callee_of, class_asked, container_of, failed, lacking, text_path

PARAMS = {"messages": [], "model_client_cls": "Mine"}
ANSWER = SimpleNamespace(choices=[], parts=({"text": "é"},))
KEY = "mesages"


def slips(self):
    return self.config["key"] + self.config["other"]


def in_a_call():
    return max(
        "é",
        PARAMS[
            "mesages"
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("look", "path"),
    [
        (lambda: PARAMS["messages"] or PARAMS["mesages"], "PARAMS"),
        (lambda: PARAMS[KEY], "PARAMS"),
        (lambda: PARAMS.pop("mesages"), "PARAMS"),
        (lambda: ANSWER.parts[0]["content"], "ANSWER.parts[0]"),
        (lambda: ("é", ANSWER.choices[-1].message), "ANSWER.choices"),
        (in_a_call, "PARAMS"),
        (lambda: [slips(one) for one in [SimpleNamespace(config={"key": 1})]], "self.config"),
        (lambda: [one["key"] for one in [{}]], "one"),
    ],
)
def test_what_an_item_was_to_be_taken_out_of(look, path):
    error = raised(look)
    node, names = failed(error)
    written, value = container_of(node, names)
    assert written == path
    with pytest.raises(type(error)):
        value[error.args[0] if isinstance(error, KeyError) else -1]


@pytest.mark.parametrize(
    "look",
    [
        lambda: made()["key"],  # nothing is called to find out
        lambda: exec("{}['key']"),  # there is no source
        lambda: int("a"),
    ],
)
def test_what_can_not_be_told_is_not_guessed(look):
    assert container_of(*failed(raised(look)))[1] is None
    assert failed(ValueError("never raised")) == (None, {})


def made():
    return {}


class Base:
    def __init__(self, config): ...


class Mine(Base):
    def __init__(self, config, **options):
        super().__init__(config, **options)

    @classmethod
    def start(cls, **options):
        return cls(None, **options)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: httpx.Client(time_out=3), "Client.__init__"),
        (lambda: Mine({}, time_out=3), "Base.__init__"),
        (lambda: Mine.start(time_out=3), "Base.__init__"),
        (lambda: httpx.Client().get(url="", time_out=3), "Client.get"),
        (lambda: made(time_out=3), "made"),
    ],
)
def test_the_function_that_could_not_be_called(call, name):
    error = raised(call)
    assert str(error).startswith(f"{name}()")
    node, names = failed(error)
    function = callee_of(node, names, name)
    assert function.__qualname__ == name


def test_the_class_that_a_method_of_objects_is_called_on():
    here = SimpleNamespace(cls=DummyModelClient, mine=DummyModelClient({}))
    assert class_asked(*failed(raised(lambda: DummyModelClient.create({})))) == "DummyModelClient"
    assert class_asked(*failed(raised(lambda: here.cls.create({})))) == "here.cls"
    for call in (lambda: here.mine.create(), lambda: DummyModelClient({}).create()):
        assert class_asked(*failed(raised(call))) == ""
    assert class_asked(*failed(raised(lambda: DummyModelClient.get_usage()))) == ""  # which is static


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        (PARAMS, {"near": "messages", "lacking": "params", "deeper": ""}),
        ({"model": "m", "model_client_cls": "Mine"}, {"near": "", "lacking": "entry", "deeper": ""}),
        ({"messages": 1}, {"near": "messages", "lacking": "", "deeper": ""}),
        ({"a": {"b": {"mesages": 1}}}, {"near": "", "lacking": "", "deeper": "it['a']['b']['mesages']"}),
    ],
)
def test_what_a_dict_has_in_place_of_a_key(value, facts):
    assert lacking("it", value, "mesages") == facts


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"choices": [{"message": {"content": "Hi"}}]}, "it['choices'][0]['message']['content']"),
        ({"response": "Hi"}, "it['response']"),
        ([{"generated_text": "Hi"}], "it[0]['generated_text']"),
        ({"role": "user", "content": "Hi"}, ""),  # that is what was asked
        ({"error": "busy"}, ""),
    ],
)
def test_where_in_an_answer_the_text_stands(answer, path):
    assert text_path(answer, "it") == path
