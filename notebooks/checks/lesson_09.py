"""Checks of lesson 09: one client in every framework."""

import asyncio
import dis
import inspect
import re
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
    b="each framework decided for itself who keeps the chat, and two of the three leave it to you.",
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
    "E": (3, "only one of the four has a method `ask`, and a reply with a `body`"),
}


BY_NAME = {name.lower(): str(number) for number, name in FRAMEWORKS.items()}  # names count, too


@exercise("9a")
def check_9a(answers):
    if isinstance(answers, (list, tuple, str)) and len(answers) == len(LINES):  # in the order of the lines
        answers = dict(zip(LINES, answers, strict=True))
    if not isinstance(answers, dict):
        return 'write a dict with a number for each letter: {"A": 1, ...}.'
    answers = {str(letter).strip().upper(): answer for letter, answer in answers.items()}
    if wrong := [letter for letter in answers if letter not in LINES]:
        return f'the lines are A to E, and there is no {wrong[0]}. Write {{"A": 1, ...}}.'
    left = [letter for letter in LINES if answers.get(letter) in (..., None)]
    if len(left) == len(LINES):
        return ...
    for letter, (right, why) in LINES.items():
        if letter in left:
            continue
        number = str(answers[letter]).strip().lower()
        number = BY_NAME.get(number, number.removesuffix(".0"))
        if number == str(right):
            continue
        if number not in [*"1234"]:
            return f"{letter}: choose a number from 1 to 4, not {answers[letter]!r}."
        return f"{letter} is not {FRAMEWORKS[int(number)]}: {why}."
    return f"right so far. Still to go: {', '.join(left)}." if left else None


class Shouter:
    """A client whose message_retrieval says something else than its response."""

    def create(self, params):
        self.got = params
        self.asked = params["messages"]
        return f"you said {self.asked[-1]['content']!r}"

    def message_retrieval(self, response):
        return [response.upper() + "!"]


TALK = [("user", "Good morning"), ("assistant", "And to you."), ("user", "Who am I?")]


@exercise("9b")
def check_9b(cls):
    if not isinstance(cls, type):
        return "hand over the class itself: check_9b(MyAdapter)."
    import agent_framework

    if not issubclass(cls, agent_framework.BaseChatClient):
        return "the class should be a BaseChatClient, as in the cell above."
    method = getattr(cls, "answer", cls._inner_get_response)
    blanks = sum(line.argval is ... for line in dis.get_instructions(method))
    if blanks:
        return ... if blanks == 3 else f"{blanks} of the three blanks still to go: look for `...`."
    client = Shouter()
    agent = agent_framework.Agent(cls(client), instructions="Be brief.")
    try:
        text = _run(agent.run, [agent_framework.Message(role, [text]) for role, text in TALK]).text
    except Exception as error:
        if not hasattr(cls, "answer"):  # an adapter written afresh has no blanks
            raise
        return _why_9b(error, _names_in(method, error), client)
    if not hasattr(client, "asked"):
        return "blank 2: your client was not asked. It is `self.client`, and its method is `create`."
    wanted, got = [text for _, text in TALK], [message.get("content") for message in client.asked[1:]]
    for content in got:
        if not isinstance(content, str):
            kind = "None" if content is None else f"a {type(content).__name__}"
            return f"blank 1: a content is a text, and yours is {kind}."
    if got != wanted:
        return f"blank 1: after the system message, the contents should be {wanted}, they are {_short(got)}."
    right = "YOU SAID 'WHO AM I?'!"
    if text == right:
        return None
    if not text:
        return "blank 3: there is no text in it. (`print` shows a text, and gives None.)"
    if text.upper() + "!" == right:
        return "blank 3: that is the response itself. Ask the client for its text: message_retrieval."
    if text.upper() in right[:-1] and text != right[0]:
        return "blank 3: you took the text out of the response yourself. Ask the client: message_retrieval."
    if text == right[0]:
        return (
            "blank 3: that is the first letter. message_retrieval returns a list: take its first item once."
        )
    if text == repr([right]):
        return "blank 3: that is a whole list, made into a text. Take its first item: [0]."
    return f"blank 3: the agent should say {right!r}, it says {_short(text)}."


