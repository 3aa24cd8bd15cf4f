"""Chats that went wrong, most of them without an exception: what is found, and that doing what the fix says
makes it right.
"""

import io
import itertools
from types import SimpleNamespace

import autogen
import pytest
from autogen import LLMConfig
from autogen.agentchat.contrib.multimodal_conversable_agent import MultimodalConversableAgent
from autogen.coding import LocalCommandLineCodeExecutor
from PIL import Image
from server import GOOD
from set_ups import (
    ALL_FOUR,
    DUMMY,
    MINE,
    QUESTION,
    Memory,
    add,
    agent,
    chat,
    client,
    codes,
    group,
    raised,
    ready,
    safely_ends,
    says,
    user,
)

from kit import DummyModelClient, diagnose, register_model_clients, tool_call
from kit.checks.explain import explain

pytestmark = pytest.mark.usefixtures("folder")


# A user's side of the chat ------------------------------------------------------------------------------


def ends(message):
    return message["content"].rstrip().endswith("TERMINATE")


def calling(replies, check=ends):
    made, other = agent(DUMMY), user(is_termination_msg=check)
    autogen.register_function(add, caller=made, executor=other, description="Add.")
    made.register_model_client(DummyModelClient, replies=replies)
    return made, other


def test_a_check_that_can_not_take_a_tool_call_is_named():
    made, other = calling([tool_call("add", a=1, b=2), "3"])
    report = diagnose([made, other], error=raised(lambda: chat(made, other)))
    assert codes(report) == ["termination-check"]
    made, other = calling([tool_call("add", a=1, b=2), "3 TERMINATE"], safely_ends)
    chat(made, other)
    assert codes(diagnose([made, other])) == []


