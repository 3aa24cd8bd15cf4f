"""Instant feedback for the lessons: each check prints one line, and never a traceback."""

import contextlib
import copy
import functools
import importlib.metadata
import io
import json
import re
import shutil
import sys
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
    """Turn a function that returns what is wrong with an answer (or None) into a check that prints it."""

    def decorate(find_mistake):
        @functools.wraps(find_mistake)
        def check(answer):
            if answer is ...:
                print(f"○ {number}: not solved yet. Replace the three dots, run both cells again.")
                return
            with contextlib.redirect_stdout(io.StringIO()):
                try:
                    mistake = find_mistake(answer)
                except Exception as error:  # the learner's own code runs in here
                    mistake = f"your code raised {type(error).__name__}: {error}"
            print(f"✘ {number}: {mistake}" if mistake else f"✔ {number}: right!")

        return check

    return decorate


# Lesson 00 ------------------------------------------------------------------------------------


@exercise("0a")
def check_0a(order):
    if sorted(order) != ["class", "config", "register"]:
        return 'use each of "class", "config" and "register" once.'
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
    messages = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    response = client.create({"messages": messages, "n": 2})
    if response is None:
        return "`create` returns nothing yet."
    texts = [choice.message.content for choice in response.choices]
    if not texts:
        return "`choices` is empty. This is the blog's first mistake: append each choice."
    if len(texts) != 2:
        return f'asked for n=2, got {len(texts)} choice(s). Read `params.get("n", 1)`.'
    if texts != ["two", "two"]:
        return f"the last message is 'two', the answers are {texts}. Take `messages[-1]`."
    response = client.create({"messages": messages})
    if len(response.choices) != 1:
        return "without `n` in the params there must be one choice."
    return None


@exercise("1b")
def check_1b(client_class):
    client = client_class({"model": "word-counter"})
    response = client.create({"messages": [{"role": "user", "content": "count these four words"}]})
    usage = client.get_usage(response)
    if usage is None:
        return "`get_usage` returns nothing yet."
    missing = {"prompt_tokens", "completion_tokens", "total_tokens", "cost", "model"} - set(usage)
    if missing:
        return f"missing {sorted(missing)}. With one key missing, AutoGen drops them all without a word."
    if usage["prompt_tokens"] != 4 or usage["completion_tokens"] != 3:
        return f"expected 4 prompt and 3 completion tokens (words), got {usage}."
    if usage["total_tokens"] != 7:
        return "`total_tokens` is the sum of the other two."
    return None


# Lesson 02 ------------------------------------------------------------------------------------


@exercise("2a")
def check_2a(text):
    from kit.config_list import ConfigListError, check_config_list, parse_config_list

    try:
        entries = parse_config_list(text, "your text")
    except ConfigListError as error:
        return str(error)
    problems = check_config_list(entries)
    if problems:
        return str(problems[0])
    if [entry["model"] for entry in entries] != ["parrot", "owl"]:
        return "both entries should still be there: parrot, then owl."
    return None


@exercise("2b")
def check_2b(entry):
    from kit.config_list import check_config_list

    wanted = {"model": "my-llama", "model_client_cls": "MyModelClient", "device": "cpu"}
    if not isinstance(entry, dict):
        return "an entry is a dict: {...}."
    if "max_length" in entry:
        return "`max_length` belongs one level deeper, into a dict under the name `params`."
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

    entries = [{"model": "a", "tags": ["fast"]}, {"model": "b", "tags": ["good", "fast"]}, {"model": "c"}]
    kept = [entry["model"] for entry in filter_config(entries, filter_dict)]
    if not isinstance(filter_dict, dict):
        return "a filter is a dict: a field's name, and the list of values to keep."
    return None if kept == ["a", "b"] else f"your filter keeps {kept}, not ['a', 'b']."


# Lesson 03 ------------------------------------------------------------------------------------


@exercise("3a")
def check_3a(order):
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

    script = copy.copy(replies)
    entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
    agent = ConversableAgent("assistant", llm_config=LLMConfig(entry), human_input_mode="NEVER")
    agent.register_model_client(DummyModelClient, replies=script)
    user = UserProxyAgent(
        "user", human_input_mode="NEVER", code_execution_config=False, default_auto_reply="Go on."
    )
    result = user.initiate_chat(agent, message="Hello!", silent=True)
    said = [message["content"] for message in result.chat_history if message["name"] == "assistant"]
    if len(said) != 3:
        return f"the assistant spoke {len(said)} times, not 3. The user stops at exactly 'TERMINATE'."
    return None


# Lesson 04 ------------------------------------------------------------------------------------


@exercise("4a")
def check_4a(entry):
    json.dumps(entry)
    limits = {**entry.get("params", {}), **entry}
    names = ("max_length", "max_tokens", "max_new_tokens", "max_completion_tokens")
    values = [limits[name] for name in names if name in limits]
    if not values:
        return "nothing limits the answer yet: add max_length to `params` (or max_tokens to the entry)."
    return None if values == [10] else f"the limit should be 10 new tokens, it is {values}."


@exercise("4b")
def check_4b(entry):
    if entry.get("n") != 3:
        return f"`n` should be 3, it is {entry.get('n')!r}."
    sampling = {**entry.get("params", {}), **entry}
    if not (sampling.get("temperature") or sampling.get("top_p") or sampling.get("do_sample")):
        return "greedy decoding gives the same text three times: set a temperature above 0."
    if (entry.get("temperature") or 0) > 1:
        return "AutoGen takes temperatures from 0 to 1."
    return None
