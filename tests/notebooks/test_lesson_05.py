"""Lesson 05: its checks follow a learner from the first mistake to the last."""

import checks
import pytest
from autogen import AssistantAgent, LLMConfig

from kit import DummyModelClient, register_model_clients


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


def ward(*names, calls=0, by_the_kit=False):
    """The agent of 5b: an entry for each name of a class, the class registered so many times."""
    entries = [{"model": f"bed {index}", "model_client_cls": name} for index, name in enumerate(names)]
    agent = AssistantAgent("ward", llm_config=LLMConfig(*entries), system_message="Be brief.")
    for _ in range(calls):
        agent.register_model_client(DummyModelClient)
    if by_the_kit:
        register_model_clients(agent, DummyModelClient)
    return agent


DUMMY = "DummyModelClient"
STEPS = {"A": 3, "B": 1, "C": 2, "D": 1, "E": 2}


def bird(returns=True, names=("Owl", "Owl"), calls=2, models=("owl", "old owl"), by_the_kit=False):
    """The program of 5d with some of its mistakes fixed."""

    class Owl(DummyModelClient):
        def create(self, params):
            response = super().create(params)
            return response if returns else None

    def make_bird():
        entries = [
            {"model": model, "model_client_cls": name} for model, name in zip(models, names, strict=True)
        ]
        agent = AssistantAgent("bird", llm_config=LLMConfig(*entries), system_message="Be wise.")
        if by_the_kit:
            register_model_clients(agent, Owl)
            return agent
        for _ in range(calls):
            agent.register_model_client(Owl)
        return agent

    return make_bird


class Owl(DummyModelClient):
    def create(self, params):
        super().create(params)


BIRDS = [{"model": "owl", "model_client_cls": "Owl"}, {"model": "old owl", "model_client_cls": "owl"}]


def as_given():
    bird = AssistantAgent("bird", llm_config=LLMConfig(*BIRDS), system_message="Be wise.")
    bird.register_model_client(Owl)
    return bird


def second_call():
    bird = AssistantAgent("bird", llm_config=LLMConfig(*BIRDS), system_message="Be wise.")
    bird.register_model_client(Owl)
    bird.register_model_client(Owl)
    return bird


def in_a_loop():
    bird = AssistantAgent("bird", llm_config=LLMConfig(*BIRDS), system_message="Be wise.")
    for _ in BIRDS:
        bird.register_model_client(Owl)
    return bird


def by_the_kit():
    bird = AssistantAgent("bird", llm_config=LLMConfig(*BIRDS), system_message="Be wise.")
    register_model_clients(bird, Owl)
    return bird


STEP_1 = "step 1, the class: create returned nothing"

ANSWERS = [
    ("5a", AsGiven, "not started"),
    ("5a", Retrieves, "cost returned 'free' instead of a number. Fix: return 0"),
    ("5a", Costs, "message_retrieval returned a NoneType instead of a list"),
    ("5a", CostLeftOut, "message_retrieval returned a NoneType instead of a list"),
    ("5a", DummyModelClient({"model": "x"}), "hand over the class itself"),
    ("5a", DummyModelClient, "right"),
    ("5b", ward(DUMMY, DUMMY.lower()), "not started"),
    ("5b", ward(DUMMY, DUMMY.lower(), calls=1), "entry 1 names 'dummymodelclient'"),
    ("5b", ward(DUMMY, DUMMY), "ward, entry 0 (bed 0): DummyModelClient is not registered"),
    ("5b", ward(DUMMY, DUMMY, calls=1), "one call fills one"),
    ("5b", ward(DUMMY, calls=1), "should keep its two entries, it has 1"),
    ("5b", object(), "it has 0"),
    ("5b", ward(DUMMY, DUMMY, calls=2), "right"),
    ("5b", ward(DUMMY, DUMMY, by_the_kit=True), "right"),
    ("5c", STEPS, "right"),
    ("5c", {letter: str(step) for letter, step in STEPS.items()}, "right"),
    ("5c", {**STEPS, "B": ..., "E": ...}, "right so far. Still to go: B, E."),
    ("5c", {**STEPS, "A": 2, "E": ...}, "A is not step 2. Ask: the class is there."),
    ("5c", {**STEPS, "D": 2}, "D is not step 2. Ask: where does the number come from"),
    ("5c", {"A": 3}, "Still to go: B, C, D, E."),
    ("5c", [3, 1, 2, 1, 2], "write a dict"),
    ("5c", dict.fromkeys(STEPS, ...), "not started"),
    ("5d", as_given, "not started"),
    ("5d", second_call, STEP_1),
    ("5d", in_a_loop, STEP_1),
    ("5d", by_the_kit, STEP_1),
    ("5d", bird(False, ("Owl", "owl"), 2), STEP_1),
    ("5d", bird(False, calls=1), STEP_1),
    ("5d", bird(False), "Test: check_model_client(Owl)"),
    ("5d", bird(True, ("Owl", "owl"), 1), "step 2, the list: entry 1 names 'owl'"),
    ("5d", bird(True, ("Owl", "owl"), 2), "step 2, the list: "),
    ("5d", bird(calls=1), "step 3: bird, entry 1 (old owl): Owl was registered once"),
    ("5d", bird(calls=0), "step 3: "),
    ("5d", bird(True, ("owl", "owl"), 1), "make_bird() raised ValueError"),
    ("5d", bird(names=("Owl",), models=("owl",), by_the_kit=True), "keep its two entries"),
    ("5d", lambda: None, "end it with `return bird`"),
    ("5d", bird()(), "hand over the function itself"),
    ("5d", bird(), "right"),
    ("5d", bird(by_the_kit=True), "right"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


@pytest.mark.parametrize("letter", STEPS)
def test_5c_does_not_give_the_step_away(capsys, letter):
    for wrong in {1, 2, 3} - {STEPS[letter]}:
        checks.check_5c({**STEPS, letter: wrong})
        printed = capsys.readouterr().out
        assert printed.startswith(f"✘ 5c: {letter} is not step {wrong}. Ask: ")
        assert str(STEPS[letter]) not in printed.removeprefix("✘ 5c")