def _why_9b(error, names, client):
    """Say which blank of 9b an error speaks of, by the names that the method had when it failed."""
    what = f"{type(error).__name__}: {error}"
    was_asked = hasattr(client, "asked")
    if "response" not in names and len(names.get("history", ())) <= len(TALK):
        if "not callable" in what:
            return "blank 1: the text is an attribute of the message, not a method: no brackets behind it."
        return f"blank 1: {what}. Which attribute of a response held its text, under Agent Framework?"
    if "response" not in names:
        if was_asked or hasattr(client, "got") or "missing 1 required positional argument: 'params'" in what:
            return "blank 2: hand over the method itself, self.client.create, without brackets behind it."
        return f"blank 2: {what}. It should be a method of your client: self.client.create."
    if inspect.iscoroutine(names["response"]):
        names["response"].close()
        return "the line of blank 2 needs its `await`: without it, nothing was done yet."
    if not was_asked:
        return "blank 2: your client was not asked. It is `self.client`, and its method is `create`."
    if isinstance(names.get("text"), list):
        return "blank 3: message_retrieval returns a list of texts. Take the first: [0]."
    if "text" in names:
        return f"blank 3: it should be a text, and yours is a {type(names['text']).__name__}."
    if isinstance(error, AttributeError) and repr(type(names["response"]).__name__) in what:
        return "blank 3: only the client knows what its response looks like. Ask it: message_retrieval."
    return f"blank 3: {what}. Give the response to self.client.message_retrieval, and take the first text."


def _names_in(function, error):
    """Return the local names of a function as they were when an error went through it."""
    place = error.__traceback__
    while place and place.tb_frame.f_code is not function.__code__:
        place = place.tb_next
    return dict(place.tb_frame.f_locals) if place else {}


def _short(value):
    return re.sub(r" at 0x\w+", "", repr(value))[:200]


@exercise("9c")
def check_9c(forecast):
    from kit import DummyModelClient, tool_call

    if inspect.iscoroutine(forecast):
        forecast.close()
        return "hand over the function itself: check_9c(forecast), without brackets behind it."
    if not callable(forecast):
        return f"hand over your function, not {forecast!r}."
    if inspect.isasyncgenfunction(forecast):
        return "end your function with `return` and the text: `yield` makes something else of it."
    question = "How is the weather in Oslo?"
    replies = [tool_call("weather", city="Oslo"), "It is warm in Oslo."]
    client = DummyModelClient({"model": "dummy"}, replies=replies)
    try:
        inspect.signature(forecast).bind(client, question)
    except TypeError:
        return "your function takes two arguments: a client and a question."
    if [*inspect.signature(forecast).parameters] == ["question", "client"]:
        return "the client comes first, then the question."
    is_async = True

    async def awaited():
        nonlocal is_async
        answer = forecast(client, question)
        is_async = inspect.isawaitable(answer)
        return await answer if is_async else answer

    try:
        text = _run(awaited)
    except Exception as error:
        return _why_9c(error)
    if text is ... and not client.calls:
        return ...
    if not is_async:
        return "your function awaits something, so it begins with `async def`."
    if inspect.isawaitable(text):
        getattr(text, "close", int)()
        return "what your function returns has still to be awaited: put `await` before it, and take its text."
    if not client.calls:
        return "the client was not asked: put an adapter around the `client` that your function gets."
    first, last = client.calls[0], client.calls[-1]
    if "model_client_cls" in first:
        return "that is classic still, inside an async function. Make an agent of a newer framework."
    contents = [message["content"] for message in first["messages"]]
    if contents[-1] != question:
        return f"the client should be asked {question!r}, it was asked {contents[-1]!r}."
    if contents[0].strip(" .") != "You know the weather":
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


def _why_9c(error):
    """Say what an error means that came out of a `forecast`."""
    text = str(error)
    if "ellipsis" in text.lower():
        return "there are still dots in it: put something in the place of each `...`."
    if "'coroutine' object" in text:
        return (
            "an `await` is missing or comes too late. Await first, in brackets: (await agent.run(...)).text"
        )
    if "running event loop" in text:
        return "asyncio.run is for a program outside of a notebook. Here, `await` the call."
    if "The script has" in text:
        return (
            "the client should be asked twice, for the tool and for the answer: yours was asked more often."
        )
    if "is a class: pass" in text:
        return f"the adapter should get the `client` that your function gets, and not its class. ({text})"
    if "ModelClientFor" in text:
        return f"the adapter is for another framework than the agent. ({text})"
    if "DummyModelClient" in text:
        return f"the agent got your client itself, which it does not know. Put an adapter around it. ({text})"
    what = f"using your answer raised {type(error).__name__}: {text}"
    if re.search("TaskResult|AgentReply|AgentResponse|AgentRun|BaseChatAgent", text):
        return f"{what}. How to ask, and where the text is: see the first cell of your framework."
    return what


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
