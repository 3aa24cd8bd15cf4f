"""Checks of lesson 10: one model for the class. None of them needs the server."""

import inspect
import re
import threading
import time

from checks.exercise import exercise, prediction

predicted_10_register = prediction(
    "c",
    a="the model runs in the server's process. Registering this class would load it here once more.",
    b="such a class exists already: AutoGen brings its own client for servers that speak OpenAI's protocol.",
    c="an entry without `model_client_cls` gets AutoGen's own client, ready to use.",
)
predicted_10_four = prediction(
    "a",
    a="each step reads the weights from memory once, for all four, and that takes most of its time.",
    b="so it would be if each reply were computed for itself. Here one step computes a token of all four.",
    c="there is some overhead. But a step for four takes little more time than a step for one.",
)
predicted_10_restart = prediction(
    "b",
    a="the server keeps nothing of a chat: the agent has its messages, and sends them all with each request.",
    b="the agent holds the messages of the chat, and its client is only an address.",
    c="the agent holds an address and no connection: the next request finds the new server there.",
)

SERVER = "http://teacher:8000"
KEY = "class-practice"


# 10a ---------------------------------------------------------------------------------------------

RIGHT = {"A": "entry", "B": "client", "C": "client", "D": "entry", "E": "client", "F": "entry"}
CASES = {"entry": "an entry alone", "client": "a client of your own"}
WRONG = {
    "A": "Ollama speaks OpenAI's protocol, so base_url is all that AutoGen needs.",
    "B": "its protocol is not OpenAI's, so somebody has to translate. That is what `create` is for.",
    "C": "a server hands out texts. What goes on inside the model is only to be had in your own process.",
    "D": "the server speaks the same protocol on the other machine: only base_url changes.",
    "E": "a test should need no server and get the same reply each time: a dummy client does.",
    "F": "it speaks OpenAI's protocol, so a client of your own would only repeat AutoGen's.",
}


@exercise("10a")
def check_10a(choices):
    if isinstance(choices, (list, tuple)) and len(choices) == len(RIGHT):  # in the order of the cases
        choices = dict(zip(RIGHT, choices, strict=True))
    if isinstance(choices, dict):
        choices = {str(letter).strip().upper(): choice for letter, choice in choices.items()}
    if not isinstance(choices, dict) or not set(choices) <= set(RIGHT):
        return 'write a dict with the letters A to F, and "entry" or "client" for each.'
    left = [letter for letter in RIGHT if choices.get(letter) in (..., None)]
    if len(left) == len(RIGHT):
        return ...
    for letter, right in RIGHT.items():
        if letter in left:
            continue
        choice = str(choices[letter]).strip().lower()
        if choice not in CASES:
            return f'{letter} is {choices[letter]!r}: choose "entry" or "client".'
        if choice != right:
            return f"{letter} is not a case for {CASES[choice]}: {WRONG[letter]}"
    return f"right so far. Still to go: {', '.join(left)}." if left else None


# 10b ---------------------------------------------------------------------------------------------

ANNA = {"model": "SmolLM2-135M-Instruct", "base_url": f"{SERVER}/v1", "api_key": KEY, "price": [0, 0]}
BEN = {"model": "class-model", "base_url": SERVER, "api_key": KEY, "price": [0, 0], "max_tokens": 4096}
CLEO = {
    "model": "class-model",
    "base_url": f"{SERVER}/v1",
    "api_key": KEY,
    "price": [0, 0],
    "params": {"max_length": 100},
}
NAMES = ("anna", "ben", "cleo")
NOT_SENT = {"api_type", "base_url", "api_key", "max_retries", "price", "tags", "timeout"}


