"""Checks of lesson 08: tests for agents."""

import inspect
import re

from checks.exercise import exercise, prediction

predicted_8_second_request = prediction(
    "c",
    a="a model remembers nothing between two calls, so one message would leave it without the ticket.",
    b="the program sends the talk so far along: the ticket and the useless reply are in it too.",
    c="the system message, the ticket, the useless reply, and the question once more.",
)
predicted_8_second_entry = prediction(
    "b",
    a="AutoGen goes on to the next entry after some errors, but Python's TimeoutError is none of them.",
    b="an ordinary exception in create ends the call, however many entries there are.",
    c="AutoGen itself never asks the same client again: whoever wants a second try writes a loop.",
)
predicted_8_cut = prediction(
    "a",
    a="a cut reply is a reply. Why it ended stands in the response, which the agent does not look at.",
    b="AutoGen raises nothing: the response is a valid one.",
    c="AutoGen does not look at finish_reason, so it does not know that there is more to come.",
)
predicted_8_new_prompt = prediction(
    "b",
    a="almost the same question is another question. What was said to the old one proves nothing.",
    b="this request is not in the file, and there is no model that could be asked.",
    c="there is no model to ask: `client=` is not passed, and the file holds only what one has said.",
)
predicted_8_which_fails = prediction(
    "b",
    a="it gets a good reply at once, so the program never needs to ask again.",
    b="only here does the program have to ask twice.",
    c="a failure ends the program at the first call, as it did before.",
)


# 8a ----------------------------------------------------------------------------------------------

DOUBLES = ("script", "function", "recording", "model")
RIGHT = {"A": "script", "B": "recording", "C": "model", "D": "function"}
WRONG = {
    "A": {
        "function": "it could be done, but two texts in a list say it in one line.",
        "recording": "a recording holds what a model happened to say, and nonsense only by luck.",
        "model": "a model talks nonsense when it likes, not when your test needs it.",
    },
    "B": {
        "script": "a script answers whatever it is asked: a changed prompt gets the same replies.",
        "function": "it answers any prompt, unless you compare all prompts in it by hand.",
        "model": "it answers a changed prompt as well, and nobody notices.",
    },
    "C": {
        "script": "it says what you wrote, and nothing about any model.",
        "function": "it says what you programmed, and nothing about any model.",
        "recording": "it holds what another model once said. The new one must be asked itself.",
    },
    "D": {
        "script": "its replies come in their order: if the tickets come in another, they get the wrong ones.",
        "recording": "tickets that are made up anew are not in any recording.",
        "model": "its answers are its own: it need not call every crash a bug.",
    },
}


@exercise("8a")
def check_8a(doubles):
    if isinstance(doubles, (list, tuple)) and len(doubles) == 4:
        doubles = dict(zip("ABCD", doubles, strict=True))
    if isinstance(doubles, dict):
        doubles = {str(letter).strip().upper(): double for letter, double in doubles.items()}
    if not isinstance(doubles, dict) or set(doubles) != set(RIGHT):
        return "write a dict with the letters A, B, C and D, and a double for each."
    if any(double is ... for double in doubles.values()):
        return ...
    for letter, right in RIGHT.items():
        named = set(re.findall(rf"\b({'|'.join(DOUBLES)})s?\b", str(doubles[letter]).lower()))
        if len(named) != 1:
            return f"{letter} is {doubles[letter]!r}: choose one of {', '.join(DOUBLES)}."
        if {right} != named:
            double = named.pop()
            return f"{letter} is not a case for the {double}: {WRONG[letter][double]}"
    return None


# The program of the lesson ------------------------------------------------------------------------

PROMPT = "Is this ticket a bug or a question? Answer with one word."


def sort_ticket(agent, ticket):
    """Return "bug" or "question", or "unsure" where the model gives neither."""
    from openai import APIError

    messages = [{"role": "user", "content": f"{PROMPT}\n\n{ticket}"}]
    for _ in range(2):
        try:
            reply = agent.generate_reply(messages=messages)
        except (TimeoutError, APIError):
            return "unsure"
        word = reply.strip(" .!\n").lower()
        if word in ("bug", "question"):
            return word
        messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": PROMPT}]
    return "unsure"


def _agent(replies):
    from autogen import AssistantAgent, LLMConfig

    from kit import DummyModelClient

    entry = {"model": "test", "model_client_cls": "DummyModelClient"}
    agent = AssistantAgent("sorter", llm_config=LLMConfig(entry), system_message="You sort tickets.")
    agent.register_model_client(DummyModelClient, replies=replies)
    return agent, agent.client._clients[0]


# 8b ----------------------------------------------------------------------------------------------


