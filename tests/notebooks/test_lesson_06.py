"""Lesson 06: its checks accept every right answer, and name each misconception."""

import pytest
from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent

from kit import DummyModelClient, register_model_clients


def member(name, replies, cls=DummyModelClient, registered=True):
    entry = {"model": "script", "model_client_cls": cls.__name__}
    agent = AssistantAgent(name, llm_config=LLMConfig(entry), system_message="Be brief.")
    if registered:
        agent.register_model_client(cls, replies=replies)
    return agent


# Answers to 6b: classes that select who speaks


def selector(choose):
    """A selector class whose answers are what a function makes of the speakers so far and of n."""

    class TakeTurns(DummyModelClient):
        def _answers(self, messages, n):
            return choose([message["name"] for message in messages[1:-1]], n)

    return TakeTurns


def taking_turns(
    after_expert="moderator", after_geographer="cook", after_cook="geographer", first="geographer"
):
    """A selector class that answers so."""

    def choose(speakers, n):
        if speakers[-1] != "moderator":
            return [after_expert] * n
        experts = [name for name in speakers if name != "moderator"]
        answers = {"geographer": after_geographer, "cook": after_cook}
        return [answers[experts[-1]] if experts else first] * n

    return selector(choose)


def counted(speakers):
    """Another right way: by how many messages there are."""
    return ("moderator", "geographer", "moderator", "cook")[len(speakers) % 4]


ByCounting = selector(lambda speakers, n: [counted(speakers)] * n)


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


def second_blank_left(speakers, n):
    """The second blank is only compared, so nothing of it is in the answer."""
    if speakers[-1] != "moderator":
        return ["moderator"] * n
    return ["cook"] * n if speakers[-1] == ... else ["geographer"] * n


MODERATOR = member("moderator", "Hi.")  # in the lesson, `moderator` without quotes is an agent


# Answers to 6c: functions that make a group


class Script(DummyModelClient):
    pass


class Other:
    def __init__(self, config, **kwargs):
        pass

    create = message_retrieval = cost = get_usage = None


ORDER = ("anna", "host", "ben", "host")
SELECTOR = {"model": "selector", "model_client_cls": "Script"}


def quiz(order=ORDER, host=("Ben?", "TERMINATE"), names=("host", "anna", "ben"), max_round=20, **kwargs):
    """A function as 6c wants it, whose speakers are chosen by a script, or as `kwargs` say."""

    def make_quiz():
        members = [member(names[0], host), *(member(name, "Here.", **kwargs) for name in names[1:])]
        group = GroupChat(members, messages=[], max_round=max_round)
        manager = GroupChatManager(group, llm_config=LLMConfig(SELECTOR), silent=True)
        register_model_clients(manager, Script, replies=list(order))
        return manager

    return make_quiz


def players():
    return [member("host", ["Ben?", "TERMINATE"]), member("anna", "A"), member("ben", "B")]


def managed(members, **kwargs):
    return GroupChatManager(GroupChat(members, messages=[], max_round=20, **kwargs))


def by_function():
    def choose(last_speaker, group):
        return group.agent_by_name(ORDER[len(group.messages) - 1])

    return managed(players(), speaker_selection_method=choose)


def by_function_that_stops():
    """Nobody says TERMINATE: the function returns nobody."""

    def choose(last_speaker, group):
        number = len(group.messages)
        return group.agent_by_name(ORDER[number - 1]) if number <= len(ORDER) else None

    members = [member("host", "Host."), member("anna", "A"), member("ben", "B")]
    return managed(members, speaker_selection_method=choose)


def by_autogens_arguments():
    class Counting(DummyModelClient):
        def _answers(self, messages, n):
            return [ORDER[len(messages) - 3]] * n

    return managed(
        players()[::-1],
        select_speaker_auto_llm_config=LLMConfig({"model": "selector", "model_client_cls": "Counting"}),
        select_speaker_auto_model_client_cls=Counting,
    )


def without_a_selector():
    return managed([member(name, "Here.") for name in ("host", "anna", "ben")])


def unregistered_selector():
    return GroupChatManager(without_a_selector().groupchat, llm_config=LLMConfig(SELECTOR))


def in_turn():
    return managed(players(), speaker_selection_method="round_robin")


def with_a_user():
    user = UserProxyAgent("ben", human_input_mode="NEVER", code_execution_config=False)
    return managed([member("host", "Host."), member("anna", "A"), user])


RIGHT_QUIZZES = [quiz(), quiz(cls=Script), by_function, by_function_that_stops, by_autogens_arguments]

