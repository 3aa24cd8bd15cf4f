"""Checks of lesson 07: tools."""

import ast
import contextlib
import copy
import inspect
import json
import re

from checks.exercise import exercise, prediction

predicted_7_arguments = prediction(
    "c",
    a="it would be, if the arguments were a dict. They only look like one.",
    b="that is what a dict without this key would raise. There is no dict here.",
    c="the arguments are one string of JSON, and a string has no place named 'city'.",
)

predicted_7_lost = prediction(
    "c",
    a="it would, if the client were still there. The new tool took its place away.",
    b="a client need not know the tools beforehand: they come with each request. But it gets no request.",
    c="for the new tool AutoGen made the agent's clients anew, with an empty place where yours was.",
)

predicted_7_who_runs = prediction(
    "b",
    a="the assistant knows the function's description only. It was registered there with register_for_llm.",
    b="register_for_execution gave the function to the user, and the user runs what it is asked to run.",
    c="a model client returns messages and runs nothing. The dummy does not even have the function.",
)

predicted_7_texts = prediction(
    "a",
    a="a text has no place for a call. What is left of the message is its content, and that is empty.",
    b="AutoGen sees only what message_retrieval returns. It does not go back to the response for the call.",
    c="one could wish for it. But an empty text is a reply like any other, and AutoGen says nothing.",
)

predicted_7_misspelled = prediction(
    "b",
    a="what goes wrong with a tool does not leave the chat: it becomes the result of the call.",
    b="the result of the call is an error in words. The model reads it, and may call again.",
    c="AutoGen compares names letter by letter, and takes no other function instead.",
)

WRONG_WITH_CALLS = {  # the right choice, and why the others are not
    "A": (1, "Look at the value of 'arguments': what type does Python say it has?"),
    "B": (2, "All fields are there. Try json.loads on its arguments, and look at the quotation marks."),
    "C": (3, "Compare its fields with those of A, one after the other."),
    "D": (5, "Its arguments give a city with an ü, and the other fields are there too."),
}
NOT_SO = {
    (1, "*"): "its arguments are a string already.",
    (2, "A"): "its arguments are not a string at all, JSON or not: that comes first.",
    (2, "*"): "json.loads reads its arguments without an error.",
    (3, "*"): "it has an 'id', so its result can be told apart from others.",
    (4, "*"): "the tool is named weather, and that is the name it calls.",
    (5, "*"): "something is wrong with it.",
}


@exercise("7a")
def check_7a(answers):
    if isinstance(answers, (list, tuple)) and len(answers) == 4:
        answers = dict(zip("ABCD", answers, strict=True))
    if not isinstance(answers, dict):
        return f"keep the dict, with a number for each of A, B, C and D, not {answers!r}."
    answers = {str(letter).strip().upper(): choice for letter, choice in answers.items()}
    for letter, (right, where) in WRONG_WITH_CALLS.items():
        if letter not in answers:
            return f"{letter} is missing: write a number for each of A, B, C and D."
        if answers[letter] is ...:
            return ...
        choice = str(answers[letter]).strip()
        if choice not in ("1", "2", "3", "4", "5"):
            return f"{letter}: choose a number from 1 to 5, not {answers[letter]!r}."
        if int(choice) != right:
            reason = NOT_SO.get((int(choice), letter)) or NOT_SO[int(choice), "*"]
            return f"{letter} is not {choice}: {reason} {where}"
    return None


def _response(*answers):
    """Return a response of the dummy client with one choice for each of these answers."""
    from kit import DummyModelClient

    client = DummyModelClient({"model": "dummy"}, replies=[list(answers)])
    return client.create({"messages": [{"role": "user", "content": "Hi"}], "n": len(answers)})


def _calls(reply):
    """Return the tool calls of a message, as AutoGen finds them in an object or a dict."""
    return reply.get("tool_calls") if isinstance(reply, dict) else getattr(reply, "tool_calls", None)


@exercise("7b")
def check_7b(cls):
    from kit import tool_call

    if not isinstance(cls, type):
        return f"hand over the class itself, not {cls!r}."
    call = tool_call("weather", city="Paris")
    beside = call.model_copy(update={"content": "Let me look."})
    client = cls({"model": "dummy", "model_client_cls": cls.__name__})
    got = client.message_retrieval(_response("Hello!", call, beside))
    if any(reply is ... for reply in got or []):
        return ...
    if not isinstance(got, (list, tuple)) or len(got) != 3:
        return f"three choices should give a list of three replies, not {got!r}. Look at the `return`."
    text, *messages = got
    if not isinstance(text, str):
        return "a choice that calls no tool should give its text: look at the condition after `if`."
    if text != "Hello!":
        return f"the text of the first choice is 'Hello!', yours is {text!r}."
    for message, content in zip(messages, ("", "Let me look."), strict=True):
        if mistake := _not_whole(message, content):
            return mistake
    return None


