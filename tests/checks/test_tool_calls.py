"""What became of tools in chats: what is found, and that doing what the fix says makes it right."""

import autogen
import pytest
from autogen import AssistantAgent
from openai.types.chat import ChatCompletionMessage
from set_ups import DUMMY, MINE, OLDER, add, agent, chat, client, codes, group, raised, says, user, with_add

from kit import DummyModelClient, diagnose, tool_call

pytestmark = pytest.mark.usefixtures("folder")


def unread_tool(fixed):
    other = user()
    made = with_add(agent(DUMMY), [tool_call("add", a=1, b=2), "3"], other if fixed else None)
    chat(made, other, max_turns=2 if fixed else 1)
    return [made, other]


def older_form(fixed):
    """A function of llm_config that the one who gets the call does not have, or has."""
    call = {"role": "assistant", "function_call": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}

    def retrieval(self, response):
        return [ChatCompletionMessage.model_validate(call) if not made.chat_messages[other][1:] else "3"]

    made = autogen.AssistantAgent("helper", llm_config={"config_list": [dict(MINE)], **OLDER})
    made.register_model_client(client(message_retrieval=retrieval))
    other = user(function_map={"add": lambda a, b: str(a + b)} if fixed else None)
    chat(made, other, max_turns=2)
    return [made, other]


def calls(tool, **arguments):
    """Return a chat whose model calls a tool twice, or calls the one that is there with numbers."""

    def run(fixed):
        other, right = user(), tool_call("add", a=1, b=2)
        made = with_add(agent(DUMMY), [right, "3"] if fixed else [tool_call(tool, **arguments)] * 2, other)
        chat(made, other, max_turns=2)
        return [made, other]

    return run


def only_calls(fixed):
    other, right = user(), tool_call("add", a=1, b=2)
    made = with_add(agent(DUMMY), [right, "3"] if fixed else [right] * 3, other)
    chat(made, other, max_turns=2 if fixed else 3)
    return [made, other]


def untold_tool(fixed):
    made, other = agent(DUMMY), user()
    if fixed:
        made.register_for_llm(description="Add.")(add)
    other.register_for_execution()(add)
    made.register_model_client(DummyModelClient)
    return [made, other]


def instead_of_a_call(text):
    """Return a chat whose model writes a text where it should call its tool."""

    def run(fixed):
        other = user()
        made = with_add(agent(DUMMY), [tool_call("add", a=1, b=2), "3"] if fixed else [text], other)
        chat(made, other, max_turns=2 if fixed else 1)
        return [made, other]

    return run


def odd_arguments(fixed):
    call = tool_call("add", a=1, b=2)
    if not fixed:
        call.tool_calls[0].function.arguments = "a=1, b=2"
    other = user()
    made = with_add(agent(DUMMY), [call, "3"], other)
    chat(made, other, max_turns=2)
    return [made, other]


def add_text(fixed):
    """A tool that is called with an argument that it can't take."""
    other = user()
    made = with_add(agent(DUMMY), [tool_call("add", a=1, b=2 if fixed else None), "3"], other)
    chat(made, other, max_turns=2)
    return [made, other]


def deaf(fixed):
    """A client that never looks at the tools of its agent, or that hands its request on."""

    def reads_messages(self, params):
        return DummyModelClient(self.config, replies=["7"]).create({"messages": params["messages"]})

    def hands_on(self, params):
        return DummyModelClient(self.config, replies=["7"]).create(params)

    class Own:  # with nothing of DummyModelClient's, which knows tools
        def __init__(self, config):
            self.config = config

        create = hands_on if fixed else reads_messages
        message_retrieval, cost = DummyModelClient.message_retrieval, DummyModelClient.cost
        get_usage = staticmethod(DummyModelClient.get_usage)

    made, other = agent({**MINE, "model_client_cls": "Own"}), user()
    autogen.register_function(add, caller=made, executor=other, description="Add.")
    made.register_model_client(Own)
    chat(made, other, max_turns=1)
    return [made, other]


def ends_before_the_tool(fixed):
    other = user()
    made = with_add(agent(DUMMY), [tool_call("add", a=1, b=2), "3"], other)
    chat(made, other, max_turns=2 if fixed else 1)
    return [made, other]