@exercise("10b")
def check_10b(entries):
    if isinstance(entries, dict):
        named = {str(name).lower(): entry for name, entry in entries.items()}
        entries = [named.get(name, ...) for name in NAMES]
    entries = () if isinstance(entries, (str, int)) else tuple(entries)
    if len(entries) != 3 or ... in entries:
        return "hand over the three entries: check_10b((anna, ben, cleo))."
    if entries == (ANNA, BEN, CLEO):
        return ...
    for name, entry in zip(NAMES, entries, strict=True):
        if error := _error(entry):
            return f"{name}: {error}"
    limit = entries[2].get("max_tokens") or entries[2].get("max_completion_tokens")
    if limit is None:
        return "cleo: the server answers her now, but nothing limits her replies to 100 tokens."
    return f"cleo: she wants at most 100 tokens, and {limit} are allowed." if limit > 100 else None


def _error(entry):
    """Return what the server of the class, or the package openai before it, would say to an entry."""
    from openai.resources.chat.completions import Completions

    from kit.classroom.request import Refused, Rules, check_request

    if not isinstance(entry, dict):
        return f"an entry is a dict, not {repr(entry)[:60]}"
    if "model_client_cls" in entry:
        return "it names a class now, which would have to be registered. This server needs none."
    if not entry.get("api_key"):
        return "OpenAIError: Missing credentials. Leave the key of the class in the entry."
    known = inspect.signature(Completions.create).parameters
    for field in entry:
        if field not in known and field not in NOT_SENT:
            return (
                f"TypeError: Completions.create() got an unexpected keyword argument {field!r}. "
                "AutoGen's own client takes OpenAI's fields only: what is the limit of a reply called there?"
            )
    url = str(entry.get("base_url") or "").rstrip("/")
    if not url:
        return "there is no base_url, so this asks OpenAI's own service."
    if not f"{url}/".startswith(f"{SERVER}/"):
        return f"APIConnectionError: Connection error. The server of the class is at {SERVER}."
    if url != f"{SERVER}/v1":
        return 'NotFoundError 404: "base_url" has to end in /v1.'
    if entry["api_key"] != KEY:
        return "AuthenticationError 401: The key is not this server's. It was right before."
    rules = Rules(KEY, "class-model", max_tokens=256, max_prompt_tokens=2048)
    sent = {field: value for field, value in entry.items() if field not in NOT_SENT}
    try:
        check_request({**sent, "messages": [{"role": "user", "content": "Hi"}]}, rules)
    except Refused as refused:
        return f"the server says: {refused.status} {refused.message}"
    return None


# 10c ---------------------------------------------------------------------------------------------

QUESTION = "What is the capital of France?"
AGENTS = ("anna", "ben", "cleo", "dan", "eve")


@exercise("10c")
def check_10c(ask_all):
    if not callable(ask_all) or isinstance(ask_all, type):
        return "hand over the function itself: check_10c(ask_all), without brackets behind it."
    if inspect.iscoroutinefunction(ask_all):
        return "begin the function with `def`: an `async` one gives a coroutine, and no replies."
    if blanks := _blanks(getattr(ask_all, "__code__", None)):
        return ... if blanks == 3 else f"{blanks} of the three blanks still to go: look for `...`."
    try:
        inspect.signature(ask_all).bind([], QUESTION)
    except TypeError:
        return "it takes two arguments: agents and question."
    together = threading.Barrier(len(AGENTS))
    alone, asked = [], []

    def reply_of(name):
        def reply(messages):
            asked.append(messages[-1]["content"])
            try:
                together.wait(timeout=0.4)
            except threading.BrokenBarrierError:
                alone.append(name)
            time.sleep(0.02 * (len(AGENTS) - AGENTS.index(name)))  # the first one answers last
            return f"{name} says Paris."

        return reply

    try:
        replies = ask_all([_agent(reply_of(name), name) for name in AGENTS], QUESTION)
    except (TypeError, AttributeError, AssertionError, NameError) as error:
        if hint := _which_blank(str(error)):
            return hint
        raise
    wanted = [f"{name} says Paris." for name in AGENTS]
    if replies is None:
        return "it returns nothing: begin the last line with `return`."
    if isinstance(replies, dict):
        return "a dict came back: return the replies alone, as a list."
    if not isinstance(replies, (list, tuple)):
        return f"a {type(replies).__name__} came back, not a list: put `list(...)` around it."
    if len(replies) == len(AGENTS) and all(hasattr(reply, "result") for reply in replies):
        return "those are futures, promises of a reply: take the `.result()` of each."
    if any(callable(reply) for reply in replies):
        return "those are functions, not replies: who calls them?"
    if replies and asked and all(reply is None for reply in replies):
        return "all replies are None. (`print` shows a reply, and gives None.)"
    if len(asked) < len(AGENTS):
        return f"{len(asked)} of the {len(AGENTS)} agents were asked: look at the first blank."
    if any(question != QUESTION for question in asked):
        return f"the agents were asked {asked[0]!r}, not the question: hand over `messages`."
    if sorted(map(str, replies)) == sorted(wanted) and list(replies) != wanted:
        return f"the order is not that of the agents: it begins with {replies[0]!r}. `pool.map` keeps it."
    if list(replies) != wanted:
        return f"the replies should be {wanted}, yours are {list(replies)}."
    if alone:
        return "the replies are right, but the agents did not answer at once: one thread for each is needed."
    return None


