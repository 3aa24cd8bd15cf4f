"""Lesson 03: its checks accept every right answer, and name each misconception."""

import pytest
from autogen import AssistantAgent, LLMConfig

from kit import DummyModelClient, register_model_clients


class Shouter(DummyModelClient):
    def _answers(self, messages, n):
        return [messages[-1]["content"].upper()] * n


def with_blanks(names="Shouter", config=LLMConfig, registered=Shouter):
    """The function of 3b with its blanks filled in."""

    def make_shouter():
        entry = {"model": "any name", "model_client_cls": names}
        agent = AssistantAgent("shouter", llm_config=config(entry), system_message="Be loud.")
        agent.register_model_client(registered)
        return agent

    return make_shouter


def with_brackets():
    agent = AssistantAgent("shouter", llm_config=LLMConfig({"model": "x", "model_client_cls": "Shouter"}))
    agent.register_model_client(Shouter())
    return agent


def none_filled():
    entry = {"model": "any name", "model_client_cls": ...}  # noqa: F841
    agent = AssistantAgent("shouter", llm_config=..., system_message="Be loud.")
    agent.register_model_client(...)
    return agent


def one_left():
    entry = {"model": "any name", "model_client_cls": "Shouter"}
    agent = AssistantAgent("shouter", llm_config=LLMConfig(entry), system_message="Be loud.")
    agent.register_model_client(...)
    return agent


class Parrot(DummyModelClient):
    def _answers(self, messages, n):
        return [messages[-1]["content"] + "!"] * n


def parrot(*models, name="Parrot", calls=2):
    """The agent of 3d, its class registered so many times."""
    entries = [{"model": model, "model_client_cls": name} for model in models]
    agent = AssistantAgent("my_agent", llm_config=LLMConfig(*entries), system_message="Be brief.")
    for _ in range(calls):
        agent.register_model_client(Parrot)
    return agent


def dummy():
    entry = LLMConfig({"model": "dummy", "model_client_cls": "DummyModelClient"})
    agent = AssistantAgent("assistant", llm_config=entry)
    agent.register_model_client(DummyModelClient)
    return agent


BY_THE_KIT = parrot("rocco", "polly", calls=0)
register_model_clients(BY_THE_KIT, Parrot)

ANSWERS = [
    ("3a", "BACD", "right"),
    ("3a", list("bacd"), "right"),
    ("3a", ("B", "A", "C", "D"), "right"),
    ("3a", "ABCD", "the list comes first"),
    ("3a", "BCAD", "A before C"),
    ("3a", "BADC", "'are not activated'"),
    ("3a", "BAC", "each of the letters"),
    ("3a", ["B", "A", "C", 4], "TypeError"),
    ("3a", 4, "each of the letters"),
    ("3b", with_blanks(), "right"),
    ("3b", with_blanks(names=Shouter.__name__), "right"),
    ("3b", with_blanks(config=lambda entry: LLMConfig(*[entry])), "right"),
    ("3b", with_blanks(config=lambda entry: {"config_list": [entry]}), "right"),
    ("3b", one_left, "1 of the three blanks"),
    ("3b", with_blanks(names=Shouter), "the entry names the class as text, in quotes"),
    ("3b", with_blanks(names="shouter"), "blank 1 and the name of the class in blank 3 differ"),
    ("3b", with_blanks(registered="Shouter"), "the class itself, Shouter, without quotes"),
    ("3b", with_blanks(registered=Shouter({"model": "x"})), "without brackets"),
    ("3b", with_brackets, "blank 3: the class itself, without brackets"),
    ("3b", with_blanks(config=lambda entry: LLMConfig([entry])), "LLMConfig takes the entry as it is"),
    ("3b", with_blanks(config=lambda entry: False), "calling make_shouter() raised"),
    ("3b", with_blanks("DummyModelClient", registered=DummyModelClient), "another class than Shouter"),
    ("3b", lambda: None, "end it with `return agent`"),
    ("3b", lambda: AssistantAgent("shouter", llm_config=False), "the agent has no model"),
    ("3b", with_blanks()(), "hand over the function itself"),
    ("3b", none_filled, "not started"),
    ("3c", ["a", "b", "TERMINATE"], "right"),
    ("3c", ("a", "b", "TERMINATE"), "right"),
    ("3c", lambda messages: "TERMINATE" if len(messages) > 5 else "go on", "right"),
    ("3c", "TERMINATE", "write a list of three texts"),
    ("3c", ["a", "b", "terminate"], "exactly 'TERMINATE'"),
    ("3c", ["a", "b", "TERMINATE."], "exactly 'TERMINATE'"),
    ("3c", ["a", "b", "c", "TERMINATE"], "it spoke 4 times"),
    ("3c", ["a", "TERMINATE", "b"], "it spoke 2 times"),
    ("3c", ["a", "TERMINATE"], "it spoke 2 times"),
    ("3c", ["TERMINATE"], "it spoke once."),
    ("3c", 7, "TypeError"),
    ("3d", parrot("polly", "rocco"), "right"),
    ("3d", BY_THE_KIT, "right"),
    ("3d", parrot("polly", calls=1), "two entries, for polly and rocco, it has ['polly']"),
    ("3d", parrot("polly", "rocco", calls=0), "nothing is registered yet"),
    ("3d", parrot("polly", "rocco", calls=1), "one entry has its client, the other has none"),
    ("3d", parrot("polly", "rocco", name="parrot", calls=0), "the list names ['parrot', 'parrot']"),
    ("3d", dummy(), "the list names ['DummyModelClient']"),
    ("3d", AssistantAgent("my_agent", llm_config=False), "no model"),
    ("3d", [{"model": "polly"}], "no model"),
    ("3d", object(), "no model"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)
