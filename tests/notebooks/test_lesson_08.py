"""Lesson 08: its checks accept every right answer, and name each misconception."""

import inspect
import time
from pathlib import Path

import checks
import httpx
import nbformat
import pytest
from autogen import AssistantAgent, LLMConfig
from checks import lesson_08
from openai import APIConnectionError, APITimeoutError

from kit import DummyModelClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
DOUBLES = {"A": "script", "B": "recording", "C": "model", "D": "function"}
REQUEST = httpx.Request("POST", "http://localhost")

# Answers to 8c: tests of `sort_all`

TICKETS = ["It crashes.", "It hangs.", "How do I print?"]
KINDS = ["bug", "unsure", "question"]
SCRIPT = ["bug", TimeoutError(), "question"]


def sorter(replies=SCRIPT):
    entry = {"model": "test", "model_client_cls": "DummyModelClient"}
    agent = AssistantAgent("sorter", llm_config=LLMConfig(entry), system_message="Be brief.")
    agent.register_model_client(DummyModelClient, replies=replies)
    return agent


def fails_once(messages):
    return TimeoutError() if "crashes" in messages[-1]["content"] else "bug"


def my_test(*lines):
    """The function of 8c, with these lines."""
    names = {**globals()}
    exec("\n    ".join(["def my_test(sort_all):", *lines]), names)
    return names["my_test"]


WHOLE = my_test("assert list(sort_all(sorter(), TICKETS).items()) == list(zip(TICKETS, KINDS))")
TWO_LEFT = "assert len(sort_all(sorter({}), TICKETS[:2])) == 2"


class Callable:
    def __call__(self, sort_all):
        WHOLE(sort_all)


def raising(error):
    def my_test(sort_all):
        raise error

    return my_test


def swallowing(sort_all):
    try:
        WHOLE(sort_all)
    except AssertionError:
        print("a bug")


def one_agent_for_all():
    agent = sorter()

    def my_test(sort_all):
        assert list(sort_all(agent, TICKETS).values()) == KINDS

    return my_test


async def unawaited(sort_all):
    WHOLE(sort_all)