@exercise("8b")
def check_8b(answer):
    script, asked = answer
    if asked is ... or script is ... or (isinstance(script, (list, tuple)) and ... in script):
        return ...
    if not isinstance(script, (list, tuple)):
        return "the script is a list of two replies: [first, second]."
    if len(script) != 2:
        return f"the script should have two replies, it has {len(script)}."
    if needy := [item for item in script if _needs_arguments(item)]:
        name = needy[0].__name__
        return f"{name} alone makes no error: it takes arguments. Python's own TimeoutError() takes none."
    first, second = (item() if _is_error_class(item) else item for item in script)
    if isinstance(first, BaseException):
        return "the first reply fails already, and the program gives up after one call: let it be nonsense."
    if not isinstance(first, (str, dict, list, tuple)):
        return f"a model answers with a text, and {first!r} is none. Put the nonsense in quotes."
    kind = _run([first, TimeoutError()])
    if kind != "unsure":
        return f"the program takes {first!r} for an answer ({kind}) and does not ask again."
    if isinstance(second, str) and "Error" in second:
        return f"in quotes, {second!r} is a text that the model says. Without them it is an exception."
    if isinstance(second, str):
        kind = _run([first, second])
        if kind == "unsure":
            return "that ends in 'unsure' too, but after two useless replies: let the second call fail."
        return f"with {second!r} as the second reply, the program returns {kind!r}: let that call fail."
    if not isinstance(second, BaseException):
        return f"{second!r} makes no call fail: the second item should be an exception."
    try:
        _run([first, second])
    except BaseException:
        name = type(second).__name__
        return f"the program does not expect {name}, so it comes out of it. What does its `except` name?"
    if str(asked).strip() in ("2", "2.0"):
        return None
    if asked == 1:
        return "the call that failed counts as well: `calls` keeps it. How often was the model asked?"
    return f"the model is asked {asked!r} times? Count: the nonsense, then the call that fails."


def _is_error_class(item):
    return isinstance(item, type) and issubclass(item, BaseException)


def _needs_arguments(item):
    """Return whether it is the class of an error that can't be made of its name alone."""
    if not _is_error_class(item):
        return False
    try:
        item()
    except TypeError:
        return True
    return False


def _run(replies):
    return sort_ticket(_agent(replies)[0], "The app crashes.")


# 8c ----------------------------------------------------------------------------------------------


@exercise("8c")
def check_8c(test):
    if not callable(test) or isinstance(test, type):
        return "write a function, def my_test(sort_all): ..., and hand over its name."
    try:
        inspect.signature(test).bind(len)
    except TypeError:
        return "the function takes one argument: the `sort_all` that it is to test."
    returned = []

    def good(agent, tickets):
        returned.append({ticket: sort_ticket(agent, ticket) for ticket in tickets})
        return returned[-1]

    def broken(agent, tickets):
        kinds = {}
        for ticket in tickets:
            kinds[ticket] = sort_ticket(agent, ticket)
            if kinds[ticket] == "unsure":
                break
        return kinds

    good.__qualname__ = "sort_all"  # as an error about its arguments calls it
    value, error = _outcome(test, good)
    if error is None and value is None and not returned:
        return "the test never calls the `sort_all` that it is given."
    if error is not None:
        return f"the test fails for the good version too: {_as_text(error)}"
    if inspect.iscoroutine(value) or inspect.isgenerator(value):
        value.close()
        return "with `async` or `yield` a function does not run when it is called: take that out."
    if value is not None:
        return f"the test returns {value!r}: pytest does not look at that. Write `assert` instead."
    if _outcome(test, good)[1] is not None:
        return "it passes once, and fails the second time: make the agent inside the test, with its script."
    if _outcome(test, broken)[1] is not None:
        return None
    if _outcome(test, lambda agent, tickets: {})[1] is None:
        return (
            "it passes for whatever `sort_all` returns, even an empty dict: "
            "no `assert` looks at the result, or something catches its error."
        )
    kinds = [list(one.values()) for one in returned]
    if not any("unsure" in one for one in kinds):
        return "it passes for the broken version: nothing ever fails in your script, so the bug is asleep."
    if not any("unsure" in one[:-1] for one in kinds):
        return "it passes for the broken version: the failure comes last, so no ticket after it can get lost."
    return "it passes for the broken version: look at the tickets after the failure, or at the whole result."


def _outcome(test, function):
    """Return what a test returned, and the exception that it raised."""
    try:
        return test(function), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # pytest.fail and sys.exit, too
        return None, error


def _as_text(error):
    text = str(error).split("\n")[0]
    if not text:
        return "an assert does not hold." if isinstance(error, AssertionError) else type(error).__name__
    if isinstance(error, RuntimeError) and "script" in text:
        return f"{text} Remember that the program asks twice after a useless reply."
    return f"{type(error).__name__}: {text}"
