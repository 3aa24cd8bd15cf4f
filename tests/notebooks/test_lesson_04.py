"""Lesson 04: its checks accept every right answer, and name each misconception."""

import pytest

ENTRY = {"model": "anything", "model_client_cls": "HuggingFaceModelClient"}

BEFORE_A_MODEL_IS_LOADED = [
    ("4a", "BEADC", "right"),
    ("4a", list("beadc"), "right"),
    ("4a", ("B", "E", "A", "D", "C"), "right"),
    ("4a", "EBADC", "the messages become one text (B) before"),
    ("4a", "ABEDC", "it needs the tokens (E)"),
    ("4a", "BEDAC", "D comes too early"),
    ("4a", "BECAD", "C comes too early"),
    ("4a", "BEACD", "cut it off (D) while it still is tokens"),
    ("4a", "BEA", "each of the letters"),
    ("4a", 4, "each of the letters"),
    ("4b", {**ENTRY, "params": 10}, "`params` is a dict inside the entry, not 10"),
    ("4b", [ENTRY], "an entry is a dict"),
    ("4b", {**ENTRY, "model_client_cls": "MyClient"}, "still name the class HuggingFaceModelClient"),
    ("4b", {**ENTRY, "temperature": 1.5}, "1.5 is not allowed"),
    ("4b", {"model_client_cls": "HuggingFaceModelClient"}, "'model'"),
    ("4b", {**ENTRY, "params": ...}, "not started"),
    ("4c", {**ENTRY, "params": 10}, "`params` is a dict inside the entry, not 10"),
    ("4c", [ENTRY], "an entry is a dict"),
    ("4c", {**ENTRY, "model_client_cls": "MyClient"}, "still name the class HuggingFaceModelClient"),
    ("4c", {**ENTRY, "temperature": 1.5}, "1.5 is not allowed"),
    ("4d", "12 o'clock", "def with_time(chat, now)"),
    ("4d", lambda chat, now: None, "`with_time` returns nothing"),
    ("4d", lambda chat, now: chat, "messages without that text"),
    ("4d", lambda chat, now: chat.append({"role": "user", "content": now}) or chat, "make a new list"),
    ("4d", lambda chat, now: [{**chat[-1], "content": chat[-1]["content"] + now}], "got lost"),
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


TOO_EARLY = "`now` stands before the history: only "

BY_THE_REAL_MODEL = [
    ("4b", {"max_tokens": 10}, "right"),
    ("4b", {"params": {"max_length": 10}}, "right"),
    ("4b", {"params": {"max_length": 90}, "max_tokens": 9}, "right"),
    ("4b", {"max_tokens": 20}, "wrote 20 new tokens"),
    ("4c", {"n": 3, "seed": 1, "temperature": 0.9}, "right"),
    ("4c", {"params": {"n": 3, "seed": 1, "temperature": 0.9}}, "right"),
    ("4c", {"n": 3, "seed": 1, "params": {"num_beams": 3}}, "right"),
    ("4c", {"n": 3, "seed": 1, "params": {"do_sample": True}}, "right"),
    ("4c", {"n": 3}, "Set a temperature above 0"),
    ("4c", {"n": 3, "temperature": 0.01}, "allow more chance"),
    ("4c", {"temperature": 0.9}, "1 choice(s), not 3"),
    ("4d", at_the_end, "right"),
    ("4d", behind, "right"),
    ("4d", at_the_start, TOO_EARLY),
    ("4d", at_the_start, TOO_EARLY),  # a second try doesn't profit from the first
    ("4d", behind_the_system_message, TOO_EARLY),
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
