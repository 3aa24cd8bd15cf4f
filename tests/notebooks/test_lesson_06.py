"""Lesson 06: its predictions and checks accept every right answer, and name each misconception."""

import sys
from pathlib import Path

import pytest
from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent

from kit import DummyModelClient, register_model_clients

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("number", ["6a", "6b", "6c"])
@pytest.mark.parametrize("answer", [..., None])
def test_an_exercise_that_was_not_started_is_no_mistake(capsys, number, answer):
    assert verdict(capsys, number, answer).startswith(f"○ {number}: not solved yet")


# 6a


@pytest.mark.parametrize(
    "names",
    [
        ["carl", "anna", "ben", "carl", "anna"],
        ("Carl", "Anna", "Ben", "Carl", "Anna"),
        "carl, anna, ben, carl, anna",
        "carl anna ben carl anna",
    ],
)
def test_6a_takes_the_five_names_in_any_spelling(capsys, names):
    assert verdict(capsys, "6a", names) == "✔ 6a: right!\n"


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["anna", "ben", "carl", "anna", "ben"], "whoever calls initiate_chat speaks first"),
        (["ben", "carl", "anna", "ben", "carl"], "who sends it?"),
        (["carl", "carl", "anna", "ben", "carl"], "the opening was carl's turn"),
        (["carl", "ben", "anna", "carl", "ben"], "the next one is the first, anna"),
        (["carl", "anna", "ben", "carl", "anna", "ben"], "you have 6 messages: max_round=5 allows five"),
        (["carl", "anna", "ben", "carl"], "you have 4 messages"),
        (["carl", "anna", "ben"] * 5, "not rounds of the table"),
        (["carl", "anna", "ben"], "you have 3 of the five messages"),
        (["carl", "anna", "carl", "ben", "anna"], "name 3 should be the next in the list after anna"),
        (["carl", "manager", "anna", "ben", "carl"], "'manager' is not in the group"),
        ([], "who sends it?"),
        (5, "raised TypeError"),
    ],
)
def test_6a_says_what_is_wrong_with_the_order(capsys, names, why):
    out = verdict(capsys, "6a", names)
    assert out.startswith("✘ 6a: ") and why in out


# 6b


def taking_turns(
    after_expert="moderator", after_geographer="cook", after_cook="geographer", first="geographer"
):
    """A selector class that answers so."""

    class TakeTurns(DummyModelClient):
        def _answers(self, messages, n):
            speakers = [message["name"] for message in messages[1:-1]]
            if speakers[-1] != "moderator":
                return [after_expert] * n
            experts = [name for name in speakers if name != "moderator"]
            answers = {"geographer": after_geographer, "cook": after_cook}
            return [answers[experts[-1]] if experts else first] * n

    return TakeTurns


class ByCounting(DummyModelClient):
    """Another right way: by how many messages there are."""

    def _answers(self, messages, n):
        return [("moderator", "geographer", "moderator", "cook")[(len(messages) - 2) % 4]] * n


class FromScratch:
    """The whole protocol, and a sentence around the name."""

    def __init__(self, config, **kwargs):
        self.inner = ByCounting(config)

    def create(self, params):
        return self.inner.create(params)

    def message_retrieval(self, response):
        return [f"Let the {text} speak." for text in self.inner.message_retrieval(response)]

    def cost(self, response):
        return 0

    get_usage = DummyModelClient.get_usage


@pytest.mark.parametrize(
    "cls", [taking_turns(), ByCounting, FromScratch, taking_turns(after_expert=" moderator\n")]
)
def test_6b_takes_any_class_that_chooses_well(capsys, cls):
    assert verdict(capsys, "6b", cls) == "✔ 6b: right!\n"


def test_6b_takes_a_reply_without_n(capsys):
    class TakeTurns(ByCounting):
        def _answers(self, messages, n):
            return super()._answers(messages, 1)

    assert verdict(capsys, "6b", TakeTurns) == "✔ 6b: right!\n"


