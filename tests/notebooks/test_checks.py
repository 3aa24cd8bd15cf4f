"""The checks of the exercises: every right answer passes, a wrong one is told why, and none raises."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from kit import DummyModelClient

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("0a", ("class", "config", "register")),
        ("0b", " B "),
        ("3a", "BACD"),
        ("3c", ["a", "b", "TERMINATE"]),
        ("3c", ("a", "b", "TERMINATE")),
    ],
)
def test_a_right_answer_passes_however_it_is_written(capsys, number, right):
    assert verdict(capsys, number, right) == f"✔ {number}: right!\n"


@pytest.mark.parametrize(
    ("number", "wrong", "why"),
    [
        ("0a", ["config", "class", "register"], "the class is step 1"),
        ("0a", ["register", "class", "config"], "both must be there before"),
        ("0a", 5, "write a list"),
        ("0b", "c", "no custom client is needed"),
        ("3a", "ABCD", "the list comes first"),
        ("3c", ["a", "b", "TERMINATE."], "exactly 'TERMINATE'"),
        ("3c", ["a", "TERMINATE"], "it spoke 2 times"),
        ("3d", object(), "no model"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(capsys, number, wrong, why):
    out = verdict(capsys, number, wrong)
    assert out.startswith(f"✘ {number}: ") and why in out


@pytest.mark.parametrize("number", ["0a", "0b", *(f"{n}{letter}" for n in "1234" for letter in "abcd")])
def test_an_exercise_that_was_not_started_is_no_mistake(capsys, number):
    assert verdict(capsys, number, ...) == verdict(capsys, number, None)
    assert verdict(capsys, number, ...).startswith(f"○ {number}: not solved yet")


def test_lesson_02_checks_what_is_in_the_form(capsys, folder):
    from kit import ConfigListBuilder

    builder = ConfigListBuilder()
    assert "not solved yet" in verdict(capsys, "2d", builder)
    builder.editor.add("Dummy (no model)")
    assert "still called dummy" in verdict(capsys, "2d", builder)
    builder.editor.set(model="canary", temperature=1.5)
    assert "`Choices (n)` should be 2, it is None" in verdict(capsys, "2d", builder)
    builder.editor.set(n=2)
    assert "'temperature': 1.5 is not allowed" in verdict(capsys, "2d", builder)
    builder.editor.set(temperature=0.5)
    assert verdict(capsys, "2d", builder) == "✔ 2d: right!\n"


def test_lesson_02_tells_an_entry_that_was_renamed_from_one_that_was_added(capsys, folder):
    from kit import ConfigListBuilder, save_config_list

    parrot = {"model": "parrot", "model_client_cls": "DummyModelClient", "tags": ["small"]}
    save_config_list([parrot], "OAI_CONFIG_LIST")
    builder = ConfigListBuilder()
    builder.editor.set(model="canary", n=2)
    assert "no entry has been added yet: choose the preset Dummy" in verdict(capsys, "2d", builder)
    builder.editor.add("Dummy (no model)")
    assert "canary is parrot, renamed" in verdict(capsys, "2d", builder)
    builder.editor.select(0)
    builder.editor.set(model="parrot")
    builder.editor.select(1)
    builder.editor.set(model="canary", n="2")
    assert "should be 2, it is '2'" in verdict(capsys, "2d", builder)
    builder.editor.set(n=2)
    assert verdict(capsys, "2d", builder) == "✔ 2d: right!\n"


def test_lesson_03_checks_a_real_agent(capsys, agent):
    assert "the list names ['DummyModelClient']" in verdict(capsys, "3d", agent(DummyModelClient))


def test_lesson_04_asks_the_real_model(capsys, local_model_folder):
    entry = {"model": local_model_folder, "model_client_cls": "HuggingFaceModelClient"}
    for right in (
        {"max_tokens": 10},
        {"params": {"max_length": 10}},
        {"params": {"max_length": 90}, "max_tokens": 9},
    ):
        assert verdict(capsys, "4b", {**entry, **right}) == "✔ 4b: right!\n"
    assert "wrote 20 new tokens" in verdict(capsys, "4b", {**entry, "max_tokens": 20})
    assert "'model'" in verdict(capsys, "4b", {"model_client_cls": "HuggingFaceModelClient"})
    for right in ({"temperature": 0.9}, {"params": {"num_beams": 3}}, {"params": {"do_sample": True}}):
        assert verdict(capsys, "4c", {**entry, "n": 3, "seed": 1, **right}) == "✔ 4c: right!\n"
    assert "Set a temperature above 0" in verdict(capsys, "4c", {**entry, "n": 3})
    assert "allow more chance" in verdict(capsys, "4c", {**entry, "n": 3, "temperature": 0.01})
    assert "1 choice(s), not 3" in verdict(capsys, "4c", {**entry, "temperature": 0.9})


def test_lesson_04_checks_that_what_changes_stands_last(capsys, local_model_folder):
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

    for right in (at_the_end, behind):
        assert verdict(capsys, "4d", right) == "✔ 4d: right!\n"
    for wrong in (at_the_start, at_the_start, behind_the_system_message):  # a second try doesn't profit
        out = verdict(capsys, "4d", wrong)
        assert out.startswith("✘ 4d: `now` stands before the history: only ")
        assert out.endswith("% was reused. Put it into the last message.\n")
    assert "leave what stands before `now` as it was" in verdict(capsys, "4d", everywhere)


def test_the_machine_is_checked_line_by_line(capsys, monkeypatch):
    checks.check_machine()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and all(line.startswith("✔ ") for line in lines)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.1")
    checks.check_machine()
    assert (
        "✘ autogen 0.14.1: found 0.1: close this and run the README's Start command again"
        in capsys.readouterr().out
    )


# Lesson 05


class FirstMistake(DummyModelClient):
    def message_retrieval(self, response):
        [choice.message.content for choice in response.choices]


class OneMistake(DummyModelClient):
    def cost(self, response):
        return "free"


def test_5a_names_the_first_mistake_and_then_the_next(capsys):
    assert "message_retrieval returned a NoneType instead of a list" in verdict(capsys, "5a", FirstMistake)
    assert "cost returned 'free' instead of a number. Fix: return 0" in verdict(capsys, "5a", OneMistake)
    assert verdict(capsys, "5a", DummyModelClient) == "✔ 5a: right!\n"


def ward(*names, registered=0):
    from autogen import AssistantAgent, LLMConfig

    entries = [{"model": f"bed {index}", "model_client_cls": name} for index, name in enumerate(names)]
    agent = AssistantAgent("ward", llm_config=LLMConfig(*entries), system_message="")
    for _ in range(registered):
        agent.register_model_client(DummyModelClient)
    return agent


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        (
            lambda: ward("DummyModelClient", "dummymodelclient", registered=1),
            "entry 1 names 'dummymodelclient'",
        ),
        (lambda: ward("DummyModelClient", "DummyModelClient"), "DummyModelClient is not registered"),
        (lambda: ward("DummyModelClient", "DummyModelClient", registered=1), "one call fills one"),
        (lambda: ward("DummyModelClient", registered=1), "should keep its two entries, it has 1"),
        (lambda: ward("DummyModelClient", "DummyModelClient", registered=2), "right!"),
    ],
)
def test_5b_goes_on_until_nothing_is_found(capsys, agent, told):
    assert told in verdict(capsys, "5b", agent())


def test_5c_asks_about_the_first_wrong_step(capsys):
    right = {"A": 3, "B": 1, "C": 2, "D": 1, "E": 2}
    assert verdict(capsys, "5c", right) == "✔ 5c: right!\n"
    assert "D is not step 2. Ask: where does the number come from" in verdict(capsys, "5c", {**right, "D": 2})
    assert "not solved yet" in verdict(capsys, "5c", dict.fromkeys(right, ...))
