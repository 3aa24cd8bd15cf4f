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


def fixed(message_retrieval, cost=Costs.cost):
    """The class of 5a with these two methods."""
    return type("Patient", (Costs,), {"message_retrieval": message_retrieval, "cost": cost})


def texts(response):
    return [choice.message.content for choice in response.choices]


class CostLeftOut(DummyModelClient):
    message_retrieval = AsGiven.message_retrieval


class FromScratch:
    """A right answer to 5a that inherits nothing."""

    def __init__(self, config, **kwargs):
        self.inner = DummyModelClient(config)

    def create(self, params):
        return self.inner.create(params)

    def message_retrieval(self, response):
        texts = []
        for choice in response.choices:
            texts.append(choice.message.content or "")
        return texts

    def cost(self, response):
        return 0.0

    @staticmethod
    def get_usage(response):
        return DummyModelClient.get_usage(response)


def brief(
    entry='"max_length": 3', limit='config["params"]["max_length"]', inside="Brief", end="return agent"
):
    """The program of 5b as the lesson has it, but for what is given."""
    source = f"""
class Brief(DummyModelClient):
    def __init__(self, config, **kwargs):
        limit = {limit}
        super().__init__({{**config, "max_tokens": limit}}, **kwargs)

def make_brief():
    entry = {{"model": "my-model", "model_client_cls": "Brief", {entry}}}
    agent = AssistantAgent("brief", llm_config=LLMConfig(entry), system_message="Be brief.")
    agent.register_model_client({inside})
    {end}
"""
    names = {**globals()}
    exec(source, names)
    return names["make_brief"]


def without_brief():
    """An answer to 5b without the class: the entry says it all."""
    entry = {"model": "m", "model_client_cls": "DummyModelClient", "max_tokens": 3}
    agent = AssistantAgent("brief", llm_config=LLMConfig(entry), system_message="Be brief.")
    agent.register_model_client(DummyModelClient)
    return agent


PARAMS = '"params": {"max_length": 3}'


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


def bird_from_scratch():
    """A right answer to 5d whose class inherits nothing, with a comprehension for the list."""
    owl = type("Owl", (FromScratch,), {})
    config_list = [{"model": model, "model_client_cls": "Owl"} for model in ("owl", "old owl")]
    bird = AssistantAgent("bird", llm_config=LLMConfig(*config_list), system_message="Be wise.")
    register_model_clients(bird, owl)
    return bird


def without_first(**changes):
    """The same, its first mistake fixed."""
    return bird("return super().create(params)", **changes)


STEP_1 = "step 1, the class: create returned nothing"

