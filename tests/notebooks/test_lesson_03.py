"""Lesson 03: its checks accept every right answer, and name each misconception."""

import pytest
from autogen import AssistantAgent, LLMConfig

from kit import DummyModelClient, register_model_clients


class Shouter(DummyModelClient):
    def _answers(self, messages, n):
        return [messages[-1]["content"].upper()] * n


def shouter(one='"Shouter"', two="LLMConfig(entry)", three="Shouter"):
    """The function of 3b with its three blanks filled in."""
    source = f"""
def make_shouter():
    entry = {{"model": "any name", "model_client_cls": {one}}}
    agent = AssistantAgent("shouter", llm_config={two}, system_message="Be loud.")
    agent.register_model_client({three})
    return agent
"""
    names = {**globals()}
    exec(source, names)
    return names["make_shouter"]


def make_agent(entry, **kwargs):
    """The lesson's function, which 3b says to compare with."""
    agent = AssistantAgent("assistant", llm_config=LLMConfig(entry), system_message="Be brief.")
    agent.register_model_client(DummyModelClient, **kwargs)
    return agent


class Parrot(DummyModelClient):
    def _answers(self, messages, n):
        return [messages[-1]["content"] + "!"] * n


def parrot(*models, name="Parrot", calls=2, make=LLMConfig, client=Parrot):
    """The agent of 3d, its class registered so many times."""
    entries = [{"model": model, "model_client_cls": name} for model in models]
    agent = AssistantAgent("my_agent", llm_config=make(*entries), system_message="Be brief.")
    for _ in range(calls):
        agent.register_model_client(client)
    return agent


Mute = type("Parrot", (DummyModelClient,), {})  # a class of that name, without its method


def dummy():
    entry = LLMConfig({"model": "dummy", "model_client_cls": "DummyModelClient"})
    agent = AssistantAgent("assistant", llm_config=entry)
    agent.register_model_client(DummyModelClient)
    return agent


BY_THE_KIT = parrot("rocco", "polly", calls=0)
register_model_clients(BY_THE_KIT, Parrot)
MIXED = AssistantAgent(
    "my_agent",
    llm_config=LLMConfig(
        {"model": "polly", "model_client_cls": "Parrot"},
        {"model": "rocco", "model_client_cls": "DummyModelClient"},
    ),
)


def unfinished(registers=False, returns=True):
    """A `make_shouter` with a line that got lost."""

    def make_shouter():
        entry = LLMConfig({"model": "any name", "model_client_cls": "Shouter"})
        agent = AssistantAgent("shouter", llm_config=entry, system_message="Be loud.")
        if registers:
            agent.register_model_client(Shouter)
        return agent if returns else None

    return make_shouter


