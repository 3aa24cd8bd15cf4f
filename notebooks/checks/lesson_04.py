"""Checks of lesson 04: a real model."""

import copy
import re
import uuid

from checks.exercise import exercise, prediction
from checks.lesson_03 import letters_of

predicted_4_special_tokens = prediction(
    "b",
    a="that takes `skip_special_tokens=True`: the model writes its end of turn as a token like any other.",
    b="the end of the turn is a token like any other, and `decode` writes out every token it gets.",
    c="`generate` does return the prompt as well, but it had been cut off: only new tokens were decoded.",
)
predicted_4_copies = prediction(
    "a",
    a="clients whose entries ask for the same model share it.",
    b="`my_model` is a copy of its own, but none of these four was given it.",
    c="so it was in the blog's notebook. This client looks first whether the model has been loaded.",
)
predicted_4_greedy = prediction(
    "c",
    a="without chance the same prompt leads to the same next token, again and again.",
    b="greedy decoding knows one way only; `num_beams` in `params` would look for several likely texts.",
    c="the same prompt, the same most likely next token at each step, so the same text.",
)


@exercise("4a")
def check_4a(order):
    order = letters_of(order)
    if order is None or sorted(order) != list("ABCDE"):
        return 'use each of the letters A, B, C, D and E once, for example list("ABCDE").'
    place = {letter: index for index, letter in enumerate(order)}
    if place["E"] < place["B"]:
        return "a tokenizer takes text, so the messages become one text (B) before they become tokens (E)."
    if place["A"] < place["E"]:
        return "the model (A) reads numbers, not text: it needs the tokens (E)."
    if min(place["C"], place["D"]) < place["A"]:
        early = "C" if place["C"] < place["A"] else "D"
        return f"{early} comes too early: only when the model has written (A) is there a reply."
    if place["C"] < place["D"]:
        return "in a text one can't tell where the prompt ends: cut it off (D) while it still is tokens."
    return None


def _choices(entry, **params):
    """Return the response of the real model for an entry, or what is wrong with the entry."""
    from kit import HuggingFaceModelClient
    from kit.config_list import check_config_list

    if not isinstance(entry, dict):
        return None, f"an entry is a dict, like `entry` above, and this is of type {type(entry).__name__}."
    if not isinstance(entry.get("params", {}), dict):
        return None, f"`params` is a dict inside the entry, not {entry['params']!r}."
    if ... in [*entry.values(), *entry.get("params", {}).values()]:
        return None, "there are still dots in it: put something in the place of each `...`."
    if "model" not in entry:
        return None, "the entry has no 'model': begin with a copy, {**entry, ...}."
    problems = check_config_list([entry])
    if problems:
        return None, str(problems[0])
    if entry.get("model_client_cls") != "HuggingFaceModelClient":
        return None, "the entry should still name the class HuggingFaceModelClient."
    messages = [{"role": "user", "content": "Tell me about the sea."}]
    try:
        return HuggingFaceModelClient(entry).create({"messages": messages, **params}), None
    except ValueError as error:  # the client refuses an option, and says why
        if unknown := re.search(r"`model_kwargs` are not used by the model: \[(.*?)\]", str(error)):
            return None, f"`params` holds {unknown[1]}, and the model has no such option."
        return None, str(error)


@exercise("4b")
def check_4b(entry):
    if isinstance(entry, dict) and entry.get("params") is ...:
        return ...
    response, mistake = _choices(entry)
    if mistake:
        return mistake
    tokens = response.usage.completion_tokens
    return None if tokens <= 10 else f"asked about the sea, the model wrote {tokens} new tokens, not 10."


@exercise("4c")
def check_4c(entry):
    response, mistake = _choices(entry, max_tokens=15)
    if mistake:
        return mistake
    texts = [choice.message.content for choice in response.choices]
    if len(texts) != 3:
        given = "1 choice" if len(texts) == 1 else f"{len(texts)} choices"
        inside = "n" in entry.get("params", {}) and "n" in entry
        why = f' The "n": {entry.get("n")} of the entry wins over the one in `params`.' if inside else ""
        return f"asked about the sea, it gave {given}, not 3.{why}"
    if len(set(texts)) < 3:
        return "some of the three choices are the same text: allow more chance."
    return None


def _is_content(content):
    """Return whether it is a text, or a list of parts in OpenAI's form."""
    return isinstance(content, str) or (
        isinstance(content, list) and all(isinstance(part, dict) for part in content)
    )


@exercise("4d")
def check_4d(with_time):
    from kit import HuggingFaceModelClient, local_model

    if not callable(with_time) or isinstance(with_time, type):
        return "`with_time` is a function: def with_time(chat, now)."
    chat = [{"role": "system", "content": "You are a guide at the harbour."}]
    for island in ("north", "east", "south", "west", "middle"):  # a long history, a short system message
        chat.append({"role": "user", "content": f"When is the next ferry to the {island} island, please?"})
        chat.append({"role": "assistant", "content": f"The {island} ferry leaves at nine, from quay two."})
    chat.append({"role": "user", "content": "What does it cost?"})
    longer = [*chat, {"role": "assistant", "content": "Two."}, {"role": "user", "content": "And back?"}]
    prompts = []
    for messages in (chat, longer):
        now = f"{uuid.uuid4().hex[:8]} o'clock"  # a time that no earlier run of this check has used
        copied = copy.deepcopy(messages)
        timed = with_time(copied, now)
        if timed is None or timed is ...:
            return ... if timed is ... else "`with_time` returns nothing: it has to return the list."
        if copied != messages:
            return "it changed `chat` itself, so an agent would keep every old time: make a new list."
        if not isinstance(timed, (list, tuple)):
            return f"it returned a {type(timed).__name__}, not a list of messages."
        if others := [one for one in timed if not isinstance(one, dict)]:
            return f"each item of the list is a message, a dict, and one is a {type(others[0]).__name__}."
        if odd := [one.get("content") for one in timed if not _is_content(one.get("content"))]:
            return f"the content of a message is one text, not {odd[0]!r}."
        texts = [str(message["content"]) for message in timed]
        if now not in " ".join(texts):
            return f"asked to put in {now!r}, it returned messages without that text."
        if any(not any(message["content"] in text for text in texts) for message in messages):
            return "a message of the chat got lost: keep them all."
        prompts.append(timed)
    client = HuggingFaceModelClient({"model": local_model(), "device": "cpu", "max_tokens": 1})
    usage = [client.create({"messages": timed}).usage for timed in prompts][-1]
    share = usage.prompt_tokens_details.cached_tokens / usage.prompt_tokens
    if share >= 0.8:
        return None
    if now in texts[-1]:
        return f"only {share:.0%} of the second prompt was reused: leave what stands before `now` as it was."
    return f"`now` stands before the history: only {share:.0%} was reused. Put it into the last message."