def test_who_asks_where_nobody_can_type_is_named(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    asking = autogen.UserProxyAgent("asking", code_execution_config=False)
    finding = explain(raised(lambda: chat(ready(), asking)))
    assert finding.code == "no-keyboard"
    assert finding.message.startswith("asking ")


# After a run in which nothing was raised ------------------------------------------------------------------


def nested_answers(fixed):
    """An agent whose nested chats answer in its place; or one that has it asked first."""
    made, inner, other = says("Long."), says("Short.", name="inner"), user()
    front = autogen.ConversableAgent("front", llm_config=False, human_input_mode="NEVER") if fixed else made
    both = [{"recipient": made, "max_turns": 1}, {"recipient": inner, "message": "Shorter?", "max_turns": 1}]
    front.register_nested_chats(both if fixed else both[1:], trigger=other)
    chat(front, other, max_turns=1)
    return [front, other]


def to_itself(fixed):
    made = says("Better.", "Better still.", "Best.", max_consecutive_auto_reply=2)
    if fixed:
        made.generate_reply(messages=QUESTION)
    else:
        chat(made, made)
    return made


def puzzled(fixed):
    made = says("Run `plot()`.", "Your message seems to be empty.")
    other = user(**({"default_auto_reply": "Go on."} if fixed else {}))
    chat(made, other, max_turns=2)
    return [made, other]


def unanswered(fixed):
    made = says("I can't see the file. Could you paste it?", "The file, please.", "It is 42.")
    other = user(**({"default_auto_reply": "x = 42"} if fixed else {}))
    chat(made, other, max_turns=2)
    return [made, other]


def writes_and_ends(fixed):
    code = "```python\nprint(6 * 7)\n```\n"
    made = says(*([code, "TERMINATE"] if fixed else [f"{code}TERMINATE"]))
    executor = LocalCommandLineCodeExecutor(work_dir="coding")
    other = autogen.UserProxyAgent(
        "runner",
        human_input_mode="NEVER",
        is_termination_msg=safely_ends,
        code_execution_config={"executor": executor},
    )
    chat(made, other)
    return [made, other]


def waits_for_code(fixed):
    """A group in which the one that runs code is chosen where there is none."""
    coder = says(*["The result comes next."] * 3, name="coder")
    runner = user(name="runner", **({"default_auto_reply": "There was no code."} if fixed else {}))
    manager = group(coder, runner, select="round_robin", max_round=6)
    coder.initiate_chat(manager, message="What is 6 * 7?", silent=True)
    return manager


def error_as_reply(fixed):
    return talk("Paris." if fixed else "Error code: 401 - {'error': {'message': 'Invalid API key'}}")


def typed_over_code(fixed):
    """A user proxy that runs code, with somebody who types where it asks."""
    made = says("```python\nprint(1)\n```", "Fine.")
    executor = LocalCommandLineCodeExecutor(work_dir="coding")
    other = autogen.UserProxyAgent(
        "user",
        human_input_mode="NEVER" if fixed else "ALWAYS",
        code_execution_config={"executor": executor},
    )
    other.get_human_input = lambda prompt, **_: "Run it, please"
    chat(made, other, max_turns=2)
    return [made, other]


def silence(fixed):
    made = says(*["Can I do more for you?"] * 4)
    other = user(max_consecutive_auto_reply=2)
    chat(made, other, max_turns=1 if fixed else None)
    return [made, other]


def talk(*replies, turns=1, message="Hi", **settings):
    made, other = says(*replies), user(**settings)
    chat(made, other, message, max_turns=turns)
    return [made, other]


def goes_on(fixed):
    made = says("All done, TERMINATE.", "Yes.", "Yes.")
    other = user(
        default_auto_reply="Go on.",
        **({"is_termination_msg": lambda m: "TERMINATE" in m["content"]} if fixed else {}),
    )
    chat(made, other, max_turns=2)
    return [made, other]


def cached(fixed):
    memory = Memory()
    for _ in range(2):
        made = agent(MINE, register=[client()])
        chat(made, user(), max_turns=1, cache=None if fixed else memory)
    return made


def without_an_id(fixed):
    def create(self, params):
        message = SimpleNamespace(content="Hi", tool_calls=None, function_call=None)
        made = SimpleNamespace(choices=[SimpleNamespace(message=message)], model="m", usage=None)
        if fixed:
            made.id = "1"
        return made

    loud = client(
        create=create,
        message_retrieval=lambda self, response: [one.message.content.upper() for one in response.choices],
        get_usage=staticmethod(lambda response: {}),
    )
    made = agent(MINE, register=[loud])
    chat(made, user(), max_turns=1)
    return made


def unpaid(fixed):
    cls = client(get_usage=ALL_FOUR["get_usage"] if fixed else staticmethod(lambda response: {}))
    made = agent({**MINE, "price": [1, 2]}, register=[cls])
    chat(made, user(), max_turns=1)
    return made


def incomplete(fixed):
    """A client that counts, and does not say of which model."""
    keys = {"get_usage": staticmethod(lambda response: {"prompt_tokens": 3, "total_tokens": 5})}
    made = agent(MINE, register=[client(**({} if fixed else keys))])
    chat(made, user(), max_turns=1)
    assert bool(made.get_total_usage()) is fixed
    return made


def turns(fixed):
    """A group whose selector names nobody, so that its members take turns; or one that names them."""
    members = [says(*["Well."] * 9, name=name) for name in "abc"]
    manager = group(*members, manager_entry=DUMMY, registered=False, max_round=8)
    order = itertools.cycle("acbcab")
    selector = client(
        "DummyModelClient",
        create=lambda self, params: DummyModelClient(
            self.config, replies=[next(order) if fixed else "I can't say."]
        ).create(params),
    )
    register_model_clients(manager, selector)
    members[0].initiate_chat(manager, message="Hi", silent=True)
    return manager


def made_up_turns(fixed):
    return talk("Paris." if fixed else "Paris.\nuser\nAnd of Italy?\nassistant\nRome.")


def user_with_a_model(fixed):
    other = user(llm_config=False if fixed else autogen.LLMConfig(dict(DUMMY)))
    if not fixed:
        other.register_model_client(DummyModelClient)
    return [ready(), other]


def nested_in_a_group(fixed):
    members = [ready(name) for name in "ab"]
    manager = group(*members, select="round_robin")
    chats = [{"recipient": ready("c"), "message": "?", "max_turns": 1}]
    members[1].register_nested_chats(chats, trigger=manager if fixed else members[0])
    return manager


def talk_in_a_group(*replies, **settings):
    members = [says(*replies, name=name) for name in "abc"]
    manager = group(*members, select="round_robin", **settings)
    members[0].initiate_chat(manager, message="Hi", silent=True)
    return manager


def rounds(fixed):
    return talk_in_a_group(*["Well."] * 9, max_round=5 if fixed else 10)


def few_rounds(fixed):
    return talk_in_a_group(*["Well."] * 9, max_round=3 if fixed else 2)


def goes_on_in_a_group(fixed):
    return talk_in_a_group(*["TERMINATE" if fixed else "Done. TERMINATE"] * 9, max_round=5)


def tiny_price(fixed):
    made = agent({**DUMMY, "price": [1.5e-4, 6e-4] if fixed else [1.5e-7, 6e-7]}, register=[DummyModelClient])
    chat(made, user(), max_turns=1)
    return made


def ends_too_soon(fixed):
    auto_reply = "Go on." if fixed else "TERMINATE"
    made, other = says("First I look.", "Then I see."), user(default_auto_reply=auto_reply)
    made._is_termination_msg = lambda message: message["content"] == "TERMINATE"
    chat(made, other, max_turns=2)
    return [made, other]


def writes_code(fixed):
    return talk("Hello." if fixed else "Run this:\n```python\nprint(1)\n```", "Well?", turns=2)


def runs(code, fixed_code, language="python"):
    """Return a chat in which the code that a model wrote is run."""

    def run(fixed):
        executor = LocalCommandLineCodeExecutor(work_dir="coding")
        other = autogen.UserProxyAgent(
            "runner", human_input_mode="NEVER", code_execution_config={"executor": executor}
        )
        block = f"python\n{fixed_code}" if fixed else f"{language}\n{code}"
        made = says(f"```{block}\n```", "Well.")
        chat(made, other, max_turns=2)
        return [made, other]

    return run


def talks_to_itself(fixed):
    members = [says(*["Well."] * 9, name=name) for name in "ab"]
    how = "round_robin" if fixed else "auto"
    manager = group(*members, manager_entry=DUMMY, registered=False, max_round=5, select=how)
    selector = client("DummyModelClient", _answers=lambda self, messages, n: ["b"] * n)
    register_model_clients(manager, selector)
    members[0].initiate_chat(manager, message="Hi", silent=True)
    return manager


def unpriced(fixed):
    made = agent({name: value for name, value in GOOD.items() if fixed or name != "price"})
    chat(made, user(), max_turns=1)
    return made


def cut(fixed):
    made, other = agent({**GOOD, "model": "forgetful"}), user()
    chat(made, other, "All of it: " + "word " * (1000 if fixed else 9000), max_turns=1)
    return [made, other]


def short(fixed, limit=5):
    """A client whose replies have as many tokens as they may have; AutoGen is told what it counted.

    Without a limit it has 16, as servers have that complete texts.
    """

    def create(self, params):
        reply = "Paris." if fixed else "Paris is the capital of"
        response = DummyModelClient(self.config, replies=[reply]).create(params)
        response.usage.completion_tokens = 9 if fixed else params.get("max_new_tokens", 16)
        response.usage.total_tokens = 20
        return response

    made, other = agent({**MINE, **({"max_new_tokens": 10 if fixed else limit} if limit else {})}), user()
    made.register_model_client(client(create=create))
    chat(made, other, max_turns=2)
    return [made, other]


def shown_an_image(fixed):
    Image.new("RGB", (4, 4)).save("red.png")
    made = MultimodalConversableAgent("helper", llm_config=LLMConfig(dict(DUMMY)))
    made.register_model_client(DummyModelClient, replies=["Red."])
    other = user()
    chat(made, other, f"What is this? <img {'' if fixed else 'src='}red.png>", max_turns=1)
    return [made, other]


def ends_at_member(fixed):
    """A group in which the one that ends it is the one that checks for the end; or the manager does."""
    check = {"is_termination_msg": lambda message: "VERDICT" in (message.get("content") or "")}
    members = [says(*["Well."] * 9, name=name) for name in "ab"]
    judge = says(*["VERDICT: a."] * 9, name="judge", **({} if fixed else check))
    manager = group(*members, judge, select="round_robin", max_round=5)
    if fixed:
        manager._is_termination_msg = check["is_termination_msg"]
    members[0].initiate_chat(manager, message="Hi", silent=True)
    return manager


def scored(fixed):
    """A client that keeps a score, which is set on what stands around it; or on what it was given."""

    class Mine(DummyModelClient):
        def __init__(self, config, state=None):
            super().__init__(config)
            self.score = 1
            self.state = state
            self.total_usage_summary = None  # which the wrapper has, too

    state, made = {"score": 1}, agent(MINE)
    made.register_model_client(Mine, state=state)
    if fixed:
        state["score"] = 0
    else:
        made.client.score = 0
    chat(made, user(), max_turns=1)
    return made


RUNS = {
    "a check for the end on a member": (ends_at_member, "check-on-member"),
    "a state that is set beside the client": (scored, "set-on-wrapper"),
    "replies of 16 tokens": (lambda fixed: short(fixed, limit=None), "cut-by-default"),
    "thanks for thanks": (
        lambda fixed: talk(
            *3 * ["Thanks!"], turns=2 if fixed else 3, message="Bye!", default_auto_reply="Bye!"
        ),
        "in-circles",
    ),
    "an image that can't be loaded": (shown_an_image, "image-unread"),
    "a server that cuts the prompts": (cut, "prompts-cut"),
    "replies that may be too short": (short, "cut-replies"),
    "a turn of the user after a reply": (
        lambda fixed: talk("Paris." if fixed else "Paris.\nuser\nAnd what is that of Italy?"),
        "runs-on",
    ),
    "a prompt in the reply, as a template has it": (
        lambda fixed: talk(
            "Paris." if fixed else "system\nBe brief.\nuser\nHi there\nassistant\nParis.", message="Hi there"
        ),
        "repeats-prompt",
    ),
    "a model without a price": (unpriced, "no-price"),
    "code without its file": (runs("open('sales.csv')", "print(1)"), "code-failed"),
    "code without its package": (runs("import no_such_package", "print(1)"), "code-failed"),
    "code that fails": (runs("1 / 0", "print(1)"), "code-failed"),
    "a member that is chosen again and again": (talks_to_itself, "one-speaker"),
    "an end token in each reply": (
        lambda fixed: talk("Paris." if fixed else "Paris.<|im_end|>"),
        "special-tokens",
    ),
    "a reply of the user that ends it all": (ends_too_soon, "ended-by-itself"),
    "code that nobody runs": (writes_code, "code-not-run"),
    "turns of the user that the model made up": (made_up_turns, "runs-on"),
    "a user proxy with a model": (user_with_a_model, "user-with-model"),
    "a nested chat that waits for a member": (nested_in_a_group, "nested-trigger"),
    "max_round, which nobody set": (rounds, "default-rounds"),
    "too few rounds for all": (few_rounds, "rounds-were-few"),
    "TERMINATE in a group": (goes_on_in_a_group, "termination-unseen"),
    "a price for one token": (tiny_price, "config-list"),
    "nested chats in place of an answer": (nested_answers, "nested-instead"),
    "the same line again and again": (
        lambda fixed: talk("Pirate: Ahoy!\n" * (2 if fixed else 5)),
        "runs-on",
    ),
    "an error text of one's own": (
        lambda fixed: talk("Paris." if fixed else "ERROR: the model is not available"),
        "error-as-reply",
    ),
    "a chat with itself": (to_itself, "talks-to-itself"),
    "a prompt in the reply": (
        lambda fixed: talk(
            "Paris." if fixed else "system: Be brief.\nuser: Hi there\nParis.", message="Hi there"
        ),
        "repeats-prompt",
    ),
    "a question that gets an empty message": (unanswered, "nothing-to-say"),
    "code and TERMINATE in one message": (writes_and_ends, "ended-before-code"),
    "a member of a group that has nothing to say": (waits_for_code, "silent-member"),
    "code in another language": (runs("<br/>", "print(1)", "jsx"), "code-language"),
    "turns of its own that the model made up": (
        lambda fixed: talk("Hi." if fixed else "Hi.assistant\n\nMore?assistant\n\nMore?"),
        "runs-on",
    ),
    "the same words again and again": (
        lambda fixed: talk("We go on. " * (2 if fixed else 6)),
        "runs-on",
    ),
    "an empty message": (puzzled, "nothing-to-say"),
    "an exception as a reply": (error_as_reply, "error-as-reply"),
    "a person's words in place of the result of code": (typed_over_code, "asks-before-code"),
    "empty messages up to the limit": (silence, "nothing-to-say"),
    "an empty reply": (lambda fixed: talk("Hello" if fixed else ""), "empty-reply"),
    "thoughts": (
        lambda fixed: talk("Hello" if fixed else "<think>\nWho?\n</think>\n\nHello"),
        "thoughts",
    ),
    "TERMINATE with a full stop": (goes_on, "termination-unseen"),
    "a shared cache": (cached, "from-the-cache"),
    "message_retrieval is never called": (without_an_id, "no-id"),
    "no bill": (unpaid, "no-bill"),
    "a usage without its model": (incomplete, "usage-dropped"),
    "all of an answer as a reply": (
        lambda fixed: talk(
            "Paris." if fixed else '{"id": "1", "choices": [{"text": "Paris."}], "usage": {}}'
        ),
        "answer-as-reply",
    ),
    "a selector that names nobody": (turns, "in-turn"),
}


@pytest.mark.parametrize(("run", "code"), RUNS.values(), ids=RUNS)
def test_a_run_without_an_exception_is_read_for_what_went_wrong(run, code):
    assert [found for found in codes(diagnose(run(fixed=False))) if found != "runs-code"] == [code]
    assert [found for found in codes(diagnose(run(fixed=True))) if found != "runs-code"] == []


def test_what_may_well_be_meant_is_no_finding():
    """A chat that ends at its limit, an echo, a second chat after TERMINATE, a tool that is run elsewhere."""
    assert codes(diagnose(talk("One.", "Two.", "Two.", turns=3))) == []
    assert codes(diagnose(talk("You said: Hi"))) == []
    for structured in ('{"id": 7, "name": "Ada", "model": "Engine"}', '{"type": "answer", "sources": []}'):
        assert codes(diagnose(talk(structured))) == []
    assert codes(diagnose(talk("There are three roles:\nsystem\nuser\nassistant\nIs that clear?"))) == []
    assert codes(diagnose(talk("Shall we end? Then answer with TERMINATE.", "Well.", turns=2))) == []
    made, other = says("Fine. TERMINATE", "And again."), user(is_termination_msg=safely_ends)
    chat(made, other)
    chat(made, other, clear_history=False, max_turns=1)
    assert codes(diagnose([made, other])) == []
    assert (
        codes(diagnose(talk('JSON looks like {"name": "add", "arguments": {}}'))) == []
    )  # and there is no tool
