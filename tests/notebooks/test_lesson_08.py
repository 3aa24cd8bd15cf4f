"""Lesson 08: its predictions and checks accept every right answer, and name each misconception."""

import inspect
import sys
from pathlib import Path

import nbformat
import pytest
from openai import APIConnectionError, APITimeoutError

from kit import DummyModelClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import checks  # noqa: E402
from checks import lesson_08  # noqa: E402


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


DOUBLES = {"A": "script", "B": "recording", "C": "model", "D": "function"}
UNTOUCHED = [
    ("8a", ...),
    ("8a", None),
    ("8a", dict.fromkeys("ABCD", ...)),
    ("8a", {**DOUBLES, "C": ...}),
    ("8b", ...),
    ("8b", ([..., ...], ...)),
    ("8b", (["Hm.", ...], 2)),
    ("8b", (["Hm.", TimeoutError()], ...)),
    ("8c", ...),
    ("8c", None),
]


@pytest.mark.parametrize(("number", "answer"), UNTOUCHED)
def test_an_exercise_that_was_not_started_is_no_mistake(capsys, number, answer):
    assert verdict(capsys, number, answer).startswith(f"○ {number}: not solved yet")


def test_the_checks_know_the_program_of_the_lesson():
    cells = nbformat.read(NOTEBOOKS / "08_test_your_agents.ipynb", as_version=4).cells
    cell = next(
        cell.source for cell in cells if "def sort_ticket" in cell.source and "PROMPT =" in cell.source
    )
    ours = inspect.getsource(lesson_08.sort_ticket).replace("    from openai import APIError\n\n", "")
    assert ours.strip() in cell
    assert f'PROMPT = "{lesson_08.PROMPT}"' in cell


# 8a -----------------------------------------------------------------------------------------------


def test_8a_accepts_the_right_doubles_however_they_are_written(capsys):
    assert verdict(capsys, "8a", DOUBLES) == "✔ 8a: right!\n"
    assert "right!" in verdict(capsys, "8a", {letter: f" {word.title()}" for letter, word in DOUBLES.items()})


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"A": "function"}, "A is not a case for the function: it could be done"),
        ({"A": "model"}, "when it likes"),
        ({"A": "recording"}, "only by luck"),
        ({"B": "script"}, "answers whatever it is asked"),
        ({"B": "function"}, "compare all prompts"),
        ({"B": "model"}, "nobody notices"),
        ({"C": "recording"}, "must be asked itself"),
        ({"C": "script", "D": "script"}, "C is not a case for the script: it says what you wrote"),
        ({"C": "function"}, "what you programmed"),
        ({"D": "script"}, "come in their order"),
        ({"D": "recording"}, "not in any recording"),
        ({"D": "model"}, "its answers are its own"),
        ({"D": "mock"}, "D is 'mock': choose one of script, function, recording, model"),
    ],
)
def test_8a_explains_each_wrong_choice(capsys, wrong, why):
    out = verdict(capsys, "8a", {**DOUBLES, **wrong})
    assert out.startswith("✘ 8a: ") and why in out


@pytest.mark.parametrize("answer", ["ABCD", ["script"], {"A": "script"}])
def test_8a_wants_a_dict_of_four(capsys, answer):
    assert "write a dict with the letters A, B, C and D" in verdict(capsys, "8a", answer)


# 8b -----------------------------------------------------------------------------------------------

REQUEST = "http://localhost"


def openais(cls):
    import httpx

    return cls(request=httpx.Request("POST", REQUEST))


@pytest.mark.parametrize(
    "script",
    [
        ["That depends.", TimeoutError("no answer")],
        ("", TimeoutError),
        ["bug or question", TimeoutError()],
        ["It is a bug.", openais(APIConnectionError)],
        [{"content": "Hm."}, openais(APITimeoutError)],
    ],
)
def test_8b_accepts_any_nonsense_and_any_failure_that_the_program_expects(capsys, script):
    assert verdict(capsys, "8b", (script, 2)) == "✔ 8b: right!\n"


@pytest.mark.parametrize(
    ("script", "asked", "why"),
    [
        ([TimeoutError(), "Hm."], 1, "the first reply fails already"),
        ([TimeoutError, TimeoutError], 1, "the first reply fails already"),
        (["Bug.", TimeoutError()], 2, "takes 'Bug.' for an answer (bug) and does not ask again"),
        (["Hm.", "Hm."], 2, "after two useless replies: let the second call fail"),
        (["Hm.", "question"], 2, "the program returns 'question': let that call fail"),
        (["Hm.", "TimeoutError()"], 2, "in quotes, 'TimeoutError()' is a text"),
        (["Hm.", ValueError()], 2, "does not expect a ValueError"),
        (["Hm.", RuntimeError], 2, "does not expect a RuntimeError"),
        (["Hm.", TimeoutError()], 1, "the call that failed counts as well"),
        (["Hm.", TimeoutError()], 3, "asked 3 times? Count"),
        (["Hm.", TimeoutError()], "two", "asked 'two' times? Count"),
        (["Hm."], 1, "two replies, it has 1"),
        ("Hm.", 2, "a list of two replies"),
        ([5, TimeoutError()], 2, "raised TypeError"),
    ],
)
def test_8b_names_the_first_mistake(capsys, script, asked, why):
    out = verdict(capsys, "8b", (script, asked))
    assert out.startswith("✘ 8b: ") and why in out, out


