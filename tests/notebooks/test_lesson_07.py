"""The checks of lesson 07: every right answer passes, and a wrong one is told why."""

import sys
from pathlib import Path

import pytest

from kit import DummyModelClient, tool_call

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402

RIGHT = {"A": 1, "B": 2, "C": 3, "D": 5}


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


def retrieves(reply):
    """A client class whose message_retrieval gives what a function makes of each choice."""
    method = {"message_retrieval": lambda self, response: [reply(choice) for choice in response.choices]}
    return type("KeepsCalls", (DummyModelClient,), method)


def whole(choice):
    return choice.message if choice.message.tool_calls else choice.message.content or ""


def double(number: int) -> int:
    return 2 * number


def climate(city: str) -> dict:
    return {"city": city, "degrees": 18}


def shout(text: str = "hi") -> str:
    return text.upper()


def broken(number: int) -> int:
    raise RuntimeError("out of order")


def untyped(number):
    return number


async def slow(number: int) -> int:
    return number


def reads_the_result(messages):
    if messages[-1]["role"] == "tool":
        return f"It is {messages[-1]['content']}."
    return tool_call("double", number=4)


def raw(name, arguments):
    """A message with a call whose arguments are given as they are."""
    message = tool_call(name)
    message.tool_calls[0].function.arguments = arguments
    return message


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("7a", RIGHT),
        ("7b", retrieves(whole)),
        ("7b", retrieves(lambda c: c.message.model_dump() if c.message.tool_calls else c.message.content)),
        ("7b", retrieves(lambda c: c.message if c.finish_reason == "tool_calls" else c.message.content)),
        ("7c", (double, [tool_call("double", number=4), "It is 8."])),
        ("7c", [double, (tool_call("double", number=4), "It is 8.")]),
        ("7c", (double, [tool_call("double", number=4), "It is 8.", "never said"])),
        ("7c", (double, [tool_call("double", number=4), tool_call("double", number=8), "It is 16."])),
        ("7c", (double, [tool_call("double"), tool_call("double", number=4), "It is 8."])),
        ("7c", (double, [raw("double", '{"number": 4}').model_dump(), "It is 8."])),
        ("7c", (double, reads_the_result)),
        ("7c", (climate, [tool_call("climate", city="Rome"), "Rome has 18 degrees."])),
        ("7c", (shout, [tool_call("shout"), "It said hi"])),
        ("7c", (shout, [tool_call("shout", text="Go on."), "It said GO ON, and no more"])),
        ("7c", (slow, [tool_call("slow", number=3), "3, in the end."])),
    ],
)
def test_a_right_answer_passes_however_it_is_written(capsys, number, right):
    assert verdict(capsys, number, right) == f"✔ {number}: right!\n"


@pytest.mark.parametrize(
    ("number", "wrong", "why"),
    [
        ("7a", {**RIGHT, "A": 2}, "A is not 2: its arguments are no string at all"),
        ("7a", {**RIGHT, "A": 5}, "A is not 5: something is wrong with it. Look at the value"),
        ("7a", {**RIGHT, "B": 1}, "B is not 1: its arguments are a string already"),
        ("7a", {**RIGHT, "C": 4}, "C is not 4: the tool is named weather"),
        ("7a", {**RIGHT, "D": 2}, "D is not 2: json.loads reads its arguments"),
        ("7a", {**RIGHT, "D": 3}, "D is not 3: it has an 'id'"),
        ("7a", {**RIGHT, "D": "x"}, "D: choose a number from 1 to 5"),
        ("7a", [1, 2, 3, 5], "raised AttributeError"),
        ("7b", retrieves(lambda choice: choice.message.content or ""), "the call got lost"),
        ("7b", retrieves(lambda choice: choice.message.content), "the call got lost"),
        ("7b", retrieves(lambda choice: choice.message), "should give its text"),
        ("7b", retrieves(lambda choice: choice.message.content or choice.message), "a text *and* a call"),
        ("7b", retrieves(lambda c: c.message.tool_calls or c.message.content), "the calls alone"),
        (
            "7b",
            retrieves(lambda c: [c.message] if c.message.tool_calls else "Hello!"),
            "append choice.message itself",
        ),
        ("7b", retrieves(lambda c: c if c.message.tool_calls else c.message.content), "the whole choice"),
        (
            "7b",
            retrieves(lambda c: c.message.content or "" if c.message.tool_calls else c.message),
            "look at the condition",
        ),
        ("7b", type("Nothing", (DummyModelClient,), {"message_retrieval": lambda *a: None}), "`return`"),
        ("7b", DummyModelClient({"model": "dummy"}), "hand over the class"),
        ("7c", (8, ["It is 8."]), "should be a function"),
        ("7c", (lambda number: 8, ["It is 8."]), "made with `def`"),
        ("7c", (double, "It is 8."), "my_script should be a list"),
        ("7c", (double, tool_call("double", number=4)), "my_script should be a list"),
        ("7c", (double, [tool_call("double", number=4), "It is 18."]), "the tool returned '8'"),
        ("7c", (double, []), "my_script should be a list"),
        ("7c", (double, ["It is 8."]), "nobody called the tool"),
        ("7c", (double, ["It is 8.", tool_call("double", number=4)]), "nobody called the tool"),
        ("7c", (double, [tool_call("double", number=4)]), "add an answer in words"),
        ("7c", (double, [tool_call("double", number=4), "Done."]), "the tool returned '8'"),
        ("7c", (double, [tool_call("duoble", number=4), "It is 8."]), "calls 'duoble', and the tool's name"),
        ("7c", (double, [tool_call("double", n=4), "It is 8."]), "Field required"),
        ("7c", (double, [raw("double", "{number: 4}"), "It is 8."]), "the arguments are no JSON"),
        ("7c", (broken, [tool_call("broken", number=4), "It is 8."]), "out of order"),
        ("7c", (untyped, [tool_call("untyped", number=4), "It is 4."]), "annotated"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(capsys, number, wrong, why):
    said = verdict(capsys, number, wrong)
    assert said.startswith(f"✘ {number}: ") and why in said


@pytest.mark.parametrize(
    ("number", "untouched"),
    [
        ("7a", {"A": ..., "B": ..., "C": ..., "D": ...}),
        ("7a", {**RIGHT, "D": ...}),
        ("7b", retrieves(lambda choice: ...)),
        ("7c", (..., ...)),
        ("7c", (double, ...)),
        ("7c", ...),
    ],
)
def test_an_answer_that_was_not_started_is_no_mistake(capsys, number, untouched):
    assert verdict(capsys, number, untouched).startswith(f"○ {number}: not solved yet.")


def test_the_script_of_the_learner_stays_as_it_is(capsys):
    script = [tool_call("double", number=4), "It is 8."]
    for _ in range(2):
        assert "right" in verdict(capsys, "7c", (double, script))
    assert script[0].tool_calls[0].function.name == "double"
