"""Instant feedback for the lessons: each check prints one line, and never a traceback."""

import contextlib
import copy
import functools
import importlib.metadata
import io
import re
import shutil
import sys
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent


def check_machine():
    """Print a line for each thing that the lessons need, with what to do where it is missing."""
    _line(sys.version_info >= (3, 11), "Python 3.11 or newer", f"this is {sys.version.split()[0]}")
    pins = re.findall(r"^([\w-]+)(?:\[\w+])?==(\S+)", (HERE.parent / "requirements.txt").read_text(), re.M)
    for name, wanted in pins:
        if name in ("autogen", "transformers", "torch", "jupyterlab", "ipywidgets"):
            try:
                found = importlib.metadata.version(name).split("+")[0]
            except importlib.metadata.PackageNotFoundError:
                found = "not installed"
            mend = f"found {found}: close this and run the README's Start command again"
            _line(found == wanted, f"{name} {wanted}", mend)
    free = shutil.disk_usage(HERE).free / 1e9
    _line(free > 1, "1 GB of free disk for the model", f"only {free:.1f} GB: make room first")


def _line(good, what, mend):
    print(f"✔ {what}" if good else f"✘ {what}: {mend}")


def exercise(number):
    """Turn a function that finds what is wrong with an answer into a check that prints it.

    The function returns None for a right answer, `...` for one that was not started, else a text.
    """

    def decorate(find_mistake):
        @functools.wraps(find_mistake)
        def check(answer):
            mistake = ... if answer is None or answer is ... else _find(find_mistake, answer)
            if mistake is ...:
                print(f"○ {number}: not solved yet. Write your answer, then run both cells.")
            else:
                print(f"✘ {number}: {mistake}" if mistake else f"✔ {number}: right!")

        return check

    return decorate