# 8c -----------------------------------------------------------------------------------------------

TICKETS = ["It crashes.", "It hangs.", "How do I print?"]
SCRIPT = ["bug", TimeoutError(), "question"]
KINDS = ["bug", "unsure", "question"]


@pytest.fixture
def sorter(agent):
    return lambda replies: agent(DummyModelClient, replies=replies)


def test_8c_accepts_the_whole_result_one_ticket_and_the_number_of_calls(capsys, sorter):
    def whole(sort_all):
        assert sort_all(sorter(SCRIPT), TICKETS) == dict(zip(TICKETS, KINDS, strict=True))

    def one_ticket(sort_all):
        kinds = sort_all(sorter(SCRIPT), TICKETS)
        if kinds[TICKETS[2]] != "question":
            raise AssertionError

    def calls(sort_all):
        bot = sorter(SCRIPT)
        sort_all(bot, TICKETS)
        assert len(bot.client._clients[0].calls) == 3

    def by_function(sort_all, tickets=("slow", "It crashes.")):
        def reply(messages):
            return TimeoutError() if "slow" in messages[-1]["content"] else "bug"

        assert len(sort_all(sorter(reply), list(tickets))) == 2

    def two_useless_replies(sort_all):
        assert len(sort_all(sorter(["Hm.", "Hm.", "bug"]), TICKETS[:2])) == 2

    class Test:
        def __call__(self, sort_all):
            whole(sort_all)

    for test in (whole, one_ticket, calls, by_function, two_useless_replies, Test(), lambda it: whole(it)):
        assert verdict(capsys, "8c", test) == "✔ 8c: right!\n"


def test_8c_names_what_a_test_lacks(capsys, sorter):
    def never_called(sort_all):
        assert sorter(SCRIPT)

    def happy(sort_all):
        assert list(sort_all(sorter(["bug", "question"]), TICKETS[:2]).values()) == ["bug", "question"]

    def failure_last(sort_all):
        assert len(sort_all(sorter(["bug", TimeoutError()]), TICKETS[:2])) == 2

    def looks_too_early(sort_all):
        assert sort_all(sorter(SCRIPT), TICKETS)["It hangs."] == "unsure"

    def no_assert(sort_all):
        sort_all(sorter(SCRIPT), TICKETS)

    def returns(sort_all):
        return len(sort_all(sorter(SCRIPT), TICKETS)) == 3

    def wrong_expectation(sort_all):
        assert list(sort_all(sorter(SCRIPT), TICKETS).values()) == ["bug", "question", "question"]

    def short_script(sort_all):
        assert sort_all(sorter(["bug", "Hm."]), TICKETS)

    def unexpected(sort_all):
        sort_all(sorter(["bug", ValueError("oh"), "bug"]), TICKETS)

    def without_argument():
        pass

    def called_with_two(sort_all, agent):
        pass

    for test, why in [
        (never_called, "never calls the `sort_all`"),
        (happy, "nothing ever fails in your script"),
        (failure_last, "the failure comes last"),
        (looks_too_early, "look at the tickets after the failure"),
        (no_assert, "look at the tickets after the failure"),
        (returns, "the test returns True: pytest does not look at that. Write `assert`"),
        (wrong_expectation, "fails for the good version too: AssertionError"),
        (short_script, "fails for the good version too: The script has 2 replies"),
        (short_script, "asks twice after a useless reply"),
        (unexpected, "fails for the good version too: ValueError: oh"),
        (without_argument, "takes one argument"),
        (called_with_two, "takes one argument"),
        ("def my_test(): ...", "write a function"),
        (["bug", "question"], "write a function"),
    ]:
        out = verdict(capsys, "8c", test)
        assert out.startswith("✘ 8c: ") and why in out, out


def test_the_checks_are_instant(sorter):
    import time

    def test(sort_all):
        assert len(sort_all(sorter(SCRIPT), TICKETS)) == 3

    begin = time.process_time()
    checks.check_8b((["Hm.", TimeoutError()], 2))
    checks.check_8c(test)
    assert time.process_time() - begin < 1