ANSWERS = [
    ("6a", ["carl", "anna", "ben", "carl", "anna"], "right"),
    ("6a", ("Carl", "Anna", "Ben", "Carl", "Anna"), "right"),
    ("6a", "carl, anna, ben, carl, anna", "right"),
    ("6a", "carl anna ben carl anna", "right"),
    ("6a", ["anna", "ben", "carl", "anna", "ben"], "whoever calls initiate_chat speaks first"),
    ("6a", ["ben", "carl", "anna", "ben", "carl"], "who sends it?"),
    ("6a", ["carl", "carl", "anna", "ben", "carl"], "the opening was carl's turn"),
    ("6a", ["carl", "ben", "anna", "carl", "ben"], "the next one is the first, anna"),
    ("6a", ["carl", "anna", "ben", "carl", "anna", "ben"], "you have 6 messages: max_round=5 allows five"),
    ("6a", ["carl", "anna", "ben", "carl"], "you have 4 messages"),
    ("6a", ["carl", "anna", "ben"] * 5, "not rounds of the table"),
    ("6a", ["carl", "anna", "ben"], "you have 3 of the five messages"),
    ("6a", ["carl", "anna", "carl", "ben", "anna"], "name 3 should be the next in the list after anna"),
    ("6a", ["carl", "manager", "anna", "ben", "carl"], "'manager' is not in the group"),
    ("6a", [], "who sends it?"),
    ("6a", 5, "raised TypeError"),
    ("6b", taking_turns(), "right"),
    ("6b", taking_turns(after_expert=" moderator\n"), "right"),
    ("6b", ByCounting, "right"),
    ("6b", FromScratch, "right"),
    ("6b", selector(lambda speakers, n: [counted(speakers)]), "right"),
    ("6b", taking_turns(after_geographer="geographer"), "after the geographer, it is the cook's turn"),
    ("6b", taking_turns(after_cook="cook"), "it is the geographer's turn again"),
    ("6b", taking_turns(first="cook"), "nobody has answered yet, so it is the geographer's turn"),
    ("6b", taking_turns(after_expert="cook"), "it chose the cook after moderator, geographer"),
    ("6b", taking_turns(after_expert="Moderator"), "upper and lower case count"),
    ("6b", taking_turns(after_expert="host"), "it answered 'host', which names nobody"),
    ("6b", taking_turns(after_expert="moderator or cook"), "wants one name"),
    ("6b", taking_turns(first="cooking"), "names nobody"),
    ("6b", taking_turns()({"model": "selector"}), "pass the class itself"),
    ("6b", int, "raised TypeError"),
    ("6b", selector(lambda speakers, n: "geographer"), "one letter: `_answers` returns a list"),
    ("6b", selector(lambda speakers, n: [MODERATOR] * n), "the agent moderator itself: write its name"),
    ("6b", selector(second_blank_left), "after the geographer, it is the cook's turn"),
    ("6b", taking_turns(after_expert=...), "not started"),
    *[("6c", make, "right") for make in RIGHT_QUIZZES] * 2,  # a second time as the first
    ("6c", quiz()(), "pass the function itself"),
    ("6c", lambda: print("made"), "`return manager`"),
    ("6c", lambda: quiz()().groupchat, "this is a GroupChat"),
    ("6c", quiz(names=("host", "anna", "carl")), "they are host, anna, carl"),
    ("6c", quiz(max_round=5), "yours is 5"),
    ("6c", quiz(registered=False), "anna has an entry, but its class is not registered"),
    ("6c", quiz(cls=Other), "anna answers with Other"),
    ("6c", with_a_user, "ben has no model"),
    ("6c", without_a_selector, "the hidden selector has no config"),
    ("6c", unregistered_selector, "the hidden selector has no client"),
    ("6c", in_turn, "speaker 3 was ben, it should be host. The order was: host, anna, ben, host"),
    ("6c", quiz(order=("ben", "host", "anna", "host")), "speaker 2 was ben, it should be anna"),
    ("6c", quiz(host=("TERMINATE",)), "ended after 3 messages (host, anna, host)"),
    ("6c", quiz(host=("Ben?", "The end.")), "before anybody had said exactly 'TERMINATE'"),
    ("6c", quiz(host=("Begin.", "Ben?", "TERMINATE")), "ben, host. The host's last text: 'Ben?'"),
    ("6c", quiz(host="Go on.", order=ORDER * 5), "went on, until max_round"),
    ("6c", quiz(order=["nobody"] * 60, host=["x"] * 9), "speaker 3 was ben, it should be host"),
    ("6c", "make_quiz", "raised TypeError"),
    ("6c", lambda: ..., "not started"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)