def _not_whole(message, content):
    """Return what is wrong with what stands for a message that calls a tool, and has this content."""
    if message == content:
        if content:
            return "a message may hold a text *and* a call, and this call got lost: ask for `tool_calls`."
        return "the call got lost: a choice whose message has `tool_calls` must give the whole message."
    if isinstance(message, (list, tuple)):
        if message and _calls(message[0]):
            return "that is a list with the message in it: append choice.message itself."
        return "those are the calls alone. AutoGen wants the message that holds them: choice.message."
    if isinstance(message, str):
        return "that is a text about the call. AutoGen wants the message itself: choice.message."
    if hasattr(message, "choices"):
        return "that is the whole response. The message of this choice is choice.message."
    if hasattr(message, "message"):
        return "that is the whole choice. The message in it is choice.message."
    if hasattr(message, "function") or hasattr(message, "arguments"):
        return "that is a part of the message. AutoGen wants the whole of it: choice.message."
    if getattr(message, "content", None) == "Hello!":
        return "that is the message of another choice. The loop has the one it is at in `choice`."
    calls = _calls(message)
    if not calls:
        return f"the call got lost: for a choice that calls a tool you return {message!r}."
    if isinstance(message, dict) and not all(isinstance(call, dict) for call in calls):
        return "AutoGen can't read objects in a dict: append choice.message itself, or its model_dump()."
    return None


@exercise("7c")
def check_7c(answer):
    tool, script = answer
    if tool is ... or script is ...:
        return ...
    tool = getattr(tool, "func", tool)  # a function that was registered already
    name = getattr(tool, "__name__", "")
    if not inspect.isroutine(tool) or inspect.isbuiltin(tool) or not name.isidentifier():
        return f"my_tool should be a function that was made with `def`, not {tool!r}."
    if mistake := _untyped(tool) or _no_script(script):
        return mistake
    history = _chat(tool, script)
    called = [call["function"] for message in history for call in message.get("tool_calls") or []]
    if not called:
        return "nobody called the tool: the first reply of my_script should be a tool_call(...)."
    replies = [response for message in history for response in message.get("tool_responses") or []]
    used = [reply["content"] for reply in replies if not reply["content"].startswith("Error: ")]
    if not used:
        return _why_not_run(name, called[0], replies)
    last = history[-1]
    if last.get("tool_calls") or last.get("tool_responses"):
        return "the chat ends with the tool's result: add an answer in words to my_script."
    content = str(last.get("content") or "")
    if not any(_says(content, part) for text in used for part in _parts(text)):
        if used[-1] == "None":
            return "the tool returned nothing. Does it print its result instead of returning it?"
        return f"the tool returned {used[-1]!r}, and the last message does not say so: {content!r}."
    return None


def _untyped(tool):
    """Return what is said about arguments that have no type, None where all have one."""
    fields = inspect.signature(tool).parameters.values()
    bare = [field.name for field in fields if field.annotation is field.default is field.empty]
    return bare and f"each argument needs a type, and `{bare[0]}` has none: `{bare[0]}: int`, for example."


def _no_script(script):
    """Return why something can't be the replies of a dummy, None if it can."""
    if callable(script):
        return None
    if not isinstance(script, (list, tuple)) or not script:
        return "my_script should be a list: first the call, then the answer."
    for item in script:
        if isinstance(item, (list, tuple)) and len(item) != 1:
            return "there is a list in the list: my_script is one list, with the call and the answer in it."
        if not (item is ... or isinstance(item, (str, dict, list, tuple)) or hasattr(item, "tool_calls")):
            return f"my_script has {item!r} in it: tool_call(...) makes a call, an answer is text in quotes."
    return None


def _says(content, part):
    """Return whether a text has this in it; of a number any way to write it."""
    number = r"(?<![\w.])-?\d+(?:\.\d+)?"
    if re.fullmatch(number, part):
        said = re.findall(number, re.sub(r"(?<=\d),(?=\d{3})", "", content))
        return float(part) in map(float, said)
    return bool(part and re.search(rf"(?<!\w){re.escape(part)}(?!\w)", content.lower()))


def _parts(text):
    """Return the texts and numbers in a result, in lower case: of a list or dict its items, else itself."""
    value = text
    for read in (ast.literal_eval, json.loads):  # AutoGen writes some types as Python, others as JSON
        with contextlib.suppress(ValueError, SyntaxError):
            value = read(text)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [text]
    return [str(item).strip(" .!?\n").lower() for item in items]


def _chat(tool, script):
    """Return the messages of a chat in which the tool can be called."""
    from autogen import AssistantAgent, LLMConfig, UserProxyAgent

    from kit import DummyModelClient

    entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
    assistant = AssistantAgent("assistant", llm_config=LLMConfig(entry), system_message="Use your tool.")
    user = UserProxyAgent(
        "user",
        human_input_mode="NEVER",
        code_execution_config=False,
        is_termination_msg=lambda message: not message.get("tool_calls"),
    )
    assistant.register_for_llm(name=tool.__name__, description="A tool of the learner's.")(tool)
    user.register_for_execution(name=tool.__name__)(tool)
    assistant.register_model_client(DummyModelClient, replies=copy.deepcopy(script))
    try:
        user.initiate_chat(assistant, message="Go!", max_turns=10, silent=True)
    except RuntimeError as error:  # the script ended before the chat did
        if "The script has" not in str(error):
            raise
    return user.chat_messages[assistant]


def _why_not_run(name, call, replies):
    """Return why a call did not reach the function, or what the function raised."""
    if call["name"] != name:
        return f"my_script calls {call['name']!r}, and the tool's name is {name!r}."
    try:
        json.loads(call["arguments"])
    except (TypeError, ValueError):
        return f"the arguments are not valid JSON: {call['arguments']!r}. tool_call(...) writes them for you."
    results = " ".join(reply["content"] for reply in replies).split("For further information")[0]
    return f"the call was made, and the tool did not return: {results.strip()}"
