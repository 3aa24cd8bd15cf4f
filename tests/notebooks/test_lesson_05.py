"""Lesson 05: its predictions and checks follow a learner from the first mistake to the last."""

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


class AsGiven(DummyModelClient):
    def message_retrieval(self, response):
        [choice.message.content for choice in response.choices]

    def cost(self, response):
        return "free"


class Retrieves(AsGiven):
    message_retrieval = DummyModelClient.message_retrieval


class Costs(AsGiven):
    def cost(self, response):
        return 0


class CostLeftOut(DummyModelClient):
    message_retrieval = AsGiven.message_retrieval


def test_5a_goes_from_mistake_to_mistake_in_either_order(capsys):
    assert verdict(capsys, "5a", AsGiven).startswith("○ 5a: not solved yet")
    assert "cost returned 'free'" in verdict(capsys, "5a", Retrieves)
    for half in (Costs, CostLeftOut):
        assert "message_retrieval returned a NoneType" in verdict(capsys, "5a", half)
    assert "hand over the class itself" in verdict(capsys, "5a", DummyModelClient({"model": "x"}))
    assert verdict(capsys, "5a", DummyModelClient) == "✔ 5a: right!\n"


def ward(second="DummyModelClient"):
    entries = [
        {"model": f"bed {name}", "model_client_cls": cls}
        for name, cls in (("one", "DummyModelClient"), ("two", second))
    ]
    return AssistantAgent("ward", llm_config=LLMConfig(*entries), system_message="Be brief.")


def test_5b_takes_the_helper_as_well(capsys):
    assert verdict(capsys, "5b", ward("dummymodelclient")).startswith("○ 5b: not solved yet")
    assert "ward" in verdict(capsys, "5b", ward())
    fixed = ward()
    register_model_clients(fixed, DummyModelClient)
    assert verdict(capsys, "5b", fixed) == "✔ 5b: right!\n"
    assert "it has 0" in verdict(capsys, "5b", object())


RIGHT = {"A": 3, "B": 1, "C": 2, "D": 1, "E": 2}


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (RIGHT, "✔ 5c: right!"),
        ({letter: str(step) for letter, step in RIGHT.items()}, "✔ 5c: right!"),
        ({**RIGHT, "B": ..., "E": ...}, "right so far. Still to go: B, E."),
        ({**RIGHT, "A": 2, "E": ...}, "A is not step 2. Ask: the class is there."),
        ({"A": 3}, "Still to go: B, C, D, E."),
        ([3, 1, 2, 1, 2], "write a dict"),
        (dict.fromkeys(RIGHT, ...), "○ 5c: not solved yet"),
    ],
)
def test_5c_takes_one_letter_after_the_other(capsys, steps, told):
    assert told in verdict(capsys, "5c", steps)


def bird(returns=True, names=("Owl", "Owl"), calls=2):
    """The program of 5d with some of its mistakes fixed."""

    class Owl(DummyModelClient):
        def create(self, params):
            response = super().create(params)
            return response if returns else None

    def make_bird():
        entries = [
            {"model": model, "model_client_cls": name}
            for model, name in zip(("owl", "old owl"), names, strict=True)
        ]
        agent = AssistantAgent("bird", llm_config=LLMConfig(*entries), system_message="Be wise.")
        for _ in range(calls):
            agent.register_model_client(Owl)
        return agent

    return make_bird


@pytest.mark.parametrize(
    ("make_bird", "told"),
    [
        (bird(False, ("Owl", "owl"), 2), "step 1, the class: create returned nothing"),
        (bird(True, ("Owl", "owl"), 1), "step 2, the list: entry 1 names 'owl'"),
        (bird(False, calls=1), "step 1, the class: create returned nothing"),
        (bird(False), "Test: check_model_client(Owl)"),
        (bird(calls=1), "step 3: bird, entry 1 (old owl): Owl was registered once"),
        (bird(calls=0), "step 3: "),
        (bird(True, ("Owl", "owl"), 2), "step 2, the list: "),
        (bird(True, ("owl", "owl"), 1), "make_bird() raised ValueError"),
        (lambda: None, "end it with `return bird`"),
        (bird()(), "hand over the function itself"),
        (bird(), "✔ 5d: right!"),
    ],
)
def test_5d_names_the_first_step_that_is_wrong(capsys, make_bird, told):
    assert told in verdict(capsys, "5d", make_bird)


def test_5d_tells_one_fixed_mistake_of_three_from_none(capsys):
    class Owl(DummyModelClient):
        def create(self, params):
            super().create(params)

    config_list = [
        {"model": "owl", "model_client_cls": "Owl"},
        {"model": "old owl", "model_client_cls": "owl"},
    ]

    def as_given():
        bird = AssistantAgent("bird", llm_config=LLMConfig(*config_list), system_message="Be wise.")
        bird.register_model_client(Owl)
        return bird

    def second_call():
        bird = AssistantAgent("bird", llm_config=LLMConfig(*config_list), system_message="Be wise.")
        bird.register_model_client(Owl)
        bird.register_model_client(Owl)
        return bird

    def in_a_loop():
        bird = AssistantAgent("bird", llm_config=LLMConfig(*config_list), system_message="Be wise.")
        for _ in config_list:
            bird.register_model_client(Owl)
        return bird

    def by_the_helper():
        bird = AssistantAgent("bird", llm_config=LLMConfig(*config_list), system_message="Be wise.")
        register_model_clients(bird, Owl)
        return bird

    assert verdict(capsys, "5d", as_given).startswith("○ 5d: not solved yet")
    for begun in (second_call, in_a_loop, by_the_helper):
        assert "step 1, the class: create returned nothing" in verdict(capsys, "5d", begun)


@pytest.mark.parametrize("letter", "ABCDE")
def test_5c_does_not_give_the_step_away(capsys, letter):
    for wrong in {1, 2, 3} - {RIGHT[letter]}:
        told = verdict(capsys, "5c", {**RIGHT, letter: wrong})
        assert told.startswith(f"✘ 5c: {letter} is not step {wrong}. Ask: ")
        assert str(RIGHT[letter]) not in told.removeprefix("✘ 5c")


def test_5d_keeps_both_entries_and_any_way_to_register(capsys):
    class Owl(DummyModelClient):
        pass

    def make_bird(*models):
        entries = [{"model": model, "model_client_cls": "Owl"} for model in models or ("owl", "old owl")]
        agent = AssistantAgent("bird", llm_config=LLMConfig(*entries), system_message="Be wise.")
        register_model_clients(agent, Owl)
        return agent

    assert verdict(capsys, "5d", make_bird) == "✔ 5d: right!\n"
    assert "keep its two entries" in verdict(capsys, "5d", lambda: make_bird("owl"))