def prints_instead(fixed):
    def tell(a: int) -> str:
        return "3" if fixed else print(3)

    made, other = agent(DUMMY), user()
    autogen.register_function(tell, caller=made, executor=other, description="Tell it.")
    made.register_model_client(DummyModelClient, replies=[tool_call("tell", a=1), "3"])
    chat(made, other, max_turns=2)
    return [made, other]


def another_runs_it(fixed):
    """A group whose own function selects a member that does not have the tool."""
    made, other, third = agent(DUMMY), user(), says("Well.", name="third")
    with_add(made, [tool_call("add", a=1, b=2), "3"], other)

    def select(last, chat):
        calls = chat.messages[-1].get("tool_calls")
        return other if calls and fixed else third if last is made else made

    manager = group(made, other, third, select=select, max_round=4)
    other.initiate_chat(manager, message="1 + 2?", silent=True)
    return manager


def test_a_function_that_gives_back_what_is_no_text():
    def looked_up(result):
        call = {"role": "assistant", "function_call": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
        reply = ChatCompletionMessage.model_validate(call)
        cls = client(message_retrieval=lambda self, response: [reply])
        made = AssistantAgent("helper", llm_config={"config_list": [dict(MINE)], **OLDER})
        made.register_model_client(cls)
        other = user(function_map={"add": lambda a, b: result})
        return lambda: other.initiate_chat(made, message="Hi", max_turns=2), [made, other]

    run, agents = looked_up([{"sum": 3}])
    assert codes(diagnose(agents, error=raised(run))) == ["tool-gave-object"]
    run, agents = looked_up({"sum": 3})
    assert codes(diagnose(agents, error=raised(run))) == ["tool-gave-object"]
    run, agents = looked_up('[{"sum": 3}]')
    run()


def in_the_entry(fixed):
    made = agent({**DUMMY, **({} if fixed else OLDER)})
    made.register_model_client(DummyModelClient, replies=["3" if fixed else 'add({"a": 1, "b": 2})'])
    chat(made, user(), max_turns=1)
    return made


def test_a_call_that_is_made_may_be_spoken_of():
    call = tool_call("add", a=1, b=2)
    call.content = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
    other = user()
    made = with_add(agent(DUMMY), [call, "3"], other)
    chat(made, other, max_turns=2)
    assert codes(diagnose([made, other])) == []


RUNS = {
    "a chat that ends before the tool": (ends_before_the_tool, "ended-before-tool"),
    "a tool that prints": (prints_instead, "tool-gave-nothing"),
    "a member that does not have the tool": (another_runs_it, "wrong-executor"),
    "a client that never looks at the tools": (deaf, "tools-ignored"),
    "a model that was not made for tools": (instead_of_a_call("I called add: 3."), "tools-unused"),
    "a call in a notation of its own": (
        instead_of_a_call('<|to|>add\n<|body|>{"a": 1, "b": 2}'),
        "call-as-text",
    ),
    "a call of a function that the entry describes": (in_the_entry, "call-as-text"),
    "a tool that fails": (add_text, "tool-failed"),
    "arguments that are no JSON": (odd_arguments, "tool-arguments"),
    "nobody runs the tool": (unread_tool, "unread-tool"),
    "nobody runs the function": (older_form, "unread-tool"),
    "a tool that the model made up": (calls("subtract", a=1), "made-up-tool"),
    "a tool that fails again": (calls("add", a=1, b=None), "tool-failed-again"),
    "a model that can only call": (only_calls, "only-calls"),
    "no model knows the tool": (untold_tool, "untold-tool"),
    "a tool call as a text": (
        instead_of_a_call('{"name": "add", "arguments": {"a": 1, "b": 2}}'),
        "call-as-text",
    ),
}


@pytest.mark.parametrize(("run", "code"), RUNS.values(), ids=RUNS)
def test_what_became_of_a_tool_is_read_from_the_chat(run, code):
    assert codes(diagnose(run(fixed=False))) == [code]
    assert codes(diagnose(run(fixed=True))) == []
