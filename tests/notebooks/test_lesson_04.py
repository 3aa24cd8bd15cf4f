"""Lesson 04: its checks accept every right answer, and name each misconception."""

import copy

import pytest

ENTRY = {"model": "anything", "model_client_cls": "HuggingFaceModelClient"}

BEFORE_A_MODEL_IS_LOADED = [
    ("4a", "BEADC", "right"),
    ("4a", list("beadc"), "right"),
    ("4a", ("B", "E", "A", "D", "C"), "right"),
    ("4a", "B, E, A, D, C", "right"),
    ("4a", "b-e-a-d-c", "right"),
    ("4a", "EBADC", "the messages become one text (B) before"),
    ("4a", "ABEDC", "it needs the tokens (E)"),
    ("4a", "BAEDC", "it needs the tokens (E)"),
    ("4a", "BEDAC", "D comes too early"),
    ("4a", "BECAD", "C comes too early"),
    ("4a", "BEACD", "cut it off (D) while it still is tokens"),
    ("4a", "BEA", "each of the letters"),
    ("4a", "BEADCC", "each of the letters"),
    ("4a", 4, "each of the letters"),
    ("4a", [2, 5, 1, 4, 3], "each of the letters"),
    ("4a", {"B", "E", "A", "D", "C"}, "each of the letters"),
    ("4a", ["B", None, "A", "D", "C"], "each of the letters"),
    ("4a", "template, tokenizer, model, cut, decode", "each of the letters"),
    ("4b", {**ENTRY, "params": 10}, "`params` is a dict inside the entry, not 10"),
    ("4b", {**ENTRY, "params": "max_length=10"}, "`params` is a dict inside the entry, not 'max_length=10'"),
    ("4b", {**ENTRY, "params": {"max_length"}}, "`params` is a dict inside the entry, not {'max_length'}"),
    ("4b", {**ENTRY, "params": None}, "`params` is a dict inside the entry, not None"),
    ("4b", {**ENTRY, "params": {"max_length": ...}}, "there are still dots in it"),
    ("4b", [ENTRY], "an entry is a dict, like `entry` above, and this is of type list"),
    ("4b", 10, "an entry is a dict, like `entry` above, and this is of type int"),
    ("4b", {"params": {"max_length": 10}}, "begin with a copy"),
    ("4b", {**ENTRY, "model_client_cls": "MyClient"}, "still name the class HuggingFaceModelClient"),
    ("4b", {**ENTRY, "temperature": 1.5}, "1.5 is not allowed"),
    ("4b", {**ENTRY, "params": ...}, "not started"),
    ("4c", {**ENTRY, "params": 10}, "`params` is a dict inside the entry, not 10"),
    ("4c", [ENTRY], "an entry is a dict"),
    ("4c", ["one", "two", "three"], "an entry is a dict"),
    ("4c", {"n": 3, "temperature": 0.9}, "begin with a copy"),
    ("4c", {**ENTRY, "n": ..., "temperature": ...}, "there are still dots in it"),
    ("4c", {**ENTRY, "n": "3", "temperature": 0.9}, "Write 3, without quotes"),
    ("4c", {**ENTRY, "n": 3, "temperature": "0.9"}, "Write 0.9, without quotes"),
    ("4c", {**ENTRY, "n": 3, "temperatur": 0.9}, "Did you mean 'temperature'?"),
    ("4c", {**ENTRY, "n": 3, "temperature": -1}, "-1 is not allowed"),
    ("4c", {**ENTRY, "model_client_cls": "MyClient"}, "still name the class HuggingFaceModelClient"),
    ("4c", {**ENTRY, "temperature": 1.5}, "1.5 is not allowed"),
    ("4d", "12 o'clock", "def with_time(chat, now)"),
    ("4d", [{"role": "user", "content": "12"}], "def with_time(chat, now)"),
    ("4d", type("WithTime", (), {}), "def with_time(chat, now)"),
    ("4d", lambda chat: chat, "takes 1 positional argument but 2 were given"),
    ("4d", lambda chat, now: None, "`with_time` returns nothing"),
    ("4d", lambda chat, now: print(chat, now), "`with_time` returns nothing"),
    ("4d", lambda chat, now: chat.append({"role": "user", "content": now}), "`with_time` returns nothing"),
    ("4d", lambda chat, now: chat, "messages without that text"),
    ("4d", lambda chat, now: [*chat, {"role": "user", "content": "now"}], "messages without that text"),
    ("4d", lambda chat, now: [*chat[:-1], {**chat[-1], "now": now}], "messages without that text"),
    ("4d", lambda chat, now: chat.append({"role": "user", "content": now}) or chat, "make a new list"),
    ("4d", lambda chat, now: chat[-1].update(content=chat[-1]["content"] + now), "returns nothing"),
    ("4d", lambda chat, now: chat[-1].update(content=f"Hi {now}") or [*chat], "make a new list"),
    ("4d", lambda chat, now: [{**chat[-1], "content": chat[-1]["content"] + now}], "got lost"),
    ("4d", lambda chat, now: [*chat[:-1], {**chat[-1], "content": now}], "got lost"),
    ("4d", lambda chat, now: chat[-1]["content"] + now, "it returned a str"),
    ("4d", lambda chat, now: {**chat[-1], "content": now}, "it returned a dict"),
    ("4d", lambda chat, now: (message for message in chat), "it returned a generator"),
    ("4d", lambda chat, now: [*chat, now], "a message, a dict, and one is a str"),
    ("4d", lambda chat, now: [chat, {"role": "user", "content": now}], "a dict, and one is a list"),
    ("4d", lambda chat, now: [*chat, {"role": "user", "content": (now,)}], "is one text, not ("),
    ("4d", lambda chat, now: [*chat, {"role": "user", "text": now}], "is one text, not None"),
    ("4d", lambda chat, now: [*chat, {"role": "user", "content": now["time"]}], "string indices must be"),
    ("4d", lambda *_: ..., "not started"),
]


