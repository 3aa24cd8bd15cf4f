"""Checks of lesson 06: group chats, and who speaks next."""

import dis
import re

from checks.exercise import exercise, prediction

predicted_6_first_speaker = prediction(
    "b",
    a="being the first in the list is no privilege: whoever opens the chat counts as the last speaker.",
    b="the next in the list after the one who spoke last, and that was the moderator.",
    c="the opening was the moderator's turn, and its message is the first of the chat.",
)
predicted_6_selector = prediction(
    "c",
    a="every entry that you can see has one. But AutoGen makes one more agent from the manager's config.",
    b="it can have one, as any agent with an entry. But a manager asks no model itself.",
    c="AutoGen makes a hidden agent that chooses, with the manager's config, and without its client.",
)
predicted_6_script = prediction(
    "b",
    a="that is one client that reads on in its script, but each turn gets a new one.",
    b="each turn has a hidden agent of its own, with a new client that reads its script from the start.",
    c="to the dummy a list is a script: it takes one item for each call, and returns that one name.",
)
predicted_6_nobody = prediction(
    "c",
    a="AutoGen takes a useless answer for something that may happen to any model, and raises nothing.",
    b="the chat goes on: AutoGen would rather have anybody speak than nobody.",
    c="after two more questions, AutoGen takes the next in the list, and does not tell you.",
)


@exercise("6a")
def check_6a(names):
    if isinstance(names, (set, frozenset, dict)):
        return f"a {type(names).__name__} has no order, or no name twice: write a list of texts."
    names = re.findall(r"[\w.]+", names) if isinstance(names, str) else list(names)
    if ... in names:
        return "there are still dots in it: put a name in the place of `...`." if names != [...] else ...
    names = [str(getattr(name, "name", name)).strip().lower() for name in names]
    right = ["carl", "anna", "ben", "carl", "anna"]
    if names == right:
        return None
    if unknown := [name for name in names if name not in right]:
        return f"{unknown[0]!r} is not in the group: write anna, ben and carl."
    if names[:1] == ["anna"]:
        return "whoever calls initiate_chat speaks first, whatever the list says: that is carl."
    if names[:1] != ["carl"]:
        return "the first message is the opening: who sends it?"
    if names[1:2] == ["carl"]:
        return "the opening was carl's turn: after it comes the next in the list, not carl again."
    if names[1:2] != ["anna"]:
        return "carl is the last of the list: the next one is the first, anna."
    if names == right[:4] or names == [*right, "ben"]:
        return f"you have {len(names)} messages: max_round=5 allows five, and the opening counts as one."
    if len(names) > 5:
        return f"you have {len(names)} messages: max_round counts messages, not rounds of the table."
    wrong = next((place for place in range(len(names)) if names[place] != right[place]), None)
    if wrong is None:
        return f"you have {len(names)} of the five messages: go on in the order of the list."
    return f"name {wrong + 1} should be the next in the list after {names[wrong - 1]}."


EXPERTS = ("geographer", "cook")
CHATS = {  # who spoke so far, and who should be next
    ("moderator",): ("geographer", "nobody has answered yet, so it is the geographer's turn"),
    ("moderator", "geographer"): ("moderator", "after an expert, the moderator speaks"),
    ("moderator", "geographer", "moderator"): ("cook", "after the geographer, it is the cook's turn"),
    ("moderator", "geographer", "moderator", "cook"): ("moderator", "after an expert, the moderator speaks"),
    ("moderator", "geographer", "moderator", "cook", "moderator"): (
        "geographer",
        "after the cook, it is the geographer's turn again",
    ),
}


@exercise("6b")
def check_6b(rule):
    blanks = _blanks(rule)
    if blanks > 1:
        return ...
    if blanks:
        return "there are still dots in it: put something in the place of `...`."
    if not callable(rule) and not hasattr(rule, "create"):
        return f"this is {rule!r}: pass the function itself, check_6b(take_turns)."
    for speakers, (right, why) in CHATS.items():
        answer, so_far = _answer(rule, speakers), ", ".join(speakers)
        if isinstance(answer, (list, tuple)) and len(answer) == 1:
            answer = answer[0]
        if hasattr(answer, "name"):
            return f"that is the agent {answer.name} itself: write its name as a text, in quotes."
        if answer is None:
            return f"it returns nothing. So far: {so_far}. There, {why}: `return` the name."
        if not isinstance(answer, str):
            return f"it returns {answer!r}. So far: {so_far}. There, {why}: return one name, as a text."
        named = [name for name in ("moderator", *EXPERTS) if re.search(rf"(?<!\w){name}(?!\w)", answer)]
        if named == [right]:
            continue
        if not named and answer.strip().lower() in ("moderator", *EXPERTS):
            return f"it answered {answer!r}, and nobody is called so: upper and lower case count."
        if not named:
            return f"it answered {answer!r}, which names nobody. So far: {so_far}. There, {why}."
        if len(named) > 1:
            return f"it answered {answer!r}: AutoGen wants one name, and asks again for two."
        return f"it chose the {named[0]} after {so_far}. But {why}: choose the {right}."
    return None


