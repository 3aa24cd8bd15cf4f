"""Checks of lesson 09: one client in every framework."""

import asyncio
import dis
import inspect
import threading

from checks.exercise import exercise, prediction

predicted_9_messages = prediction(
    "b",
    a="your class would have to know each framework's classes. The adapter turns them into dicts.",
    b="that is what an adapter is for. What the four methods get stays the same.",
    c="then nobody could tell who said what, and lesson 01 gets a list of messages too.",
)
predicted_9_memory = prediction(
    "a",
    a="its agents keep the chat. The other two start afresh with every call.",
    b="classic does so, but each of its descendants decided anew who keeps the history.",
    c="that is true of AG2 and Agent Framework, but not of Microsoft AutoGen: its agents keep the chat.",
)
predicted_9_tool = prediction(
    "c",
    a="that is the second reply of the script, and the model was asked once only.",
    b="the call itself has no text, but the agent went on and ran the tool.",
    c="by default the agent runs the tool and hands over its result, without asking the model again.",
)

FRAMEWORKS = {1: "classic", 2: "Microsoft AutoGen", 3: "AG2", 4: "Agent Framework"}
LINES = {
    "A": (4, "here the model is the first argument, and the system message is called `instructions`"),
    "B": (1, "`llm_config` takes a config list, and only one of the four has such lists"),
    "C": (3, "the model is called `config` here"),
    "D": (2, "the model is called `model_client` here"),
    "E": (3, "who has a method `ask`, and a reply with a `body`?"),
}


@exercise("9a")
def check_9a(answers):
    if not isinstance(answers, dict):
        return 'write a dict with a number for each letter: {"A": 1, ...}.'
    left = [letter for letter in LINES if answers.get(letter, ...) is ...]
    if len(left) == len(LINES):
        return ...
    for letter, (right, why) in LINES.items():
        if letter in left or str(answers[letter]).strip() == str(right):
            continue
        number = str(answers[letter]).strip()
        if number not in "1234" or len(number) != 1:
            return f"{letter}: choose a number from 1 to 4, not {answers[letter]!r}."
        return f"{letter} is not {FRAMEWORKS[int(number)]}: {why}."
    return f"right so far. Still to go: {', '.join(left)}." if left else None


class Shouter:
    """A client whose message_retrieval says something else than its response."""

    def create(self, params):
        self.asked = params["messages"]
        return f"you said {self.asked[-1]['content']!r}"

    def message_retrieval(self, response):
        return [response.upper() + "!"]


@exercise("9b")
def check_9b(cls):
    if not isinstance(cls, type):
        return "hand over the class itself: check_9b(MyAdapter)."
    if not callable(getattr(cls, "answer", None)):
        return "the class should keep its method `answer`, with the blanks filled."
    blanks = sum(line.argval is ... for line in dis.get_instructions(cls.answer))
    if blanks:
        return ... if blanks == 3 else f"{blanks} of the three blanks still to go: look for `...`."
    import agent_framework

    client = Shouter()
    agent = agent_framework.Agent(cls(client), instructions="Be brief.")
    try:
        text = _run(agent.run, "Good morning").text
    except Exception as error:
        return _why(error, client)
    asked = [(said["role"], said["content"]) for said in getattr(client, "asked", [])]
    if not asked:
        return "the client was not asked at all: blank 2 is its method `create`."
    if not isinstance(asked[-1][1], str):
        return (
            f"blank 1: a content is a text, and yours is a {type(asked[-1][1]).__name__}: {asked[-1][1]!r}."
        )
    if asked != [("system", "Be brief."), ("user", "Good morning")]:
        return f"the client should get 'Be brief.' and 'Good morning', it got {asked}. Look at blank 1."
    right = "YOU SAID 'GOOD MORNING'!"
    if text == right:
        return None
    if text.upper() + "!" == right:
        return "blank 3: you took the text out of the response yourself. Ask the client: message_retrieval."
    if text == right[0]:
        return (
            "blank 3: that is the first letter. message_retrieval returns a list: take its first item once."
        )
    return f"the agent should say {right!r}, it says {text!r}. Look at blank 3."


def _why(error, client):
    """Say which blank of 9b an error speaks of."""
    text = str(error)
    if "missing 1 required positional argument: 'params'" in text:
        return "blank 2: hand over the method itself, self.client.create, without brackets behind it."
    if "not callable" in text:
        return "blank 2: it should be a method that can be called: self.client.create."
    if not hasattr(client, "asked"):
        return (
            f"before the client was asked, there was {type(error).__name__}: {text}. Look at blanks 1 and 2."
        )
    if "contents" in text.lower() or "list" in text:
        return "blank 3: message_retrieval returns a list of texts. Take the first: [0]."
    return f"after the client was asked, there was {type(error).__name__}: {text}. Look at blank 3."


@exercise("9c")
def check_9c(forecast):
    from kit import DummyModelClient, tool_call

    if inspect.iscoroutine(forecast):
        forecast.close()
        return "hand over the function itself: check_9c(forecast), without brackets behind it."
    if not callable(forecast):
        return f"hand over your function, not {forecast!r}."
    if not inspect.iscoroutinefunction(forecast):
        return "your function awaits something, so it begins with `async def`."
    question = "How is the weather in Oslo?"
    replies = [tool_call("weather", city="Oslo"), "It is warm in Oslo."]
    client = DummyModelClient({"model": "dummy"}, replies=replies)
    text = _run(forecast, client, question)
    if text is ... and not client.calls:
        return ...
    if not client.calls:
        return "the client was not asked: put an adapter around the `client` that your function gets."
    first, last = client.calls[0], client.calls[-1]
    contents = [said["content"] for said in first["messages"]]
    if contents[-1] != question:
        return f"the client should be asked {question!r}, it was asked {contents[-1]!r}."
    if "You know the weather." not in contents[:1]:
        return f"the system message should be 'You know the weather.', the client got {contents[0]!r} first."
    names = [tool["function"]["name"] for tool in first.get("tools") or []]
    if names != ["weather"]:
        return f"the client should be shown the tool weather, it was shown {', '.join(names) or 'none'}."
    if len(client.calls) == 1:
        return "the tool ran, but the model was not asked again: raise max_tool_iterations."
    result = last["messages"][-1]
    if result["role"] != "tool" or "Oslo" not in str(result["content"]):
        return f"the tool should tell the weather in Oslo, the model got {result['content']!r}."
    if text is ... or text is None:
        return "your function returns nothing: end it with `return` and the text."
    if not isinstance(text, str):
        return f"return the text of the answer: yours is an object of the class {type(text).__name__}."
    return (
        None if text == "It is warm in Oslo." else f"the answer is 'It is warm in Oslo.', yours is {text!r}."
    )


def _run(function, *arguments, limit=20):
    """Return what an async function returns; the notebook's own loop is running, so in a thread."""
    done = []

    async def limited():
        return await asyncio.wait_for(function(*arguments), limit)

    def work():
        try:
            done.append((asyncio.run(limited()), None))
        except BaseException as error:
            done.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit + 1)
    if not done:
        raise TimeoutError("no answer came in time.")
    value, error = done[0]
    if error is not None:
        raise error
    return value
