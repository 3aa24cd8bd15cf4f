"""Checks of lesson 05: troubleshooting."""

import dis

from checks.exercise import exercise, prediction

predicted_5_text_for_list = prediction(
    "b",
    a="that would need a list with this text in it: AutoGen takes the first item of what it gets.",
    b="the first item of a text is its first letter.",
    c="AutoGen never looks whether it got a list. A text has a first item as well, so nothing fails.",
)
predicted_5_old_or_new = prediction(
    "a",
    a="its client was made at registration, of the class as it was then.",
    b="running the cell again made a second class of the same name. The agent has a client of the first.",
    c="the old class lives on as long as a client of it does, and works as it always did.",
)
predicted_5_group = prediction(
    "c",
    a="anna was registered, as the other two: make_agent has done it.",
    b="its own place is empty indeed, but a manager asks no model: a hidden agent chooses who speaks.",
    c="a hidden agent chooses who speaks. AutoGen makes it, with the manager's list.",
)


def _empty(agent):
    """Return how many of an agent's places have no client."""
    return sum("PlaceHolder" in type(client).__name__ for client in agent.client._clients)


def _registers_once(function):
    """Return whether a function's code calls register_model_client in one place, and in no loop."""
    lines = list(dis.get_instructions(function))
    calls = sum(line.argval == "register_model_client" for line in lines)
    return calls == 1 and not any(line.opname == "FOR_ITER" for line in lines)


def _texts_of_two(cls):
    """Return what is wrong with the texts that `message_retrieval` takes out of two choices."""
    client = cls({"model": "m"}, replies=[["one", "two"]])
    texts = client.message_retrieval(client.create({"messages": [], "n": 2}))
    wrong = f"of two choices, 'one' and 'two', `message_retrieval` returns {texts!r}"
    return None if list(texts) == ["one", "two"] else f"{wrong}: take the text of each choice."


@exercise("5a")
def check_5a(cls):
    from kit import DummyModelClient, check_model_client

    if not isinstance(cls, type):
        return "hand over the class itself: check_5a(Patient)."
    methods = ("message_retrieval", "cost")
    if gone := [name for name in methods if getattr(cls, name, None) is getattr(DummyModelClient, name)]:
        return f"`{gone[0]}` is gone from the class, so it is the dummy's own: keep it, and fix it."
    findings = [finding for finding in check_model_client(cls, timeout=10).findings if not finding.warning]
    if not findings:
        return _texts_of_two(cls)
    as_given = "free" in getattr(getattr(vars(cls).get("cost"), "__code__", None), "co_consts", ())
    if as_given and "message_retrieval returned a NoneType" in findings[0].message:
        return ...  # both mistakes are still there
    left = "" if "cost" in findings[0].message else " (After this one there may be another.)"
    return f"{findings[0].message} Fix: {findings[0].fix}{left}"


@exercise("5b")
def check_5b(agent):
    from kit import DummyModelClient, diagnose

    entries = getattr(getattr(agent, "llm_config", None), "config_list", [])
    if len(entries) != 2:
        return f"the agent should keep its two entries, it has {len(entries)}."
    if entries[1].get("model_client_cls") == "dummymodelclient" and _empty(agent) == 2:
        return ...
    findings = diagnose(agent, DummyModelClient).findings
    return f"{findings[0].message} Fix: {findings[0].fix}" if findings else None


@exercise("5c")
def check_5c(steps):
    right = {"A": 3, "B": 1, "C": 2, "D": 1, "E": 2}
    ask = {
        "A": "the class is there. What has to be done with it, for every entry that names it?",
        "B": "which method should have returned what AutoGen wants to set `cost` on?",
        "C": "where did you write `temperature`?",
        "D": "where does the number come from that AutoGen adds up?",
        "E": "which part of the program tells AutoGen that the client is yours, not its own?",
    }
    if not isinstance(steps, dict):
        return 'write a dict with a number for each letter: {"A": 1, ...}.'
    open_ones = [letter for letter in right if steps.get(letter, ...) is ...]
    if len(open_ones) == len(right):
        return ...
    for letter, step in right.items():
        if letter not in open_ones and str(steps[letter]).strip() != str(step):
            return f"{letter} is not step {steps[letter]}. Ask: {ask[letter]}"
    return f"right so far. Still to go: {', '.join(open_ones)}." if open_ones else None


@exercise("5d")
def check_5d(make_bird):
    from kit import check_model_client, diagnose

    if not callable(make_bird):
        return "hand over the function itself: check_5d(make_bird), without brackets behind it."
    try:
        agent = make_bird()
    except Exception as error:
        return f"make_bird() raised {type(error).__name__}: {str(error).splitlines()[0]}"
    if agent is None:
        return "`make_bird` returns nothing: end it with `return bird`."
    entries = getattr(getattr(agent, "llm_config", None), "config_list", [])
    if [entry.get("model") for entry in entries] != ["owl", "old owl"]:
        return "the agent should keep its two entries, owl and old owl."
    names = [entry.get("model_client_cls") for entry in entries]
    classes = list({type(client) for client in agent.client._clients if hasattr(client, "create")})
    findings = [finding for cls in classes for finding in check_model_client(cls, timeout=10).findings]
    findings = [finding for finding in findings if not finding.warning]
    if names == ["Owl", "owl"] and _registers_once(make_bird) and findings:
        return ...
    if findings:
        return f"step 1, the class: {findings[0].message} Test: check_model_client({classes[0].__name__})"
    findings = diagnose(agent, *classes).findings
    if findings:
        wrong = findings[0]
        step = "step 2, the list" if wrong.step == 2 else f"step {wrong.step}"
        return f"{step}: {wrong.message} Test: diagnose(make_bird(), {', '.join(names[:1])})"
    reply = agent.generate_reply(messages=[{"role": "user", "content": "Who is there?"}])
    return None if reply == "This is a dummy reply." else f"the agent replies {reply!r}."
