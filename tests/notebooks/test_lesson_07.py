"""Lesson 07: its checks accept every right answer, and name each misconception."""

import pytest

from kit import DummyModelClient, tool_call

RIGHT = {"A": 1, "B": 2, "C": 3, "D": 5}


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


CALL = tool_call("double", number=4)
SCRIPT = [CALL, "It is 8."]

ANSWERS = [
    ("7a", RIGHT, "right"),
    ("7a", {**RIGHT, "A": 2}, "A is not 2: its arguments are not a string at all"),
    ("7a", {**RIGHT, "A": 5}, "A is not 5: something is wrong with it. Look at the value"),
    ("7a", {**RIGHT, "B": 1}, "B is not 1: its arguments are a string already"),
    ("7a", {**RIGHT, "C": 4}, "C is not 4: the tool is named weather"),
    ("7a", {**RIGHT, "D": 2}, "D is not 2: json.loads reads its arguments"),
    ("7a", {**RIGHT, "D": 3}, "D is not 3: it has an 'id'"),
    ("7a", {**RIGHT, "D": "x"}, "D: choose a number from 1 to 5"),
    ("7a", [1, 2, 3, 5], "raised AttributeError"),
    ("7a", dict.fromkeys(RIGHT, ...), "not started"),
    ("7a", {**RIGHT, "D": ...}, "not started"),
    ("7b", retrieves(whole), "right"),
    (
        "7b",
        retrieves(lambda c: c.message.model_dump() if c.message.tool_calls else c.message.content),
        "right",
    ),
    ("7b", retrieves(lambda c: c.message if c.finish_reason == "tool_calls" else c.message.content), "right"),
    ("7b", retrieves(lambda c: c.message.content or ""), "the call got lost"),
    ("7b", retrieves(lambda c: c.message.content), "the call got lost"),
    ("7b", retrieves(lambda c: c.message), "should give its text"),
    ("7b", retrieves(lambda c: c.message.content or c.message), "a text *and* a call"),
    ("7b", retrieves(lambda c: c.message.tool_calls or c.message.content), "the calls alone"),
    ("7b", retrieves(lambda c: [c.message] if c.message.tool_calls else "Hello!"), "append choice.message"),
    ("7b", retrieves(lambda c: c if c.message.tool_calls else c.message.content), "the whole choice"),
    (
        "7b",
        retrieves(lambda c: c.message.content or "" if c.message.tool_calls else c.message),
        "the condition",
    ),
    ("7b", type("Nothing", (DummyModelClient,), {"message_retrieval": lambda *a: None}), "`return`"),
    ("7b", DummyModelClient({"model": "dummy"}), "hand over the class"),
    ("7b", retrieves(lambda c: ...), "not started"),
    ("7c", (double, SCRIPT), "right"),
    ("7c", [double, (CALL, "It is 8.")], "right"),
    ("7c", (double, [*SCRIPT, "never said"]), "right"),
    ("7c", (double, [CALL, tool_call("double", number=8), "It is 16."]), "right"),
    ("7c", (double, [tool_call("double"), *SCRIPT]), "right"),
    ("7c", (double, [raw("double", '{"number": 4}').model_dump(), "It is 8."]), "right"),
    ("7c", (double, reads_the_result), "right"),
    ("7c", (climate, [tool_call("climate", city="Rome"), "Rome has 18 degrees."]), "right"),
    ("7c", (shout, [tool_call("shout"), "It said hi"]), "right"),
    ("7c", (shout, [tool_call("shout", text="Go on."), "It said GO ON, and no more"]), "right"),
    ("7c", (slow, [tool_call("slow", number=3), "3, in the end."]), "right"),
    ("7c", (8, ["It is 8."]), "should be a function"),
    ("7c", (lambda number: 8, ["It is 8."]), "made with `def`"),
    ("7c", (double, "It is 8."), "my_script should be a list"),
    ("7c", (double, CALL), "my_script should be a list"),
    ("7c", (double, []), "my_script should be a list"),
    ("7c", (double, ["It is 8."]), "nobody called the tool"),
    ("7c", (double, ["It is 8.", CALL]), "nobody called the tool"),
    ("7c", (double, [CALL]), "add an answer in words"),
    ("7c", (double, [CALL, "Done."]), "the tool returned '8'"),
    ("7c", (double, [CALL, "It is 18."]), "the tool returned '8'"),
    ("7c", (double, [tool_call("duoble", number=4), "It is 8."]), "calls 'duoble', and the tool's name"),
    ("7c", (double, [tool_call("double", n=4), "It is 8."]), "Field required"),
    ("7c", (double, [raw("double", "{number: 4}"), "It is 8."]), "the arguments are not valid JSON"),
    ("7c", (broken, [tool_call("broken", number=4), "It is 8."]), "out of order"),
    ("7c", (untyped, [tool_call("untyped", number=4), "It is 4."]), "annotated"),
    ("7c", (..., ...), "not started"),
    ("7c", (double, ...), "not started"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


def test_7c_leaves_the_script_of_the_learner_as_it_is(check_says):
    for _ in range(2):
        check_says("7c", (double, SCRIPT), "right")
    assert CALL.tool_calls[0].function.name == "double"