def test_6b_knows_blanks(capsys):
    assert "not solved yet" in verdict(capsys, "6b", taking_turns(after_expert=...))


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (taking_turns(after_geographer="geographer"), "after the geographer, it is the cook's turn"),
        (taking_turns(after_cook="cook"), "it is the geographer's turn again"),
        (taking_turns(first="cook"), "nobody has answered yet, so it is the geographer's turn"),
        (taking_turns(after_expert="cook"), "it chose the cook after moderator, geographer"),
        (taking_turns(after_expert="Moderator"), "upper and lower case count"),
        (taking_turns(after_expert="host"), "it answered 'host', which names nobody"),
        (taking_turns(after_expert="moderator or cook"), "wants one name"),
        (taking_turns(first="cooking"), "names nobody"),
        (taking_turns()({"model": "selector"}), "pass the class itself"),
        (int, "raised TypeError"),
    ],
)
def test_6b_says_which_choice_is_wrong(capsys, cls, why):
    out = verdict(capsys, "6b", cls)
    assert out.startswith("✘ 6b: ") and why in out


def test_6b_tells_of_a_text_in_the_place_of_a_list(capsys):
    class TakeTurns(DummyModelClient):
        def _answers(self, messages, n):
            return "geographer"

    assert "one letter: `_answers` returns a list" in verdict(capsys, "6b", TakeTurns)


def test_6b_tells_an_agent_from_its_name(capsys):
    """In the lesson, `moderator` without quotes is an agent."""

    class TakeTurns(DummyModelClient):
        def _answers(self, messages, n):
            return [member("moderator", "Hi.")] * n

    assert "the agent moderator itself: write its name as a text" in verdict(capsys, "6b", TakeTurns)


def test_6b_speaks_of_the_blank_that_is_left(capsys):
    """The second blank is only compared, so nothing of it is in the answer."""

    class TakeTurns(DummyModelClient):
        def _answers(self, messages, n):
            speakers = [message["name"] for message in messages[1:-1]]
            if speakers[-1] != "moderator":
                return ["moderator"] * n
            return ["cook"] * n if speakers[-1] == ... else ["geographer"] * n

    assert "after the geographer, it is the cook's turn" in verdict(capsys, "6b", TakeTurns)


# 6c


class Script(DummyModelClient):
    pass


ORDER = ("anna", "host", "ben", "host")
SELECTOR = {"model": "selector", "model_client_cls": "Script"}


def member(name, replies, cls=DummyModelClient, registered=True):
    entry = {"model": "script", "model_client_cls": cls.__name__}
    agent = AssistantAgent(name, llm_config=LLMConfig(entry), system_message="Be brief.")
    if registered:
        agent.register_model_client(cls, replies=replies)
    return agent


def quiz(order=ORDER, host=("Ben?", "TERMINATE"), names=("host", "anna", "ben"), max_round=20, **kwargs):
    """A function as 6c wants it, whose speakers are chosen by a script, or as `kwargs` say."""

    def make_quiz():
        members = [member(names[0], host), *(member(name, "Here.", **kwargs) for name in names[1:])]
        group = GroupChat(members, messages=[], max_round=max_round)
        manager = GroupChatManager(group, llm_config=LLMConfig(SELECTOR), silent=True)
        register_model_clients(manager, Script, replies=list(order))
        return manager

    return make_quiz


def by_function():
    def choose(last_speaker, group):
        return group.agent_by_name(ORDER[len(group.messages) - 1])

    members = [member("host", ["Ben?", "TERMINATE"]), member("anna", "A"), member("ben", "B")]
    return GroupChatManager(GroupChat(members, messages=[], max_round=20, speaker_selection_method=choose))


def by_function_that_stops():
    """Nobody says TERMINATE: the function returns nobody."""

    def choose(last_speaker, group):
        said = len(group.messages)
        return group.agent_by_name(ORDER[said - 1]) if said <= len(ORDER) else None

    members = [member("host", "Host."), member("anna", "A"), member("ben", "B")]
    return GroupChatManager(GroupChat(members, messages=[], max_round=20, speaker_selection_method=choose))


