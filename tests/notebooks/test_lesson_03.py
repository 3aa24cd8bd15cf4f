"""Lesson 03: its predictions and checks accept every right answer, and name each misconception."""

import sys
from pathlib import Path

import pytest
from autogen import AssistantAgent, LLMConfig

from kit import DummyModelClient, register_model_clients

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


class Shouter(DummyModelClient):
    def _answers(self, messages, n):
        return [messages[-1]["content"].upper()] * n


class Parrot(DummyModelClient):
    def _answers(self, messages, n):
        return [messages[-1]["content"] + "!"] * n


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


@pytest.mark.parametrize("order", ["BACD", list("bacd"), ("B", "A", "C", "D")])
def test_3a_takes_the_order_in_any_spelling(capsys, order):
    assert verdict(capsys, "3a", order) == "✔ 3a: right!\n"


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("ABCD", "the list comes first"),
        ("BCAD", "A before C"),
        ("BADC", "'are not activated'"),
        ("BAC", "each of the letters"),
        (["B", "A", "C", 4], "TypeError"),
        (4, "each of the letters"),
    ],
)
def test_3a_says_which_line_comes_too_early(capsys, order, why):
    assert why in verdict(capsys, "3a", order)


@pytest.mark.parametrize(
    "right",
    [
        with_blanks(),
        with_blanks(names=Shouter.__name__),
        with_blanks(config=lambda entry: LLMConfig(*[entry])),
        with_blanks(config=lambda entry: {"config_list": [entry]}),
    ],
)
def test_3b_takes_any_filling_that_works(capsys, right):
    assert verdict(capsys, "3b", right) == "✔ 3b: right!\n"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (one_left, "1 of the three blanks"),
        (with_blanks(names=Shouter), "the entry names the class as text, in quotes"),
        (with_blanks(names="shouter"), "blank 1 and the name of the class in blank 3 differ"),
        (with_blanks(registered="Shouter"), "the class itself, Shouter, without quotes"),
        (with_blanks(registered=Shouter({"model": "x"})), "without brackets"),
        (with_brackets, "blank 3: the class itself, without brackets"),
        (with_blanks(config=lambda entry: LLMConfig([entry])), "LLMConfig takes the entry as it is"),
        (with_blanks(config=lambda entry: False), "calling make_shouter() raised"),
        (with_blanks("DummyModelClient", registered=DummyModelClient), "another class than Shouter"),
        (lambda: None, "end it with `return agent`"),
        (lambda: AssistantAgent("shouter", llm_config=False), "the agent has no model"),
        (with_blanks()(), "hand over the function itself"),
    ],
)
def test_3b_says_which_blank_is_wrong(capsys, wrong, why):
    out = verdict(capsys, "3b", wrong)
    assert out.startswith("✘ 3b: ") and why in out


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("TERMINATE", "write a list of three texts"),
        (["a", "b", "terminate"], "exactly 'TERMINATE'"),
        (["a", "b", "c", "TERMINATE"], "it spoke 4 times"),
        (["a", "TERMINATE", "b"], "it spoke 2 times"),
        (["TERMINATE"], "it spoke once."),
        (7, "TypeError"),
        (["a", "b", "TERMINATE"], "right!"),
        (lambda messages: "TERMINATE" if len(messages) > 5 else "go on", "right!"),
    ],
)
def test_3c_plays_the_script(capsys, script, why):
    assert why in verdict(capsys, "3c", script)


def parrot(*models, name="Parrot", calls=2):
    entries = [{"model": model, "model_client_cls": name} for model in models]
    agent = AssistantAgent("my_agent", llm_config=LLMConfig(*entries), system_message="Be brief.")
    for _ in range(calls):
        agent.register_model_client(Parrot)
    return agent


def test_3d_takes_both_ways_to_register(capsys):
    assert verdict(capsys, "3d", parrot("polly", "rocco")) == "✔ 3d: right!\n"
    helped = parrot("rocco", "polly", calls=0)
    register_model_clients(helped, Parrot)
    assert verdict(capsys, "3d", helped) == "✔ 3d: right!\n"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: parrot("polly", calls=1), "two entries, for polly and rocco, it has ['polly']"),
        (lambda: parrot("polly", "rocco", calls=0), "nothing is registered yet"),
        (lambda: parrot("polly", "rocco", calls=1), "one entry has its client, the other has none"),
        (lambda: parrot("polly", "rocco", name="parrot", calls=0), "the list names ['parrot', 'parrot']"),
        (lambda: AssistantAgent("my_agent", llm_config=False), "no model"),
        (lambda: [{"model": "polly"}], "no model"),
    ],
)
def test_3d_says_what_is_missing(capsys, make, why):
    out = verdict(capsys, "3d", make())
    assert out.startswith("✘ 3d: ") and why in out


@pytest.mark.parametrize(("number", "stub"), [("3a", ...), ("3b", none_filled), ("3c", ...), ("3d", ...)])
def test_a_stub_is_no_mistake(capsys, number, stub):
    assert verdict(capsys, number, stub).startswith(f"○ {number}: not solved yet")