ANSWERS = [
    ("8a", DOUBLES, "right"),
    ("8a", {letter: f" {word.title()}" for letter, word in DOUBLES.items()}, "right"),
    ("8a", [*DOUBLES.values()], "right"),
    ("8a", {letter.lower(): f"a {word}" for letter, word in DOUBLES.items()}, "right"),
    ("8a", {**DOUBLES, "A": "scripts"}, "right"),
    ("8a", {**DOUBLES, "A": "DummyModelClient"}, "A is 'DummyModelClient': choose one of"),
    ("8a", {**DOUBLES, "A": "script or function"}, "choose one of"),
    ("8a", {**DOUBLES, "C": None}, "C is None: choose one of"),
    ("8a", {word: letter for letter, word in DOUBLES.items()}, "write a dict"),
    ("8a", {**DOUBLES, "A": "function"}, "A is not a case for the function: it could be done"),
    ("8a", {**DOUBLES, "A": "model"}, "when it likes"),
    ("8a", {**DOUBLES, "A": "recording"}, "only by luck"),
    ("8a", {**DOUBLES, "B": "script"}, "answers whatever it is asked"),
    ("8a", {**DOUBLES, "B": "function"}, "compare all prompts"),
    ("8a", {**DOUBLES, "B": "model"}, "nobody notices"),
    ("8a", {**DOUBLES, "C": "recording"}, "must be asked itself"),
    ("8a", {**DOUBLES, "C": "script", "D": "script"}, "C is not a case for the script: it says what you"),
    ("8a", {**DOUBLES, "C": "function"}, "what you programmed"),
    ("8a", {**DOUBLES, "D": "script"}, "come in their order"),
    ("8a", {**DOUBLES, "D": "recording"}, "not in any recording"),
    ("8a", {**DOUBLES, "D": "model"}, "its answers are its own"),
    ("8a", {**DOUBLES, "D": "mock"}, "D is 'mock': choose one of script, function, recording, model"),
    ("8a", "ABCD", "write a dict with the letters A, B, C and D"),
    ("8a", ["script"], "write a dict with the letters A, B, C and D"),
    ("8a", {"A": "script"}, "write a dict with the letters A, B, C and D"),
    ("8a", dict.fromkeys("ABCD", ...), "not started"),
    ("8a", {**DOUBLES, "C": ...}, "not started"),
    ("8b", (["That depends.", TimeoutError("no answer")], 2), "right"),
    ("8b", (("", TimeoutError), 2), "right"),
    ("8b", (["bug or question", TimeoutError()], 2), "right"),
    ("8b", (["It is a bug.", APIConnectionError(request=REQUEST)], 2), "right"),
    ("8b", ([{"content": "Hm."}, APITimeoutError(request=REQUEST)], 2), "right"),
    ("8b", ([TimeoutError(), "Hm."], 1), "the first reply fails already"),
    ("8b", ([TimeoutError, TimeoutError], 1), "the first reply fails already"),
    ("8b", (["Bug.", TimeoutError()], 2), "takes 'Bug.' for an answer (bug) and does not ask again"),
    ("8b", (["Hm.", "Hm."], 2), "after two useless replies: let the second call fail"),
    ("8b", (["Hm.", "question"], 2), "the program returns 'question': let that call fail"),
    ("8b", (["Hm.", "TimeoutError()"], 2), "in quotes, 'TimeoutError()' is a text"),
    ("8b", (["Hm.", ValueError()], 2), "does not expect ValueError"),
    ("8b", (["Hm.", RuntimeError], 2), "does not expect RuntimeError"),
    ("8b", (["Hm.", TimeoutError()], 1), "the call that failed counts as well"),
    ("8b", (["Hm.", TimeoutError()], 3), "asked 3 times? Count"),
    ("8b", (["Hm.", TimeoutError()], "two"), "asked 'two' times? Count"),
    ("8b", (["Hm."], 1), "two replies, it has 1"),
    ("8b", ("Hm.", 2), "a list of two replies"),
    ("8b", (["Hm.", TimeoutError()], "2"), "right"),
    ("8b", ([5, TimeoutError()], 2), "a model answers with a text, and 5 is none"),
    ("8b", (["Hm.", None], 2), "None makes no call fail"),
    ("8b", (["Hm.", [TimeoutError()]], 2), "makes no call fail"),
    ("8b", (["Hm.", "timeout"], 2), "let the second call fail"),
    ("8b", (["Hm.", APITimeoutError], 2), "APITimeoutError alone makes no error"),
    ("8b", (["Hm.", KeyboardInterrupt], 2), "does not expect KeyboardInterrupt"),
    ("8b", (["Hm.", SystemExit()], 2), "does not expect SystemExit"),
    ("8b", (lambda messages: "Hm.", 2), "a list of two replies"),
    ("8b", (["Hm.", TimeoutError(), "bug"], 3), "two replies, it has 3"),
    ("8b", ([..., ...], ...), "not started"),
    ("8b", (["Hm.", ...], 2), "not started"),
    ("8b", (["Hm.", TimeoutError()], ...), "not started"),
    ("8c", WHOLE, "right"),
    ("8c", Callable(), "right"),
    ("8c", lambda it: WHOLE(it), "right"),
    ("8c", lambda sort_all, tickets=TICKETS: WHOLE(sort_all), "right"),
    (
        "8c",
        my_test("if sort_all(sorter(), TICKETS)[TICKETS[2]] != 'question': raise AssertionError"),
        "right",
    ),
    (
        "8c",
        my_test(
            "bot = sorter()",
            "sort_all(bot, TICKETS)",
            "assert len(bot.client._clients[0].calls) == 3",
        ),
        "right",
    ),
    ("8c", my_test(TWO_LEFT.format("fails_once")), "right"),
    ("8c", my_test(TWO_LEFT.format(["Hm.", "Hm.", "bug"])), "right"),
    ("8c", my_test("assert sorter()"), "never calls the `sort_all`"),
    ("8c", my_test(TWO_LEFT.format(["bug", "question"])), "nothing ever fails in your script"),
    ("8c", my_test(TWO_LEFT.format("['bug', TimeoutError()]")), "the failure comes last"),
    (
        "8c",
        my_test("assert sort_all(sorter(), TICKETS)['It hangs.'] == 'unsure'"),
        "tickets after the failure",
    ),
    ("8c", my_test("sort_all(sorter(), TICKETS)"), "even an empty dict: no `assert` looks"),
    ("8c", my_test("print(sort_all(sorter(), TICKETS) == dict(zip(TICKETS, KINDS)))"), "even an empty dict"),
    ("8c", swallowing, "or something catches its error"),
    ("8c", my_test("sort_all = dict", "assert sort_all() == {}"), "never calls the `sort_all`"),
    ("8c", one_agent_for_all(), "make the agent inside the test"),
    ("8c", my_test("assert sort_all(sorter(), TICKETS) == KINDS"), "an assert does not hold"),
    ("8c", my_test("assert sort_all(TICKETS)"), "TypeError: sort_all() missing 1 required"),
    ("8c", my_test("with pytest.raises(TimeoutError): sort_all(sorter(), TICKETS)"), "DID NOT RAISE"),
    ("8c", my_test("yield sort_all(sorter(), TICKETS)"), "with `async` or `yield`"),
    ("8c", unawaited, "with `async` or `yield`"),
    ("8c", Callable, "write a function"),
    ("8c", Callable().__call__, "right"),
    (
        "8c",
        my_test("if len(sort_all(sorter(), TICKETS)) < 3: pytest.fail('lost')"),
        "right",
    ),
    ("8c", my_test("if len(sort_all(agent=sorter(), tickets=TICKETS)) < 3: raise SystemExit(1)"), "right"),
    ("8c", my_test("return len(sort_all(sorter(), TICKETS)) == 3"), "the test returns True"),
    (
        "8c",
        my_test("assert list(sort_all(sorter(), TICKETS).values()) == ['bug', 'question', 'question']"),
        "fails for the good version too: an assert does not hold",
    ),
    ("8c", my_test("sort_all(sorter(['bug', 'Hm.']), TICKETS)"), "good version too: The script has"),
    ("8c", raising(RuntimeError), "fails for the good version too: RuntimeError"),
    ("8c", raising(AssertionError), "an assert does not hold"),
    ("8c", my_test("sort_all(sorter(['bug', 'Hm.']), TICKETS)"), "asks twice after a useless reply"),
    (
        "8c",
        my_test("sort_all(sorter(['bug', ValueError('oh')]), TICKETS)"),
        "the good version too: ValueError",
    ),
    ("8c", lambda: None, "takes one argument"),
    ("8c", lambda sort_all, agent: None, "takes one argument"),
    ("8c", "def my_test(): ...", "write a function"),
    ("8c", ["bug", "question"], "write a function"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


def test_the_checks_know_the_program_of_the_lesson():
    cells = nbformat.read(NOTEBOOKS / "08_test_your_agents.ipynb", as_version=4).cells
    cell = next(
        cell.source for cell in cells if "def sort_ticket" in cell.source and "PROMPT =" in cell.source
    )
    ours = inspect.getsource(lesson_08.sort_ticket).replace("    from openai import APIError\n\n", "")
    assert ours.strip() in cell
    assert f'PROMPT = "{lesson_08.PROMPT}"' in cell


def test_the_checks_are_instant():
    begin = time.process_time()
    checks.check_8b((["Hm.", TimeoutError()], 2))
    checks.check_8c(WHOLE)
    assert time.process_time() - begin < 1
