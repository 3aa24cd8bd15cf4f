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


def dumped(choice):
    return [call.model_dump() for call in choice.message.tool_calls]


class InALoop(DummyModelClient):
    def message_retrieval(self, response):
        replies = []
        for choice in response.choices:
            if not choice.message.tool_calls:
                replies += [choice.message.content]
                continue
            replies += [choice.message]
        return tuple(replies)


class OfTheResponse(DummyModelClient):
    def message_retrieval(self, response):
        return [response if choice.message.tool_calls else "Hello!" for choice in response.choices]


class FirstChoice(DummyModelClient):
    def message_retrieval(self, response):
        first = response.choices[0].message
        return [first if choice.message.tool_calls else first.content for choice in response.choices]


class ReturnsTooEarly(DummyModelClient):
    def message_retrieval(self, response):
        for choice in response.choices:
            return [choice.message if choice.message.tool_calls else choice.message.content]
        return []


class Yields(DummyModelClient):
    def message_retrieval(self, response):
        for choice in response.choices:
            yield whole(choice)


def double(number: int) -> int:
    return 2 * number


def climate(city: str) -> dict:
    return {"city": city, "degrees": 18}


def shout(text: str = "hi") -> str:
    return text.upper()


def broken(number: int) -> int:
    raise RuntimeError("out of order")


def price() -> float:
    return 1250.0


def prints(number: int):
    print(2 * number)


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
    ("7a", [1, 2, 3, 5], "right"),
    ("7a", {letter: str(number) for letter, number in RIGHT.items()}, "right"),
    ("7a", {letter.lower(): number for letter, number in RIGHT.items()}, "right"),
    ("7a", dict(reversed(RIGHT.items())), "right"),
    ("7a", "1235", "keep the dict, with a number for each of A, B, C and D, not '1235'"),
    ("7a", [1, 2, 3], "keep the dict"),
    ("7a", {"A": 1, "B": 2, "C": 3}, "D is missing"),
    ("7a", {1: "A", 2: "B", 3: "C", 5: "D"}, "A is missing"),
    ("7a", {**RIGHT, "A": True}, "A: choose a number from 1 to 5, not True"),
    ("7a", {**RIGHT, "C": [3]}, "C: choose a number from 1 to 5, not [3]"),
    ("7a", {**RIGHT, "D": None}, "D: choose a number from 1 to 5, not None"),
    ("7a", dict.fromkeys(RIGHT, ...), "not started"),
    ("7a", {**RIGHT, "D": ...}, "not started"),
    ("7b", retrieves(whole), "right"),
    (
        "7b",
        retrieves(lambda c: c.message.model_dump() if c.message.tool_calls else c.message.content),
        "right",
    ),
    ("7b", retrieves(lambda c: c.message if c.finish_reason == "tool_calls" else c.message.content), "right"),
    ("7b", retrieves(lambda c: c.message if c.message.tool_calls is not None else "Hello!"), "right"),
    ("7b", retrieves(lambda c: {"tool_calls": dumped(c)} if c.message.tool_calls else "Hello!"), "right"),
    ("7b", InALoop, "right"),
    ("7b", retrieves(lambda c: c.message.content or ""), "the call got lost"),
    ("7b", retrieves(lambda c: c.message if hasattr(c.message, "tool_calls") else ""), "the condition"),
    (
        "7b",
        retrieves(lambda c: str(c.message) if c.message.tool_calls else "Hello!"),
        "a text about the call",
    ),
    (
        "7b",
        retrieves(lambda c: c.message.tool_calls[0] if c.message.tool_calls else "Hello!"),
        "is a part of",
    ),
    (
        "7b",
        retrieves(lambda c: vars(c.message) if c.message.tool_calls else "Hello!"),
        "read objects in a dict",
    ),
    ("7b", OfTheResponse, "that is the whole response"),
    ("7b", FirstChoice, "the message of another choice"),
    ("7b", ReturnsTooEarly, "Look at the `return`"),
    ("7b", Yields, "not <generator"),
    ("7b", "KeepsCalls", "hand over the class itself, not 'KeepsCalls'"),
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
    ("7c", (price, [tool_call("price"), "It costs 1,250 euros."]), "right"),
    ("7c", (double, [tool_call("double", number=-4), "It is -8."]), "right"),
    ("7c", (double, [tool_call("double", number=-4), "It is 8."]), "the tool returned '-8'"),
    ("7c", (prints, [tool_call("prints", number=4), "It is 8."]), "the tool returned nothing. Does it print"),
    ("7c", (double, ["double(4)", "It is 8."]), "nobody called the tool"),
    ("7c", (double, [double, "It is 8."]), "my_script has <function double"),
    ("7c", (double, [8, "It is 8."]), "my_script has 8 in it"),
    ("7c", (double, [CALL, None]), "my_script has None in it"),
    ("7c", (double, [SCRIPT]), "a list in the list"),
    ("7c", (double, {"call": CALL}), "my_script should be a list"),
    ("7c", (double, [tool_call("double", number="four"), "It is 8."]), "should be a valid integer"),
    ("7c", (double, [CALL, "It is eight."]), "the last message does not say so: 'It is eight.'"),
    ("7c", (len, [tool_call("len", obj="abc"), "3"]), "made with `def`, not <built-in function len>"),
    ("7c", ("double", SCRIPT), "made with `def`, not 'double'"),
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
    (
        "7c",
        (untyped, [tool_call("untyped", number=4), "It is 4."]),
        "each argument needs a type, and `number` has none",
    ),
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
