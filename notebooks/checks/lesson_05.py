"""Checks of lesson 05: troubleshooting."""

import dis
import re
import traceback

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


def _registers_once(function):
    """Return whether a function's code calls register_model_client in one place, and in no loop."""
    lines = list(dis.get_instructions(function))
    calls = sum(line.argval == "register_model_client" for line in lines)
    return calls == 1 and not any(line.opname == "FOR_ITER" for line in lines)


def _texts_of_two(cls):
    """Return what is wrong with the texts that `message_retrieval` takes out of two choices."""
    from kit import DummyModelClient

    two = DummyModelClient({"model": "m"}, replies=[["one", "two"]]).create({"messages": [], "n": 2})
    texts = cls({"model": "m"}).message_retrieval(two)
    wrong = f"of two choices, 'one' and 'two', `message_retrieval` returns {texts!r}"
    return None if list(texts) == ["one", "two"] else f"{wrong}: take the text of each choice."


@exercise("5a")
def check_5a(cls):
    from kit import DummyModelClient, check_model_client

    if not isinstance(cls, type):
        return "hand over the class itself: check_5a(Patient)."
    methods = ("message_retrieval", "cost")
    if missing := [name for name in methods if not hasattr(cls, name)]:
        return f"{cls.__name__} has no `{missing[0]}`: it should be the class above, with its two methods."
    if gone := [name for name in methods if getattr(cls, name) is getattr(DummyModelClient, name)]:
        return f"`{gone[0]}` is gone from the class, so it is the dummy's own: keep it, and fix it."
    findings = [finding for finding in check_model_client(cls, timeout=10).findings if not finding.warning]
    if not findings:
        return _texts_of_two(cls)
    as_given = "free" in getattr(getattr(vars(cls).get("cost"), "__code__", None), "co_consts", ())
    if as_given and "message_retrieval returned a NoneType" in findings[0].message:
        return ...  # both mistakes are still there
    left = "" if "cost" in findings[0].message else " (After this one there may be another.)"
    return f"{findings[0].message}{left}"


@exercise("5b")
def check_5b(make_brief):
    if not callable(make_brief) or isinstance(make_brief, type):
        return "hand over the function itself: check_5b(make_brief), without brackets behind it."
    try:
        agent = make_brief()
        if agent is None:
            return "`make_brief` returns nothing: end it with `return agent`."
        if not hasattr(agent, "generate_reply"):
            return f"`make_brief` should return the agent: this is {_shown(agent)}."
        reply = agent.generate_reply(messages=[{"role": "user", "content": "Who is there?"}])
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        config = _config_of(error)
        if error.args == ("params",) and config == GIVEN:
            return ...
        said = (str(error).splitlines() or ["no message"])[0].rstrip(".")
        where = f" in {line.name}, at `{line.line}`." if line.line else f" in {line.name}."
        keys = f" There, `config` has {', '.join(config)}." if config else ""
        return f"{type(error).__name__}: {said},{where}{keys}"
    if reply == "This is a":
        return None
    if reply == "This is a dummy reply.":
        return "the agent answers, but nothing cuts its reply: three words are wanted."
    return f"the agent replies {_shown(reply)}: it should be 'This is a', three words of the dummy's reply."


def _shown(value):
    return repr(value) if isinstance(value, str) else f"a {type(value).__name__}"


def _config_of(error):
    """Return the fields of the entry that the failing constructor got, without AutoGen's own."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        config = frame.f_locals.get("config")
        if frame.f_code.co_name == "__init__" and isinstance(config, dict):
            return {name: config[name] for name in config if name not in ("api_type", "stream", "tags")}
    return {}


GIVEN = {"model": "my-model", "model_client_cls": "Brief", "max_length": 3}  # the entry of 5b
STEPS = {"class": 1, "config": 2, "list": 2, "entry": 2, "regist": 3}


def _step(answer):
    """Return the number of the step that an answer means, None if it means none."""
    numbers = re.findall(r"\d+", str(answer))
    named = {step for word, step in STEPS.items() if word in str(answer).lower()}
    if numbers or len(named) != 1:
        return int(numbers[0]) if numbers and not isinstance(answer, (list, dict)) else None
    return named.pop()


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
    steps = {str(letter).strip().upper(): step for letter, step in steps.items()}
    if others := [letter for letter in steps if letter not in right]:
        return f"there is no message {others[0]}: the letters are A to E."
    open_ones = [letter for letter in right if steps.get(letter, ...) in (..., None)]
    if len(open_ones) == len(right):
        return ...
    for letter, step in right.items():
        if letter in open_ones or (given := _step(steps[letter])) == step:
            continue
        if given not in (1, 2, 3):
            return f"{letter}: {steps[letter]!r} is not one of the three steps. Write 1, 2 or 3."
        return f"{letter} is not step {given}. Ask: {ask[letter]}"
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
    if not hasattr(agent, "generate_reply"):
        return f"`make_bird` should return the agent: this is {_shown(agent)}."
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