def at_the_end(chat, now):
    return [*chat[:-1], {**chat[-1], "content": f"It is {now}. {chat[-1]['content']}"}]


def behind(chat, now):
    return [*chat[:-1], {**chat[-1], "content": f"{chat[-1]['content']} (It is {now}.)"}]


def at_the_start(chat, now):
    return [{**chat[0], "content": f"It is {now}. {chat[0]['content']}"}, *chat[1:]]


def behind_the_system_message(chat, now):
    return [{**chat[0], "content": f"{chat[0]['content']} It is {now}."}, *chat[1:]]


def everywhere(chat, now):
    return [{**message, "content": f"{message['content']} (It is {now}.)"} for message in chat]


def a_message_of_its_own(chat, now):
    return [*chat[:-1], {"role": "system", "content": f"It is {now}."}, chat[-1]]


def a_copy_that_is_changed(chat, now):
    chat = copy.deepcopy(chat)
    chat[-1]["content"] += f" ({now})"
    return chat


class AtTheEnd:
    def __call__(self, chat, now):
        return at_the_end(chat, now)


TOO_EARLY = "`now` stands before the history: only "

BY_THE_REAL_MODEL = [
    ("4b", {"max_tokens": 10}, "right"),
    ("4b", {"params": {"max_length": 10}}, "right"),
    ("4b", {"params": {"max_new_tokens": 5}}, "right"),
    ("4b", {"params": {"max_tokens": 10}}, "right"),
    ("4b", {"params": {"max_length": 90}, "max_tokens": 9}, "right"),
    ("4b", {"params": {"max_length": 11}}, "wrote 11 new tokens, not 10"),
    ("4b", {"max_tokens": 20}, "wrote 20 new tokens"),
    ("4b", {"params": {"max_length": "10"}}, "✘ 4b: max_tokens must be a whole number"),
    ("4b", {"params": {"max_length": 0}}, "max_tokens must be a whole number of at least 1, not 0"),
    ("4b", {"params": {"max_length": 10.0}}, "max_tokens must be a whole number"),
    ("4b", {"params": {"max_lenght": 10}}, "`params` holds 'max_lenght', and the model has no such option"),
    ("4b", {"params": {"params": {"max_length": 10}}}, "`params` holds 'params'"),
    ("4c", {"n": 3, "seed": 1, "temperature": 0.9}, "right"),
    ("4c", {"params": {"n": 3, "seed": 1, "temperature": 0.9}}, "right"),
    ("4c", {"n": 3, "seed": 1, "params": {"num_beams": 3}}, "right"),
    ("4c", {"n": 3, "seed": 1, "params": {"do_sample": True}}, "right"),
    ("4c", {"n": 3, "seed": 1, "top_p": 0.9}, "right"),
    ("4c", {"n": 3}, "✘ 4c: n=3 choices of greedy decoding would all be the same text. Set a temperature"),
    ("4c", {"n": 3, "temperature": 0}, "Set a temperature above 0"),
    ("4c", {"n": 3, "seed": 1}, "Set a temperature above 0"),
    ("4c", {"n": 3, "temperature": 0.01}, "allow more chance"),
    ("4c", {"n": 3, "top_k": 1}, "allow more chance"),
    ("4c", {"temperature": 0.9}, "it gave 1 choice, not 3."),
    ("4c", {"n": 2, "temperature": 0.9}, "it gave 2 choices, not 3."),
    ("4c", {"n": 0, "temperature": 0.9}, "n must be a whole number of at least 1, not 0"),
    ("4c", {"n": 1, "params": {"n": 3, "temperature": 0.9}}, 'The "n": 1 of the entry wins'),
    ("4d", at_the_end, "right"),
    ("4d", behind, "right"),
    ("4d", a_message_of_its_own, "right"),
    ("4d", a_copy_that_is_changed, "right"),
    ("4d", AtTheEnd(), "right"),
    ("4d", lambda chat, now: (*chat, {"role": "user", "content": now}), "right"),
    ("4d", at_the_start, TOO_EARLY),
    ("4d", at_the_start, TOO_EARLY),  # a second try doesn't profit from the first
    ("4d", behind_the_system_message, TOO_EARLY),
    ("4d", lambda chat, now: [{"role": "system", "content": now}, *chat], TOO_EARLY),
    ("4d", everywhere, "leave what stands before `now` as it was"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), BEFORE_A_MODEL_IS_LOADED)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


@pytest.mark.parametrize(("exercise", "answer", "expected"), BY_THE_REAL_MODEL)
def test_the_real_model_decides(check_says, local_model_folder, exercise, answer, expected):
    if isinstance(answer, dict):
        answer = {**ENTRY, "model": local_model_folder, **answer}
    check_says(exercise, answer, expected)