def _which_blank(text):
    """Say which blank of 10c an error speaks of, None if of none."""
    if "'list' object has no attribute" in text:
        return "one call is for one `agent`: somewhere the list of all stands in its place."
    if "'str' object has no attribute 'get'" in text or "messages=None" in text:
        return "the first blank: what the agent gets is a list with a dict, `messages=messages`."
    if "initiate_chat" in text:
        return "the first blank: a reply comes from `generate_reply`, as in `tell`."
    if "required positional argument: 'agent'" in text or "name 'agent' is not defined" in text:
        return "the third blank: `ask` alone. With ( ) behind it, it is called right there, without an agent."
    if "not supported between" in text:
        return "the second blank is a number: how many agents there are, `len(agents)`."
    if "is not callable" in text:
        return "the third blank is the function that every thread calls: its name, `ask`."
    return None


def _blanks(code):
    """Count the `...` in a function and in those inside it."""
    if code is None:
        return 0
    import dis

    here = sum(line.argval is ... for line in dis.get_instructions(code))
    return here + sum(_blanks(const) for const in code.co_consts if hasattr(const, "co_code"))


def _agent(replies, name="assistant"):
    from autogen import AssistantAgent, LLMConfig

    from kit import DummyModelClient

    entry = {"model": "class-model", "model_client_cls": "DummyModelClient"}
    agent = AssistantAgent(name, llm_config=LLMConfig(entry), system_message="Be brief.")
    agent.register_model_client(DummyModelClient, replies=replies)
    return agent


# 10d ---------------------------------------------------------------------------------------------

MANY = 20  # after so many failures the server is there after all, so that no loop runs for ever


@exercise("10d")
def check_10d(ask_patiently):
    if not callable(ask_patiently):
        return "write a function, def ask_patiently(agent, question, tries=5, pause=2.0): ..."
    if inspect.iscoroutinefunction(ask_patiently) or inspect.isgeneratorfunction(ask_patiently):
        return "write a plain function: `def` without `async`, and `return` in place of `yield`."
    try:
        inspect.signature(ask_patiently).bind("agent", QUESTION, tries=3, pause=0.1)
    except TypeError:
        return "it takes four arguments: agent, question, tries and pause."
    for find_mistake in (_first_time, _third_time, _never, _wrong_key):
        if (mistake := find_mistake(ask_patiently)) is not None:
            return mistake
    return None