def by_autogens_arguments():
    class Counting(DummyModelClient):
        def _answers(self, messages, n):
            return [ORDER[len(messages) - 3]] * n

    members = [member("ben", "B"), member("anna", "A"), member("host", ["Ben?", "TERMINATE"])]
    config = LLMConfig({"model": "selector", "model_client_cls": "Counting"})
    group = GroupChat(
        members,
        messages=[],
        max_round=20,
        select_speaker_auto_llm_config=config,
        select_speaker_auto_model_client_cls=Counting,
    )
    return GroupChatManager(group)


@pytest.mark.parametrize(
    "make",
    [quiz(), quiz(cls=Script), by_function, by_function_that_stops, by_autogens_arguments],
    ids=["script", "subclass", "function", "stopping function", "AutoGen's arguments"],
)
def test_6c_takes_any_way_to_choose_the_speakers_and_to_end(capsys, make):
    for _ in range(2):  # a second time as the first
        assert verdict(capsys, "6c", make) == "✔ 6c: right!\n"


def without_a_selector():
    group = GroupChat([member(name, "Here.") for name in ("host", "anna", "ben")], messages=[], max_round=20)
    return GroupChatManager(group)


def unregistered_selector():
    group = without_a_selector().groupchat
    return GroupChatManager(group, llm_config=LLMConfig(SELECTOR))


def in_turn():
    members = [member("host", ["Ben?", "TERMINATE"]), member("anna", "A"), member("ben", "B")]
    return GroupChatManager(
        GroupChat(members, messages=[], max_round=20, speaker_selection_method="round_robin")
    )


def with_a_user():
    user = UserProxyAgent("ben", human_input_mode="NEVER", code_execution_config=False)
    members = [member("host", "Host."), member("anna", "A"), user]
    return GroupChatManager(GroupChat(members, messages=[], max_round=20))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (quiz()(), "pass the function itself"),
        (lambda: print("made"), "`return manager`"),
        (lambda: quiz()().groupchat, "this is a GroupChat"),
        (quiz(names=("host", "anna", "carl")), "they are host, anna, carl"),
        (quiz(max_round=5), "yours is 5"),
        (quiz(registered=False), "anna has an entry, but its class is not registered"),
        (with_a_user, "ben has no model"),
        (without_a_selector, "the hidden selector has no config"),
        (unregistered_selector, "the hidden selector has no client"),
        (in_turn, "speaker 3 was ben, it should be host. The order was: host, anna, ben, host"),
        (quiz(order=("ben", "host", "anna", "host")), "speaker 2 was ben, it should be anna"),
        (quiz(host=("TERMINATE",)), "ended after 3 messages (host, anna, host)"),
        (quiz(host=("Ben?", "The end.")), "a script ran out before anybody had said exactly 'TERMINATE'"),
        (
            quiz(host=("Begin.", "Ben?", "TERMINATE")),
            "host, anna, host, ben, host. The host's last text: 'Ben?'",
        ),
        (quiz(host="Go on.", order=ORDER * 5), "went on, until max_round"),
        (quiz(order=["nobody"] * 60, host=["x"] * 9), "speaker 3 was ben, it should be host"),
        ("make_quiz", "raised TypeError"),
    ],
)
def test_6c_says_what_is_wrong_with_the_group(capsys, make, why):
    out = verdict(capsys, "6c", make)
    assert out.startswith("✘ 6c: ") and why in out


def test_6c_wants_dummies(capsys):
    class Other:
        def __init__(self, config, **kwargs):
            pass

        create = message_retrieval = cost = get_usage = None

    assert "anna answers with Other" in verdict(capsys, "6c", quiz(cls=Other))


def test_6c_knows_a_stub(capsys):
    assert "not solved yet" in verdict(capsys, "6c", lambda: ...)
