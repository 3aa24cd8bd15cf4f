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
    ("3b", shouter(), "right"),
    ("3b", shouter("Shouter.__name__"), "right"),
    ("3b", shouter(two="LLMConfig(*[entry])"), "right"),
    ("3b", shouter(two='{"config_list": [entry]}'), "right"),
    ("3b", shouter(three="..."), "1 of the three blanks"),
    ("3b", shouter("Shouter"), "the entry names the class as text, in quotes"),
    ("3b", shouter("'shouter'"), "blank 1 and the name of the class in blank 3 differ"),
    ("3b", shouter(three="'Shouter'"), "the class itself, Shouter, without quotes"),
    ("3b", shouter(three="Shouter({'model': 'x'})"), "without brackets"),
    ("3b", shouter(three="Shouter()"), "blank 3: the class itself, without brackets"),
    ("3b", shouter(two="LLMConfig([entry])"), "LLMConfig takes the entry as it is"),
    ("3b", shouter(two="False"), "calling make_shouter() raised"),
    ("3b", shouter("'DummyModelClient'", three="DummyModelClient"), "another class than Shouter"),
    ("3b", lambda: None, "end it with `return agent`"),
    ("3b", lambda: AssistantAgent("shouter", llm_config=False), "the agent has no model"),
    ("3b", shouter()(), "hand over the function itself"),
    ("3b", shouter("...", "...", "..."), "not started"),
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
    ("3d", [{"model": "polly"}], "is to be the agent, and it is a list"),
    ("3d", DummyModelClient, "is to be the agent, and it is a type"),
    ("3d", parrot("polly", calls=1), "two entries, for polly and rocco, it has ['polly']"),
    ("3d", parrot("polly", "rocco", calls=0), "nothing is registered yet"),
    ("3d", parrot("polly", "rocco", calls=1), "one entry has its client, the other has none"),
    ("3d", parrot("polly", "rocco", name="parrot", calls=0), "the list names ['parrot', 'parrot']"),
    ("3d", dummy(), "the list names ['DummyModelClient']"),
    ("3d", AssistantAgent("my_agent", llm_config=False), "no model"),
    ("3d", object(), "is to be the agent"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)
