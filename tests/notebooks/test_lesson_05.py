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
    def message_retrieval(self, response):
        return super(AsGiven, self).message_retrieval(response)


class Costs(AsGiven):
    def cost(self, response):
        return 0


def fixed(message_retrieval):
    """The class of 5a with a `cost` that is right."""
    return type("Patient", (Costs,), {"message_retrieval": message_retrieval, "cost": Costs.cost})


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


ONCE = "bird.register_model_client(Owl)"
TWICE = f"{ONCE}; {ONCE}"
IN_A_LOOP = f"[{ONCE} for _ in config_list]"
BY_THE_KIT = "register_model_clients(bird, Owl)"


def bird(
    create="super().create(params)", second="owl", register=ONCE, first="Owl", models=("owl", "old owl")
):
    """The program of 5d as the lesson has it, but for what is given."""
    source = f"""
class Owl(DummyModelClient):
    def create(self, params):
        {create}

def make_bird():
    config_list = [
        {{"model": model, "model_client_cls": name}} for model, name in zip({models}, {first, second})
    ]
    bird = AssistantAgent("bird", llm_config=LLMConfig(*config_list), system_message="Be wise.")
    {register}
    return bird
"""
    names = {**globals()}
    exec(source, names)
    return names["make_bird"]


def without_first(**changes):
    """The same, its first mistake fixed."""
    return bird("return super().create(params)", **changes)


STEP_1 = "step 1, the class: create returned nothing"

ANSWERS = [
    ("5a", AsGiven, "not started"),
    ("5a", Retrieves, "cost returned 'free' instead of a number. Fix: return 0"),
    ("5a", Costs, "message_retrieval returned a NoneType instead of a list"),
    ("5a", CostLeftOut, "`cost` is gone from the class"),
    ("5a", type("Empty", (DummyModelClient,), {}), "`message_retrieval` is gone from the class"),
    (
        "5a",
        fixed(lambda self, response: [response.choices[0].message.content]),
        "take the text of each choice",
    ),
    ("5a", fixed(lambda self, response: response.choices), "returned the choices themselves"),
    ("5a", fixed(lambda self, response: [c.message.content for c in response.choices]), "right"),
    (
        "5a",
        fixed(lambda self, response: [c.message for c in response.choices]),
        "take the text of each choice",
    ),
    ("5a", DummyModelClient({"model": "x"}), "hand over the class itself"),
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
    ("5d", bird(), "not started"),
    ("5d", bird(register=TWICE), STEP_1),
    ("5d", bird(register=IN_A_LOOP), STEP_1),
    ("5d", bird(register=BY_THE_KIT), STEP_1),
    ("5d", bird(second="Owl"), STEP_1),
    ("5d", bird(second="Owl", register=TWICE), "Test: check_model_client(Owl)"),
    ("5d", without_first(), "step 2, the list: entry 1 names 'owl'"),
    ("5d", without_first(register=IN_A_LOOP), "step 2, the list: "),
    ("5d", without_first(second="Owl"), "step 3: bird, entry 1 (old owl): Owl was registered once"),
    ("5d", without_first(second="Owl", register=""), "step 3: "),
    ("5d", without_first(first="owl"), "make_bird() raised ValueError"),
    ("5d", without_first(models=("owl",), register=BY_THE_KIT), "keep its two entries"),
    ("5d", lambda: None, "end it with `return bird`"),
    ("5d", without_first(second="Owl", register=TWICE)(), "hand over the function itself"),
    ("5d", without_first(second="Owl", register=TWICE), "right"),
    ("5d", without_first(second="Owl", register=BY_THE_KIT), "right"),
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
