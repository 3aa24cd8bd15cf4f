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


# Answers to 6b: rules that choose who speaks


def rule(choose):
    """A rule that returns what a function makes of the speakers so far."""

    def take_turns(messages):
        return choose([message["name"] for message in messages[1:-1]])

    return take_turns


def taking_turns(
    after_expert="moderator", after_geographer="cook", after_cook="geographer", first="geographer"
):
    """A rule that answers so."""

    def choose(speakers):
        if speakers[-1] != "moderator":
            return after_expert
        experts = [name for name in speakers if name != "moderator"]
        answers = {"geographer": after_geographer, "cook": after_cook}
        return answers[experts[-1]] if experts else first

    return rule(choose)


def counted(speakers):
    """Another right way: by how many messages there are."""
    return ("moderator", "geographer", "moderator", "cook")[len(speakers) % 4]


class Counts:
    """A rule that is an object."""

    def __call__(self, messages):
        return counted(messages[1:-1])


class ByParams(DummyModelClient):
    """A right answer as a whole client."""

    def __init__(self, config, **kwargs):
        super().__init__(config, replies=Counts())


class FromScratch:
    """The whole protocol, and a sentence around the name."""

    def __init__(self, config, **kwargs):
        self.inner = ByParams(config)

    def create(self, params):
        return self.inner.create(params)

    def message_retrieval(self, response):
        return [f"Let the {text} speak." for text in self.inner.message_retrieval(response)]

    def cost(self, response):
        return 0

    get_usage = DummyModelClient.get_usage


def as_given(messages):
    speakers = [message["name"] for message in messages[1:-1]]
    if speakers[-1] != "moderator":
        return ...
    experts = [name for name in speakers if name != "moderator"]
    if experts and experts[-1] == ...:
        return "cook"
    return "geographer"


def second_blank_left(messages):
    speakers = [message["name"] for message in messages[1:-1]]
    if speakers[-1] != "moderator":
        return "moderator"
    return "cook" if speakers[-1] == ... else "geographer"


def first_blank_left(messages):
    speakers = [message["name"] for message in messages[1:-1]]
    if speakers[-1] != "moderator":
        return ...
    return "cook" if speakers[-2:-1] == ["geographer"] else "geographer"


def prints(messages):
    print(counted(messages[1:-1]))


MODERATOR = member("moderator", "Hi.")  # in the lesson, `moderator` without quotes is an agent


# Answers to 6c: functions that make a group


class Selector(DummyModelClient):
    pass


class Other:
    def __init__(self, config, **kwargs):
        pass

    create = message_retrieval = cost = get_usage = None


ORDER = ("anna", "host", "ben", "host")
SELECTOR = {"model": "selector", "model_client_cls": "Selector"}


def quiz(order=ORDER, host=("Ben?", "TERMINATE"), names=("host", "anna", "ben"), max_round=20, **kwargs):
    """A function as 6c wants it, whose speakers are chosen by a script, or as `kwargs` say."""

    def make_quiz():
        members = [member(names[0], host), *(member(name, "Here.", **kwargs) for name in names[1:])]
        group = GroupChat(members, messages=[], max_round=max_round)
        manager = GroupChatManager(group, llm_config=LLMConfig(SELECTOR), silent=True)
        register_model_clients(manager, Selector, replies=list(order))
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
    rule = {"replies": lambda messages: ORDER[len(messages) - 3]}
    return managed(
        players()[::-1],
        select_speaker_auto_llm_config=LLMConfig({**SELECTOR, "params": rule}),
        select_speaker_auto_model_client_cls=Selector,
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


RIGHT_QUIZZES = [quiz(), quiz(cls=Selector), by_function, by_function_that_stops, by_autogens_arguments]

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
    ("6a", iter(["carl", "anna", "ben", "carl", "anna"]), "right"),
    ("6a", [member(name, "Hi.") for name in ("carl", "anna", "ben", "carl", "anna")], "right"),
    ("6a", "['carl', 'anna', 'ben', 'carl', 'anna']", "right"),
    ("6a", ["moderator", "cook"], "'moderator' is not in the group"),
    ("6a", {"carl", "anna", "ben"}, "a set has no order"),
    ("6a", ["carl", "anna", "ben", "carl", ...], "put a name in the place of `...`"),
    ("6b", taking_turns(), "right"),
    ("6b", taking_turns(after_expert=" moderator\n"), "right"),
    ("6b", taking_turns(after_expert="I choose the moderator."), "right"),
    ("6b", rule(counted), "right"),
    ("6b", rule(lambda speakers: [counted(speakers)]), "right"),
    ("6b", lambda messages: counted(messages[1:-1]), "right"),
    ("6b", Counts(), "right"),
    ("6b", ByParams, "right"),
    ("6b", FromScratch, "right"),
    ("6b", DummyModelClient({"model": "selector"}, replies=Counts()), "right"),
    ("6b", as_given, "not started"),
    ("6b", second_blank_left, "there are still dots in it"),
    ("6b", first_blank_left, "there are still dots in it"),
    ("6b", taking_turns(after_geographer="geographer"), "after the geographer, it is the cook's turn"),
    ("6b", taking_turns(after_cook="cook"), "it is the geographer's turn again"),
    ("6b", taking_turns(first="cook"), "nobody has answered yet, so it is the geographer's turn"),
    ("6b", taking_turns(after_expert="cook"), "it chose the cook after moderator, geographer"),
    ("6b", taking_turns(after_expert="Moderator"), "upper and lower case count"),
    ("6b", taking_turns(after_expert="host"), "it answered 'host', which names nobody"),
    ("6b", taking_turns(after_expert="moderator or cook"), "wants one name"),
    ("6b", taking_turns(first="cooking"), "names nobody"),
    (
        "6b",
        taking_turns(after_expert=None),
        "it returns nothing. So far: moderator, geographer. There, after",
    ),
    ("6b", taking_turns(first=["geographer", "cook"]), "it returns ['geographer', 'cook']"),
    ("6b", taking_turns(after_expert=MODERATOR), "the agent moderator itself: write its name"),
    ("6b", taking_turns(after_expert=[MODERATOR]), "the agent moderator itself: write its name"),
    ("6b", prints, "it returns nothing. So far: moderator. There, nobody has answered yet"),
    ("6b", lambda: "moderator", "takes 0 positional arguments"),
    ("6b", lambda messages: messages[-1]["name"], "it answered 'checking_agent', which names nobody"),
    ("6b", "geographer", "this is 'geographer': pass the function itself"),
    ("6b", taking_turns()([{}, {"name": "moderator"}, {}]), "pass the function itself"),
    ("6b", ["moderator", "geographer"], "pass the function itself"),
    ("6b", DummyModelClient, "it answered 'This is a dummy reply.', which names nobody"),
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
