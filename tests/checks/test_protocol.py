"""protocol: what can be seen of a class without running it."""

import pytest
from autogen import ModelClient
from set_ups import ALL_FOUR, Assembled, Mute, client, coroutine

from kit import DummyModelClient, RecordingModelClient
from kit.checks.protocol import constructor_of, methods_of, model_clients, needed_by


def bare(*methods, **more):
    """Return a class of its own with some methods."""
    return type("Mine", (), {**dict.fromkeys(methods, lambda self, value: 1), **more})


def declared(**methods):
    return type("Mine", (ModelClient,), methods)


def init(self, config): ...


METHODS = {
    "no cost": (bare("create", "message_retrieval", "get_usage"), "missing-method"),
    "retrieve_message": (bare("create", "retrieve_message", "cost", "get_usage"), "missing-method"),
    "what AutoGen's protocol declares": (
        declared(__init__=init, create=ALL_FOUR["create"]),
        "missing-method",
    ),
    "a number in place of a method": (client(cost=0), "missing-method"),
    "async create": (client(create=coroutine), "coroutine"),
    "get_usage without @staticmethod": (client(get_usage=lambda response: {}), "get-usage-not-static"),
    "create without params": (client(create=lambda self: None), "signature"),
    "a method without self": (client(cost=lambda: 0), "signature"),
    "cost with too many": (client(cost=lambda self, response, more: 0), "signature"),
    "a static method with self": (client(get_usage=staticmethod(lambda self, response: {})), "signature"),
}


@pytest.mark.parametrize(("cls", "code"), METHODS.values(), ids=METHODS)
def test_methods_that_autogen_could_not_call(cls, code):
    [finding] = methods_of(cls)
    assert (finding.code, finding.step) == (code, 1)
    assert finding.fix


def test_all_that_is_missing_is_one_finding_with_a_name_that_may_be_meant():
    [finding] = methods_of(bare("create", "costs"))
    assert "message_retrieval, cost, get_usage" in finding.message
    [finding] = methods_of(client(cost=None, costs=print))
    assert "'costs'" in finding.message


@pytest.mark.parametrize(
    "cls",
    [
        bare("create", "message_retrieval", "cost", "get_usage"),
        client(__init__=lambda self: None),
        client(__init__=lambda self, *, config: None),
        declared(**ALL_FOUR),
    ],
)
def test_a_constructor_that_does_not_take_the_entry(cls):
    assert [finding.code for finding in constructor_of(cls)] == ["constructor"]


RIGHT = {
    "the dummy": DummyModelClient,
    "a subclass": client(),
    "defaults": client(__init__=lambda self, config, model=None, **kwargs: None),
    "anything": client(__init__=lambda self, *args, **kwargs: None),
    "get_usage as a method": client(get_usage=lambda self, response: {}),
    "get_usage as a static method": client(get_usage=staticmethod(lambda response: {})),
    "get_usage as a class method": client(get_usage=classmethod(lambda cls, response: {})),
    "what hands on what it is asked": bare(__init__=init, __getattr__=lambda self, name: print),
    "methods set by the constructor": Assembled,
    "made by __new__": bare(**ALL_FOUR, __new__=lambda cls, config: object.__new__(cls)),
    "a property that gives a method": client(cost=property(lambda self: abs)),
    "a metaclass that refuses questions": Mute("Mine", (DummyModelClient,), {}),
}


@pytest.mark.parametrize("cls", RIGHT.values(), ids=RIGHT)
def test_what_is_right_gives_no_finding(cls):
    assert methods_of(cls) + constructor_of(cls) == []
    assert needed_by(cls) == []


def test_what_a_constructor_needs_besides_the_entry():
    assert needed_by(RecordingModelClient) == ["path"]
    assert needed_by(client(__init__=lambda self, config, model, *rest, loader, depth=3: None)) == [
        "model",
        "loader",
    ]


def test_the_model_clients_of_a_namespace_go_by_their_own_names():
    space = {"Mine": client(), "Other": DummyModelClient, "_Hidden": client("Hidden"), "made": client()({})}
    assert [*model_clients({**space, "Half": bare("create")})] == ["Mine", "DummyModelClient"]