ANSWERS = [
    ("5a", AsGiven, "not started"),
    ("5a", Retrieves, "cost returned 'free' instead of a number."),
    ("5a", Costs, "message_retrieval returned a NoneType instead of a list. (After this one"),
    ("5a", CostLeftOut, "`cost` is gone from the class"),
    ("5a", type("Empty", (DummyModelClient,), {}), "`message_retrieval` is gone from the class"),
    ("5a", fixed(lambda self, response: ["a text"]), "take the text of each choice"),
    ("5a", fixed(lambda self, r: [r.choices[0].message.content]), "take the text of each choice"),
    (
        "5a",
        fixed(lambda self, response: [c.message for c in response.choices]),
        "take the text of each choice",
    ),
    ("5a", fixed(lambda self, response: response.choices), "returned the choices themselves"),
    ("5a", fixed(lambda self, r: r.choices[0].message.content), "returned a text: AutoGen would reply with"),
    ("5a", fixed(lambda self, r: (c.message.content for c in r.choices)), "a generator instead of a list"),
    ("5a", fixed(lambda self, r: print([c.message.content for c in r.choices])), "returned a NoneType"),
    (
        "5a",
        fixed(lambda response: [c.message.content for c in response.choices]),
        "does not take what AutoGen",
    ),
    ("5a", fixed(lambda self, r: texts(r), cost=lambda self, r: print(0)), "cost returned None instead of a"),
    (
        "5a",
        fixed(lambda self, r: texts(r), cost=lambda self, r: "0"),
        "cost returned '0' instead of a number",
    ),
    ("5a", fixed(lambda self, r: texts(r), cost=lambda self: 0), "cost does not take what AutoGen passes"),
    ("5a", fixed(lambda self, r: texts(r), cost=0), "cost"),
    ("5a", DummyModelClient({"model": "x"}), "hand over the class itself"),
    ("5a", "Patient", "hand over the class itself"),
    ("5a", int, "int has no `message_retrieval`"),
    ("5a", fixed(lambda self, r: texts(r)), "right"),
    ("5a", fixed(lambda self, r: tuple(texts(r))), "right"),
    (
        "5a",
        fixed(lambda self, r: [str(c.message.content) for c in r.choices], cost=lambda s, r: 0.0),
        "right",
    ),
    ("5a", fixed(lambda self, r: DummyModelClient.message_retrieval(self, r)), "right"),
    ("5a", fixed(lambda self, r: texts(r), cost=staticmethod(lambda response: 0)), "right"),
    ("5a", FromScratch, "right"),
    ("5b", brief(), "not started"),
    (
        "5b",
        brief('"max_length": 4'),
        "KeyError: 'params', in __init__. There, `config` has model, model_client_cls, max_length",
    ),
    ("5b", brief('"param": {"max_length": 3}'), "`config` has model, model_client_cls, param."),
    ("5b", brief('"params": {"max_tokens": 3}'), "KeyError: 'max_length', in __init__"),
    ("5b", brief('"params": 3'), "TypeError: 'int' object is not subscriptable, in __init__"),
    ("5b", brief('"params": [3]'), "TypeError: list indices must be integers"),
    ("5b", brief('"params": {"max_length": "3"}'), "of at least 1, not '3', in _number"),
    ("5b", brief('"params": {"max_length": 4}'), "the agent replies 'This is a dummy'"),
    ("5b", brief('"params": {"max_length": 1}'), "the agent replies 'This'"),
    ("5b", brief(limit='config.get("params")'), "nothing cuts its reply"),
    ("5b", brief(limit='config["max_lenght"]'), "KeyError: 'max_lenght', in __init__."),
    ("5b", brief(PARAMS, inside="DummyModelClient"), "was not found in the config_list"),
    ("5b", brief(PARAMS, inside="'Brief'"), "AttributeError: 'str' object has no attribute"),
    ("5b", brief(PARAMS, end="print(agent)"), "end it with `return agent`"),
    ("5b", brief(PARAMS, end="return 'This is a'"), "should return the agent: this is 'This is a'"),
    ("5b", brief(PARAMS)(), "hand over the function itself"),
    ("5b", FromScratch, "hand over the function itself"),
    ("5b", brief(PARAMS), "right"),
    ("5b", brief('"max_length": 3, ' + PARAMS), "right"),
    ("5b", brief(limit='config["max_length"]'), "right"),
    ("5b", brief(limit='config.get("max_length", 3)'), "right"),
    ("5b", brief(limit="3"), "right"),
    ("5b", without_brief, "right"),
    ("5c", STEPS, "right"),
    ("5c", {letter: str(step) for letter, step in STEPS.items()}, "right"),
    ("5c", {letter.lower(): float(step) for letter, step in STEPS.items()}, "right"),
    ("5c", {letter: f"step {step}" for letter, step in STEPS.items()}, "right"),
    (
        "5c",
        {"A": "registering", "B": "class", "C": "config list", "D": "the class", "E": "the list"},
        "right",
    ),
    ("5c", {**STEPS, "B": ..., "E": ...}, "right so far. Still to go: B, E."),
    ("5c", {**STEPS, "B": None}, "right so far. Still to go: B."),
    ("5c", {**STEPS, "A": 2, "E": ...}, "A is not step 2. Ask: the class is there."),
    ("5c", {**STEPS, "A": "class"}, "A is not step 1. Ask: the class is there."),
    ("5c", {**STEPS, "B": 3}, "B is not step 3. Ask: which method should have returned"),
    ("5c", {**STEPS, "C": "1"}, "C is not step 1. Ask: where did you write `temperature`?"),
    ("5c", {**STEPS, "D": 2}, "D is not step 2. Ask: where does the number come from"),
    ("5c", {**STEPS, "E": 1}, "E is not step 1. Ask: which part of the program tells"),
    ("5c", {**STEPS, "D": "cost"}, "D: 'cost' is not one of the three steps"),
    ("5c", {**STEPS, "A": 4}, "A: 4 is not one of the three steps"),
    ("5c", {**STEPS, "A": [2, 3]}, "A: [2, 3] is not one of the three steps"),
    ("5c", {**STEPS, "F": 1}, "there is no message F"),
    ("5c", {"A": 3}, "Still to go: B, C, D, E."),
    ("5c", [3, 1, 2, 1, 2], "write a dict"),
    ("5c", "31212", "write a dict"),
    ("5c", set(STEPS), "write a dict"),
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
    ("5d", lambda: "bird", "should return the agent: this is 'bird'"),
    ("5d", without_first(second="Owl", register=TWICE), "right"),
    ("5d", without_first(second="Owl", register=IN_A_LOOP), "right"),
    ("5d", bird("self.last = super().create(params); return self.last", "Owl", TWICE), "right"),
    ("5d", bird_from_scratch, "right"),
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