ANSWERS = [
    ("3a", "BACD", "right"),
    ("3a", list("bacd"), "right"),
    ("3a", ("B", "A", "C", "D"), "right"),
    ("3a", "B, A, C, D", "right"),
    ("3a", "b a c d", "right"),
    ("3a", "B > A > C > D", "right"),
    ("3a", ["BA", "CD"], "right"),
    ("3a", "ABCD", "the list comes first"),
    ("3a", "CABD", "the list comes first"),
    ("3a", "BCAD", "A before C"),
    ("3a", "DCBA", "A before C"),
    ("3a", "BADC", "'are not activated'"),
    ("3a", "DBAC", "'are not activated'"),
    ("3a", "BAC", "each of the letters"),
    ("3a", "BACDD", "each of the letters"),
    ("3a", "", "each of the letters"),
    ("3a", [2, 1, 3, 4], "each of the letters"),
    ("3a", ("B", "A", None, "D"), "each of the letters"),
    ("3a", {"B", "A", "C", "D"}, "each of the letters"),
    ("3a", 4, "each of the letters"),
    ("3a", "list, agent, registration, chat", "each of the letters"),
    ("3b", shouter(), "right"),
    ("3b", shouter("Shouter.__name__"), "right"),
    ("3b", shouter(two="LLMConfig(*[entry])"), "right"),
    ("3b", shouter(two='{"config_list": [entry]}'), "right"),
    ("3b", shouter(two="entry"), "right"),  # AutoGen takes the bare dict, too
    ("3b", shouter(three="model_client_cls=Shouter"), "right"),
    ("3b", lambda: shouter()(), "right"),
    ("3b", shouter(three="..."), "1 of the three blanks"),
    ("3b", shouter("...", three="..."), "2 of the three blanks"),
    ("3b", shouter("Shouter"), "the entry names the class as text, in quotes"),
    ("3b", shouter("Shouter()"), "Blank 1 is its name in quotes"),
    ("3b", shouter("'shouter'"), "blank 1 and the name of the class in blank 3 differ"),
    ("3b", shouter("'any name'"), "blank 1 and the name of the class in blank 3 differ"),
    ("3b", shouter(three="DummyModelClient"), "blank 1 and the name of the class in blank 3 differ"),
    ("3b", shouter(two="make_agent(entry)"), "blank 2: `make_agent` makes a whole agent"),
    ("3b", shouter(three="'Shouter'"), "the class itself, Shouter, without quotes"),
    ("3b", shouter(three="Shouter({'model': 'x'})"), "without brackets"),
    ("3b", shouter(three="Shouter()"), "blank 3: the class itself, without brackets"),
    ("3b", shouter(three="entry"), "the class itself, Shouter"),
    ("3b", shouter(three=""), "blank 3 is empty"),
    ("3b", shouter(two="LLMConfig([entry])"), "LLMConfig takes the entry as it is"),
    ("3b", shouter(two="LLMConfig(**entry)"), "LLMConfig takes the entry as it is"),
    ("3b", shouter(two="LLMConfig"), "LLMConfig takes the entry as it is"),
    ("3b", shouter(two="False"), "blank 2: LLMConfig takes the entry"),
    ("3b", shouter(two="None"), "blank 2: LLMConfig takes the entry"),
    ("3b", shouter(two="config_list"), "NameError: name 'config_list' is not defined"),
    ("3b", shouter("'DummyModelClient'", three="DummyModelClient"), "another class than Shouter"),
    ("3b", unfinished(), "no class is registered"),
    ("3b", unfinished(registers=True, returns=False), "end it with `return agent`"),
    ("3b", lambda: None, "end it with `return agent`"),
    ("3b", lambda: {"model": "any name"}, "returns a dict"),
    ("3b", lambda: AssistantAgent("shouter", llm_config=False), "the agent has no model"),
    ("3b", lambda entry: entry, "missing 1 required positional argument: 'entry'"),
    ("3b", shouter()(), "hand over the function itself"),
    ("3b", Shouter, "hand over the function itself"),
    ("3b", "make_shouter", "hand over the function itself"),
    ("3b", shouter("...", "...", "..."), "not started"),
    ("3c", ["a", "b", "TERMINATE"], "right"),
    ("3c", ("a", "b", "TERMINATE"), "right"),
    ("3c", ["", "", "TERMINATE"], "right"),
    ("3c", ["a", "b", {"content": "TERMINATE"}], "right"),
    ("3c", ["a", "b", "TERMINATE", "never said"], "right"),
    ("3c", lambda messages: "TERMINATE" if len(messages) > 5 else "go on", "right"),
    ("3c", "TERMINATE", "write a list of three texts"),
    ("3c", '["a", "b", "TERMINATE"]', "write a list of three texts"),
    ("3c", ["a", "b", "terminate"], "exactly 'TERMINATE'"),
    ("3c", ["a", "b", "TERMINATE."], "exactly 'TERMINATE'"),
    ("3c", ["a", "b", "Bye. TERMINATE"], "exactly 'TERMINATE'"),
    ("3c", ["a", "b", "TERMINATE\n"], "exactly 'TERMINATE'"),
    ("3c", ["a", "b", "c"], "exactly 'TERMINATE'"),
    ("3c", ["a", "b", "c", "TERMINATE"], "it spoke 4 times"),
    ("3c", ["a", "TERMINATE", "b"], "it spoke 2 times"),
    ("3c", ["TERMINATE"] * 3, "it spoke once."),
    ("3c", lambda messages: "TERMINATE", "it spoke once."),
    ("3c", ["a", "TERMINATE"], "the list holds 2 texts"),
    ("3c", ["a, b, TERMINATE"], "the list holds 1 text"),
    ("3c", [], "the list holds no reply"),
    ("3c", [1, 2, "TERMINATE"], "each reply is a text in quotes, and 1 is none"),
    ("3c", ["a", "b", None], "each reply is a text in quotes, and None is none"),
    ("3c", {"a", "b", "TERMINATE"}, "it is of type set"),
    ("3c", {"replies": ["a", "b", "TERMINATE"]}, "it is of type dict"),
    ("3c", 7, "it is of type int"),
    ("3c", ["a", "b", ...], "there are still dots in it"),
    ("3d", parrot("polly", "rocco"), "right"),
    ("3d", parrot("rocco", "polly"), "right"),
    ("3d", BY_THE_KIT, "right"),
    ("3d", parrot("polly", "rocco", make=lambda *entries: {"config_list": [*entries]}), "right"),
    ("3d", parrot("polly", "rocco", client=type("Parrot", (Parrot,), {})), "right"),
    ("3d", [{"model": "polly"}], "should be an agent, and it is a list"),
    ("3d", LLMConfig({"model": "polly", "model_client_cls": "Parrot"}), "it is a LLMConfig"),
    ("3d", lambda: BY_THE_KIT, "should be an agent, and it is a function"),
    ("3d", "my_agent", "should be an agent, and it is a str"),
    ("3d", Parrot, "is the class Parrot"),
    ("3d", AssistantAgent, "is the class AssistantAgent"),
    ("3d", parrot("polly", calls=1), "two entries, for polly and rocco, it has ['polly']"),
    ("3d", parrot("polly", "polly"), "it has ['polly', 'polly']"),
    ("3d", parrot("Polly", "Rocco"), "it has ['Polly', 'Rocco']"),
    ("3d", parrot("polly", "rocco", "me", calls=3), "it has ['polly', 'rocco', 'me']"),
    ("3d", parrot("polly", "rocco", calls=0), "nothing is registered yet"),
    ("3d", parrot("polly", "rocco", calls=1), "one entry has its client, the other has none"),
    ("3d", parrot("polly", "rocco", name="parrot", calls=0), "the list names ['parrot', 'parrot']"),
    ("3d", parrot("polly", "rocco", client=Mute), "it said 'This is a dummy reply.'"),
    ("3d", MIXED, "the list names ['Parrot', 'DummyModelClient']"),
    ("3d", dummy(), "the list names ['DummyModelClient']"),
    ("3d", AssistantAgent("my_agent", llm_config=False), "no model"),
    ("3d", object(), "should be an agent"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)
