"""Checks of lesson 03: registering and chatting."""

import copy
import dis
import re
import traceback

from checks.exercise import exercise, prediction

QUESTION = [{"role": "user", "content": "Pretty bird"}]

predicted_3_not_registered = prediction(
    "c",
    a="a name in an entry is only text. AutoGen never looks for the class: you hand it over.",
    b="AutoGen makes an OpenAI client only for an entry without `model_client_cls`.",
    c="until a class is registered, a placeholder keeps its place, and that can't answer.",
)
predicted_3_history = prediction(
    "c",
    a="a model remembers nothing from one call to the next, so what is new would not be enough.",
    b="then the model would not know what it said itself a moment ago: it remembers nothing.",
    c="the system message and the whole chat so far, two messages more each time.",
)
predicted_3_two_entries = prediction(
    "b",
    a="the first one could answer, but AutoGen refuses while any place is empty.",
    b="AutoGen refuses to start while any place is empty, used or not.",
    c="one call of register_model_client fills one place, the first that is empty.",
)


def letters_of(order):
    """Return the letters of an answer such as "BACD", ["b", "a"] or "B, A", None where it has no order."""
    if isinstance(order, (list, tuple)) and all(isinstance(letter, str) for letter in order):
        order = "".join(order)
    return re.sub(r"[\W_]", "", order).upper() if isinstance(order, str) else None


@exercise("3a")
def check_3a(order):
    order = letters_of(order)
    if order is None or sorted(order) != list("ABCD"):
        return 'use each of the letters A, B, C and D once, for example list("ABCD").'
    if order.index("B") > order.index("A"):
        return "the agent (A) is made from the config list (B): the list comes first."
    if order.index("C") < order.index("A"):
        return "only an agent that exists can register a class: A before C."
    if order.index("D") < order.index("C"):
        return "the chat (D) would raise 'are not activated': register (C) before it."
    return None


@exercise("3b")
def check_3b(make_shouter):
    if not callable(make_shouter) or isinstance(make_shouter, type):
        return "hand over the function itself: check_3b(make_shouter), without brackets behind it."
    blanks = sum(line.argval is ... for line in dis.get_instructions(make_shouter))
    if blanks:
        return ... if blanks == 3 else f"{blanks} of the three blanks still to go: look for `...`."
    try:
        agent = make_shouter()
    except Exception as error:
        return _why_no_agent(error)
    if agent is None:
        return "`make_shouter` returns nothing: end it with `return agent`."
    if not hasattr(agent, "generate_reply"):
        return f"`make_shouter` returns a {type(agent).__name__}: end it with `return agent`."
    if not getattr(agent, "client", None):
        return "the agent has no model: blank 2 makes an LLMConfig of the entry."
    if "PlaceHolder" in type(agent.client._clients[0]).__name__:
        return "no class is registered: the line with `register_model_client` is missing."
    reply = agent.generate_reply(messages=QUESTION)
    if reply == "PRETTY BIRD":
        return None
    if type(agent.client._clients[0]).__name__ != "Shouter":
        return "another class than Shouter answers: name Shouter in the entry, and register Shouter."
    return f"asked 'Pretty bird', it said {reply!r}, not 'PRETTY BIRD'."


def _why_no_agent(error):
    """Say which blank of 3b an error speaks of."""
    text = str(error)
    if "make_agent" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]:
        return "blank 2: `make_agent` makes a whole agent. An LLMConfig goes there: LLMConfig(entry)."
    if "model_client_cls" in text and "valid string" in text:
        return 'blank 1: the entry names the class as text, in quotes: "Shouter".'
    if "was not found in the config_list" in text:
        return "the text in blank 1 and the name of the class in blank 3 differ."
    if "missing 1 required positional argument: 'config'" in text:
        return (
            "`Shouter()` makes a client, and that is AutoGen's work. Blank 1 is its name in quotes, "
            "blank 3: the class itself, without brackets."
        )
    if "missing 1 required positional argument: 'model_client_cls'" in text:
        return "blank 3 is empty: hand over the class, Shouter."
    if "has no attribute '__name__'" in text:
        return "blank 3: hand over the class itself, Shouter, without quotes and without brackets."
    if "LLMConfig" in text or "not a mapping" in text or "'register_model_client'" in text:
        return "blank 2: LLMConfig takes the entry as it is: LLMConfig(entry)."
    return f"calling make_shouter() raised {type(error).__name__}: {text.splitlines()[0]}"


@exercise("3c")
def check_3c(replies):
    from autogen import ConversableAgent, LLMConfig, UserProxyAgent

    from kit import DummyModelClient

    if isinstance(replies, str):
        return "one text answers every time: write a list of three texts."
    if not isinstance(replies, (list, tuple)) and not callable(replies):
        return f"write a list of three texts, in square brackets: it is of type {type(replies).__name__}."
    if isinstance(replies, (list, tuple)):
        for reply in replies:
            if reply is not ... and not isinstance(reply, (str, list, tuple, dict)):
                return f"each reply is a text in quotes, and {reply!r} is none."
        if len(replies) < 3:
            held = "no reply" if not replies else "1 text" if len(replies) == 1 else "2 texts"
            return f"the list holds {held}: it takes three, in quotes, with commas between them."
    entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
    agent = ConversableAgent("assistant", llm_config=LLMConfig(entry), human_input_mode="NEVER")
    agent.register_model_client(DummyModelClient, replies=copy.copy(replies))
    user = UserProxyAgent(
        "user", human_input_mode="NEVER", code_execution_config=False, default_auto_reply="Go on."
    )
    try:
        user.initiate_chat(agent, message="Hello!", silent=True, max_turns=10)
    except RuntimeError:
        return "the chat did not end: the third reply must be exactly 'TERMINATE', nothing else."
    calls = len(agent.client._clients[0].calls)
    times = "once" if calls == 1 else f"{calls} times"
    return None if calls == 3 else f"the assistant should speak 3 times, it spoke {times}."


@exercise("3d")
def check_3d(agent):
    if isinstance(agent, type):
        return f"`my_agent` is the class {agent.__name__}, and should be an agent: AssistantAgent(...)."
    if not hasattr(agent, "generate_reply"):
        return f"`my_agent` should be an agent, and it is a {type(agent).__name__}: AssistantAgent(...)."
    if not getattr(agent, "client", None):
        return "the agent has no model: give it an llm_config."
    entries = agent.llm_config.config_list
    names = [entry.get("model_client_cls") for entry in entries]
    if set(names) != {"Parrot"}:
        return f"each entry should name the class Parrot, the list names {names}."
    models = [entry.get("model") for entry in entries]
    if sorted(models) != ["polly", "rocco"]:
        return f"the list should have two entries, for polly and rocco, it has {models}."
    empty = sum("PlaceHolder" in type(client).__name__ for client in agent.client._clients)
    if empty:
        left = "nothing is registered yet" if empty == 2 else "one entry has its client, the other has none"
        return f"{left}: it takes one call of register_model_client for each entry."
    reply = agent.generate_reply(messages=QUESTION)
    return None if reply == "Pretty bird!" else f"asked 'Pretty bird', it said {reply!r}."