def _find(find_mistake, answer):
    """Run a check in silence; an answer that breaks it is a wrong one."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return find_mistake(answer)
        except Exception as error:
            return f"using your answer raised {type(error).__name__}: {error}"


# Lesson 00 ------------------------------------------------------------------------------------


@exercise("0a")
def check_0a(order):
    if not isinstance(order, (list, tuple)) or sorted(order) != ["class", "config", "register"]:
        return 'write a list that has each of "class", "config" and "register" once.'
    if order[-1] != "register":
        return "registering brings a class and a config entry together, so both must be there before."
    if order[0] == "config":
        return "that would work too, but an entry names a class: the blog writes the class first."
    return None


@exercise("0b")
def check_0b(choice):
    return {
        "a": "no base class is needed: AutoGen only calls methods by their names.",
        "b": None,
        "c": "a server is one way, and then no custom client is needed at all. Here, Python answers.",
    }.get(str(choice).strip().lower(), 'answer with "a", "b" or "c".')


# Lesson 01 ------------------------------------------------------------------------------------


@exercise("1a")
def check_1a(client_class):
    client = client_class({"model": "echo"})
    messages = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    try:
        response = client.create({"messages": messages})
    except KeyError as error:
        return f"{error} is not always in the params: `params.get({error}, 1)` gives 1 where it is missing."
    if response is ...:
        return ...
    if response is None:
        return "`create` returns nothing: end it with `return response`."
    texts = [choice.message.content for choice in response.choices]
    if not texts:
        return "`choices` is empty. This is mistake one again: append each choice."
    if isinstance(texts[0], dict):
        return 'the content is a whole message: take its text, `["content"]`.'
    if texts[0] == "one":
        return "the last message is the one to echo, whoever wrote it: `messages[-1]`."
    if texts != ["two"]:
        return f"without `n` in the params, expected ['two'], got {texts}."
    texts = [choice.message.content for choice in client.create({"messages": messages, "n": 3}).choices]
    if len(texts) != 3:
        return f"asked for n=3, got {len(texts)} choice(s). Loop `n` times, and return after the loop."
    return None if texts == ["two"] * 3 else f"all three choices should be 'two', they are {texts}."


@exercise("1b")
def check_1b(client_class):
    client = client_class({"model": "counter-7"})
    response = client.create({"messages": [{"role": "user", "content": "count these four words"}]})
    response.cost = 0  # AutoGen stores what `cost` returned before it asks for the usage
    usage = client.get_usage(response)
    if usage is ...:
        return ...
    if not isinstance(usage, dict):
        return f"`get_usage` returns a dict, not {usage!r}."
    expected = {
        "prompt_tokens": 4,
        "completion_tokens": 3,
        "total_tokens": 7,
        "cost": 0,
        "model": "counter-7",
    }
    missing = set(expected) - set(usage)
    if missing:
        return f"missing {sorted(missing)}. With one key missing, AutoGen drops them all without a word."
    wrong = {name: usage[name] for name, value in expected.items() if usage[name] != value}
    return f"expected {expected}, but yours has {wrong}." if wrong else None


@exercise("1c")
def check_1c(client_class):
    from autogen import OpenAIWrapper

    name = client_class.__name__
    missing = [
        n for n in ("create", "message_retrieval", "cost", "get_usage") if not hasattr(client_class, n)
    ]
    if missing:
        return f"{name} has no method {', '.join(missing)}."
    wrapper = OpenAIWrapper(config_list=[{"model": "my-model", "model_client_cls": name}])
    wrapper.register_model_client(client_class)
    client = wrapper._clients[0]
    messages = [{"role": "user", "content": "first"}, {"role": "user", "content": "hello there"}]
    response = client.create({"messages": messages})
    if response is ...:
        return ...
    response.cost = client.cost(response)  # AutoGen's order: `get_usage` may read it
    for method in ("message_retrieval", "cost", "get_usage"):
        if getattr(client, method)(response) in (..., None):
            return f"`create` works; `{method}` returns nothing yet."
    if client.message_retrieval(response) != ["hello there"]:
        return f"`message_retrieval` should return ['hello there'], got {client.message_retrieval(response)}."
    response = wrapper.create(messages=messages)
    if wrapper.actual_usage_summary is None:
        return "AutoGen keeps no bill: one of the five keys is missing in `get_usage`."
    if abs(wrapper.actual_usage_summary["total_cost"] - 0.5) > 1e-9:
        return (
            f"`cost` should be 0.5, the bill says {wrapper.actual_usage_summary['total_cost']}: return 0.5 "
            'in `cost`, and `response.cost` under "cost" in `get_usage`.'
        )
    return None


# Lesson 02 ------------------------------------------------------------------------------------


@exercise("2a")
def check_2a(text):
    from kit.config_list import ConfigListError, check_config_list, parse_config_list

    if "'DummyModelClient'" in text and "1.5" in text and "[" not in text:
        return ...
    try:
        entries = parse_config_list(text, "your text")
    except ConfigListError as error:
        return str(error)
    if [entry.get("model") for entry in entries] != ["parrot", "owl"]:
        return "both entries should still be there: parrot, then owl."
    if any(entry.get("model_client_cls") != "DummyModelClient" for entry in entries):
        return "both entries should still name the class DummyModelClient."
    problems = check_config_list(entries)
    return str(problems[0]) if problems else None


@exercise("2b")
def check_2b(entry):
    from kit.config_list import check_config_list

    wanted = {"model": "my-llama", "model_client_cls": "MyModelClient", "device": "cpu"}
    if not isinstance(entry, dict):
        return "an entry is a dict: {...}."
    if "max_length" in entry:
        return "the task asks for `max_length` one level deeper: in a dict under the name `params`."
    for name, value in wanted.items():
        if entry.get(name) != value:
            return f"`{name}` should be {value!r}, it is {entry.get(name)!r}."
    if entry.get("params") != {"max_length": 50}:
        return f"`params` should be a dict that holds max_length 50, it is {entry.get('params')!r}."
    problems = check_config_list([entry])
    return str(problems[0]) if problems else None


@exercise("2c")
def check_2c(filter_dict):
    from autogen.llm_config.utils import filter_config

    if not isinstance(filter_dict, dict):
        return "a filter is a dict: a field's name, and the list of values to keep."
    if set(filter_dict) != {"tags"}:
        return "filter by the field `tags`, so that it works for other lists too."
    for name, values in filter_dict.items():
        if isinstance(values, (set, tuple)):
            return f"AutoGen 0.14 matches lists only: write the values of {name!r} in [ ]."
    entries = [
        {"model": "a", "tags": ["fast"]},
        {"model": "b", "tags": ["fast", "small"]},
        {"model": "c", "tags": ["small"]},
        {"model": "d"},
    ]
    kept = [entry["model"] for entry in filter_config(entries, filter_dict)]
    return None if kept == ["a", "b"] else f"your filter keeps {kept}, it should keep ['a', 'b']."


@exercise("2d")
def check_2d(builder):
    entries = [entry for entry in builder.editor.entries if entry.get("model") == "canary"]
    if not entries:
        return ...
    if entries[0].get("model_client_cls") != "DummyModelClient":
        return "canary should be answered by the class DummyModelClient, as the preset has it."
    if entries[0].get("n") != 2:
        return f"`Choices (n)` should be 2, it is {entries[0].get('n')}."
    problems = builder.editor.problems()
    return str(problems[0]) if problems else None


# Lesson 03 ------------------------------------------------------------------------------------


@exercise("3a")
def check_3a(order):
    order = list(order)
    if sorted(order) != list("ABCD"):
        return "use each of the letters A, B, C and D once."
    if order.index("B") > order.index("A"):
        return "the agent (A) is made from the config list (B): the list comes first."
    if order.index("C") < order.index("A"):
        return "only an agent that exists can register a class: A before C."
    if order.index("D") < order.index("C"):
        return "the chat (D) would raise 'are not activated': register (C) before it."
    return None


@exercise("3b")
def check_3b(replies):
    from autogen import ConversableAgent, LLMConfig, UserProxyAgent

    from kit import DummyModelClient

    entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
    agent = ConversableAgent("assistant", llm_config=LLMConfig(entry), human_input_mode="NEVER")
    agent.register_model_client(DummyModelClient, replies=copy.copy(replies))
    user = UserProxyAgent(
        "user", human_input_mode="NEVER", code_execution_config=False, default_auto_reply="Go on."
    )
    try:
        user.initiate_chat(agent, message="Hello!", silent=True, max_turns=10)
    except RuntimeError:
        return "the chat did not end: the last reply must be exactly 'TERMINATE', nothing else."
    said = len(agent.client._clients[0].calls)
    return None if said == 3 else f"the assistant should speak 3 times, it spoke {said} times."


@exercise("3c")
def check_3c(agent):
    if not getattr(agent, "client", None):
        return "the agent has no model: give it an llm_config."
    names = [entry.get("model_client_cls") for entry in agent.llm_config.config_list]
    if names != ["Parrot"]:
        return f"the entry should name the class Parrot, the list names {names}."
    reply = agent.generate_reply(messages=[{"role": "user", "content": "Pretty bird"}])
    return None if reply == "Pretty bird!" else f"asked 'Pretty bird', it said {reply!r}."


# Lesson 04 ------------------------------------------------------------------------------------


def _choices(entry, **params):
    """Return the response of the real model for an entry, or what is wrong with the entry."""
    from kit import HuggingFaceModelClient
    from kit.config_list import check_config_list

    problems = check_config_list([entry])
    if problems:
        return None, str(problems[0])
    if entry.get("model_client_cls") != "HuggingFaceModelClient":
        return None, "the entry should still name the class HuggingFaceModelClient."
    messages = [{"role": "user", "content": "Tell me about the sea."}]
    return HuggingFaceModelClient(entry).create({"messages": messages, **params}), None


@exercise("4a")
def check_4a(entry):
    response, mistake = _choices(entry)
    if mistake:
        return mistake
    tokens = response.usage.completion_tokens
    return None if tokens <= 10 else f"asked about the sea, the model wrote {tokens} new tokens."


@exercise("4b")
def check_4b(entry):
    response, mistake = _choices(entry, max_tokens=15)
    if mistake:
        return mistake
    texts = [choice.message.content for choice in response.choices]
    if len(texts) != 3:
        return f"asked about the sea, it gave {len(texts)} choice(s), not 3."
    if len(set(texts)) < 3:
        return "some of the three choices are the same text: allow more chance."
    return None


@exercise("4c")
def check_4c(with_time):
    from kit import HuggingFaceModelClient, local_model

    client = HuggingFaceModelClient({"model": local_model(), "device": "cpu", "max_tokens": 1})
    rules = "You are a guide at the harbour. " + "Answer kindly, in one short sentence. " * 30
    chat = [{"role": "system", "content": rules}, {"role": "user", "content": "When is the next ferry?"}]
    longer = [*chat, {"role": "assistant", "content": "At nine."}, {"role": "user", "content": "And then?"}]
    for messages in (chat, longer):
        now = f"{uuid.uuid4().hex[:8]} o'clock"  # a time that no earlier run of this check has used
        timed = with_time(copy.deepcopy(messages), now)
        texts = [str(message["content"]) for message in timed]
        if now not in " ".join(texts):
            return f"asked to put in {now!r}, it returned messages without that text."
        if any(not any(message["content"] in text for text in texts) for message in messages):
            return "a message of the chat got lost: keep them all."
        usage = client.create({"messages": timed}).usage
    share = usage.prompt_tokens_details.cached_tokens / usage.prompt_tokens
    if share < 0.8:
        return f"only {share:.0%} of the second prompt came out of the cache: what changes must stand last."
    return None


# Lesson 05 ------------------------------------------------------------------------------------


@exercise("5a")
def check_5a(cls):
    from kit import check_model_client

    findings = [finding for finding in check_model_client(cls, timeout=10).findings if not finding.warning]
    if not findings:
        return None
    left = "" if "cost" in findings[0].message else " (After this one there may be another.)"
    return f"{findings[0].message} Mend: {findings[0].fix}{left}"


@exercise("5b")
def check_5b(agent):
    from kit import DummyModelClient, diagnose

    entries = getattr(getattr(agent, "llm_config", None), "config_list", [])
    if len(entries) != 2:
        return f"the agent should keep its two entries, it has {len(entries)}."
    findings = diagnose(agent, DummyModelClient).findings
    return f"{findings[0].message} Mend: {findings[0].fix}" if findings else None


@exercise("5c")
def check_5c(steps):
    if any(step is ... for step in steps.values()):
        return ...
    why = {
        "A": (3, "the class exists, but was not registered on the agent."),
        "B": (1, "`create` returned nothing: a `return` is missing in the class."),
        "C": (2, "a value in the list is out of its range."),
        "D": (1, "`cost` returned nothing, and AutoGen adds it up."),
        "E": (2, "the entry names no class, so AutoGen took its own client, which wants a key."),
    }
    for letter, (step, reason) in why.items():
        if steps.get(letter) != step:
            return f"{letter} is not step {steps.get(letter)}: {reason}"
    return None