def _first_time(ask_patiently):
    reply, error, calls, _ = _tried(ask_patiently, failures=0, tries=3, pause=0.01)
    if error is None and reply is ...:
        return ...
    if not calls and error is None:
        return f"the agent was never asked, and {reply!r} came back: call agent.generate_reply(messages=...)."
    if error is not None and "ellipsis" in str(error):
        return "there are still dots in it: put something in the place of each `...`."
    if error is not None and "'str' object has no attribute 'get'" in str(error):
        return "`messages` is a list with a dict, as in the cells above: the question is its content."
    if error is not None:
        answered = "the agent answered" if calls else "the server is up"
        return f"{answered}, and still it raises {type(error).__name__}: {error}"
    if len(calls) > 1:
        return f"the server answered at once, and the agent was asked {len(calls)} times: return its reply."
    if calls[0] != QUESTION:
        return f"the agent was asked {calls[0]!r}, not the question."
    if reply != "Paris.":
        return f"the agent said 'Paris.', and {reply!r} came back: return its reply."
    return None


def _third_time(ask_patiently):
    reply, error, calls, seconds = _tried(ask_patiently, failures=2, tries=3, pause=0.05)
    if error is not None and _refused(error) and len(calls) == 1:
        return (
            "the first failure comes out of it: put a `try` around the call, inside the loop, "
            "with `except openai.APIConnectionError`."
        )
    if error is not None:
        return f"the third try had an answer, but try {len(calls)} ended in {type(error).__name__}: {error}"
    if reply != "Paris.":
        return f"the third try had an answer, but {reply!r} came back, after {len(calls)} tries."
    if seconds < 0.08:
        return "it asks again at once: wait `pause` seconds after a failure, with time.sleep."
    if seconds > 1:
        return f"with pause=0.05 it waited {seconds:.1f} s: sleep as long as `pause` says."
    return None


def _never(ask_patiently):
    reply, error, calls, _ = _tried(ask_patiently, failures=MANY, tries=4, pause=0.01)
    if len(calls) > MANY:
        return f"the server never answered, and after {MANY} tries it still goes on: stop after `tries`."
    if error is None:
        return f"the server never answered, and {reply!r} came back, as if all was well: raise an error."
    if len(calls) != 4:
        return f"with tries=4 the agent should be asked 4 times in all, it was asked {len(calls)} times."
    if _refused(error) and "4" not in str(error):
        return f"in the end it raises {type(error).__name__}: {error} Raise an error of yours that says more."
    if not re.search(r"\b(4|four)\b", str(error)):
        return f"the message should say how often it was tried. Yours: {type(error).__name__}: {error}"
    return None


def _wrong_key(ask_patiently):
    import openai
    from httpx import Request, Response

    answer = Response(401, request=Request("POST", f"{SERVER}/v1/chat/completions"))
    refused = openai.AuthenticationError("The key is not this server's.", response=answer, body=None)
    reply, error, calls, _ = _tried(ask_patiently, failures=MANY, tries=3, pause=0.01, failure=refused)
    if len(calls) > 1:
        return (
            f"a wrong key was tried {len(calls)} times, and waiting does not fix it: "
            "let `except` name openai.APIConnectionError, and nothing else."
        )
    if error is None:
        return f"the server refused the key, and {reply!r} came back: let this error come out."
    return None


def _refused(error):
    return type(error).__name__ == "APIConnectionError"


def _tried(ask_patiently, failures, tries, pause, failure=None):
    """Return reply, error, questions and seconds of a function, for a server that fails so many times."""
    import openai
    from httpx import Request

    failure = failure or openai.APIConnectionError(request=Request("POST", SERVER))
    calls = []

    def reply(messages):
        calls.append(messages[-1]["content"])
        return failure if len(calls) <= failures else "Paris."

    agent = _agent(reply)
    begin = time.perf_counter()
    try:
        came, error = ask_patiently(agent, QUESTION, tries=tries, pause=pause), None
    except Exception as raised:
        came, error = None, raised
    return came, error, calls, time.perf_counter() - begin