def _blanks(rule):
    """Return how many `...` are in the code of a function."""
    code = getattr(rule, "__code__", None)
    return sum(line.argval is ... for line in dis.get_instructions(code)) if code else 0


def _answer(rule, speakers):
    """Return what a rule, or a model client, says after these speakers."""
    chat = [{"role": "user", "name": name, "content": "Go on."} for name in speakers]
    rules = {"role": "system", "content": "Select the next role from moderator, geographer, cook."}
    question = {"role": "system", "name": "checking_agent", "content": "Who is next?"}
    messages = [rules, *chat, question]
    if hasattr(rule, "create"):
        client = rule({"model": "selector"}) if isinstance(rule, type) else rule
        return client.message_retrieval(client.create({"messages": messages}))
    return rule(messages)


QUIZ = ["host", "anna", "host", "ben", "host"]


@exercise("6c")
def check_6c(make):
    if hasattr(make, "groupchat"):
        return "pass the function itself, without brackets behind its name: the check calls it."
    manager = make()
    if manager is ...:
        return ...
    if manager is None:
        return "your function returns nothing: its last line should be `return manager`."
    if not hasattr(manager, "groupchat"):
        return f"return the GroupChatManager: this is a {type(manager).__name__}."
    group = manager.groupchat
    members = {agent.name: agent for agent in group.agents}
    if sorted(members) != sorted(set(QUIZ)):
        return f"the members should be host, anna and ben, they are {', '.join(members)}."
    if mistake := _no_dummy(members):
        return mistake
    if group.max_round != 20:
        return f"leave max_round at 20, a net in case the chat never ends: yours is {group.max_round}."
    try:
        result = members["host"].initiate_chat(manager, message="Begin.", silent=True)
    except Exception as error:
        return _why(error, group.messages)
    speakers = [message["name"] for message in result.chat_history]
    return _order(speakers, group.max_round)


def _no_dummy(members):
    """Say which member would answer with something else than a script."""
    from kit import DummyModelClient

    for name, agent in members.items():
        clients = getattr(getattr(agent, "client", None), "_clients", None)
        if not clients:
            return f"{name} has no model: give it an llm_config, as make_agent does."
        if type(clients[0]).__name__ == "PlaceHolderClient":
            return f"{name} has an entry, but its class is not registered: see lesson 03."
        if not isinstance(clients[0], DummyModelClient):
            return f"{name} answers with {type(clients[0]).__name__}: use DummyModelClient or a subclass."
    return None


def _why(error, messages):
    text = str(error)
    if "not activated" in text or "'model_client_cls' was supplied" in text:
        return (
            "the hidden selector has no client: register_model_clients(manager, YourClass), or both "
            "select_speaker_auto_... arguments."
        )
    if "does not have an LLM configuration" in text:
        return (
            "the hidden selector has no config: give the manager an llm_config, or choose "
            "the speakers without a model."
        )
    if "script has" in text:
        last = [message["content"] for message in messages if message["name"] == "host"][-1]  # it opened
        return (
            "a script ran out before anybody had said exactly 'TERMINATE'. So far: "
            f"{', '.join(message['name'] for message in messages)}. The host's last text: {last!r}. {text}"
        )
    return f"the chat raised {type(error).__name__}: {text}"


def _order(speakers, limit):
    """Say what is wrong with the speakers of a quiz."""
    right = [*QUIZ[: len(speakers)], *["nobody"] * (len(speakers) - len(QUIZ))]
    wrong = next(
        (place for place, (one, other) in enumerate(zip(speakers, right, strict=True)) if one != other), None
    )
    if wrong is None:
        if len(speakers) < len(QUIZ):
            return (
                f"the chat ended after {len(speakers)} messages ({', '.join(speakers)}): five were wanted. "
                "Did somebody say TERMINATE too early?"
            )
        return None
    if wrong == len(QUIZ):
        tail = ", until max_round" if len(speakers) == limit else ""
        return (
            f"the five speakers are right, but then the chat went on{tail}: the host's last text must be "
            "exactly 'TERMINATE'."
        )
    return (
        f"speaker {wrong + 1} was {speakers[wrong]}, it should be {QUIZ[wrong]}. The order was: "
        f"{', '.join(speakers[:6])}{' ...' if len(speakers) > 6 else ''}."
    )
