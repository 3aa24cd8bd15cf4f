"""AutoGen called otherwise than it is meant: what is said, and that the same call, mended, works."""

import asyncio
import json
import os
from functools import partial

import autogen
import pytest
from autogen import AssistantAgent, GroupChat, LLMConfig, UpdateSystemMessage
from autogen.agentchat.group import ContextVariables
from autogen.coding import CodeBlock, LocalCommandLineCodeExecutor
from autogen.io import IOConsole, IOStream
from jinja2 import TemplateError
from server import GOOD
from set_ups import (
    DUMMY,
    MINE,
    QUESTION,
    agent,
    ask,
    chat,
    client,
    clock,
    codes,
    group,
    raised,
    ready,
    says,
    user,
    with_add,
)

from kit import DummyModelClient, diagnose, register_model_clients
from kit.checks.explain import explain

pytestmark = pytest.mark.usefixtures("folder")


def went_on():
    chat(made := ready(), user(), max_turns=1)
    return made


def test_how_a_chat_is_begun():
    other, made = user(), ready()
    twice = raised(lambda: other.initiate_chat(made, "Hi", clear_history=False))
    assert explain(twice).code == "argument-twice" and "clear_history" in explain(twice).message
    with_history = ready("other", chat_messages={other: [{"role": "user", "content": "Hi"}]})
    manager = group(with_history, ready("third"), select="round_robin")
    started = raised(lambda: other.initiate_chat(manager, message="Hi", silent=True))
    assert explain(started).code == "history-lacks"


def hooked(function):
    made = ready()
    made.register_hook("process_message_before_send", function)
    return user().initiate_chat(made, message="Hi", max_turns=1, silent=True)


def ends_at(check):
    return user(is_termination_msg=check).initiate_chat(ready(), message="Hi", max_turns=2, silent=True)


def replying(function):
    made = ready()
    made.register_reply([autogen.Agent, None], function)
    return user().initiate_chat(made, message="Hi", max_turns=1, silent=True)


def selected_by(select):
    members = [ready(name) for name in "ab"]
    manager = group(*members, select=lambda last, chat: select(members))
    return members[0].initiate_chat(manager, message="Hi", silent=True)


def in_transitions(name):
    a, b = ready("a"), ready("b")
    allowed = {name(a): [name(b)], name(b): [name(a)]}
    return GroupChat(
        [a, b], [], allowed_or_disallowed_speaker_transitions=allowed, speaker_transitions_type="allowed"
    )


def in_with():
    with LLMConfig(DUMMY) as llm_config:
        return llm_config


async def awaited(thing):
    return await thing


def going_on(start):
    made, other = ready(), user()
    start(made, other)
    return chat(made, other, max_turns=1, clear_history=False)


def described_by(text, variables):
    update = [UpdateSystemMessage(text)]
    made = ready(context_variables=variables, update_agent_state_before_reply=update)
    return chat(made, user(), max_turns=1)


def bill(*path):
    result = chat(ready(), user(), max_turns=1)
    return result.cost[path[0]] if path else result.cost["total_cost"]


def runs(name):
    blocks = [CodeBlock(code=f"# filename: {name}\nprint(1)", language="python")]
    return LocalCommandLineCodeExecutor(work_dir=".").execute_code_blocks(blocks)


class Executor:
    def execute_code_blocks(self, blocks): ...


def executing(executor):
    config = {"executor": executor}
    return autogen.UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=config)


class Stream(IOStream):
    def print(self, *objects, **settings): ...

    def input(self, prompt="", **settings):
        return "exit"


def shown_on(stream):
    with IOStream.set_default(stream):
        return user().initiate_chat(ready(), message="Hi", max_turns=1)


PARTS = [{"type": "text", "text": "Hi"}]


VARIABLES = ContextVariables(data={"name": "Ada"})


UNREGISTERED = partial(agent, MINE)


CALLS = {  # how AutoGen's functions are called by mistake, and as the fix says
    "a server whose package is not installed": (
        lambda: agent({"model": "m", "api_type": "anthropic", "api_key": "sk-1"}),
        lambda: agent({"model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-1"}),
        "missing-extra",
    ),
    "a name for an agent": (
        lambda: user().initiate_chat("helper", message="Hi"),
        lambda: user().initiate_chat(ready(), message="Hi", max_turns=1, silent=True),
        "no-recipient",
    ),
    "a group for its manager": (
        lambda: user().initiate_chat(GroupChat([ready("a"), ready("b")], messages=[]), message="Hi"),
        lambda: user().initiate_chat(group(select="round_robin"), message="Hi", silent=True),
        "no-recipient",
    ),
    "a list as message": (
        lambda: user().initiate_chat(ready(), message=["Hi"]),
        lambda: user().initiate_chat(ready(), message="Hi", max_turns=1, silent=True),
        "nothing-to-send",
    ),
    "a text for generate_reply": (
        lambda: ready().generate_reply("Hi"),
        lambda: ready().generate_reply([{"role": "user", "content": "Hi"}]),
        "no-messages",
    ),
    "one message for generate_reply": (
        lambda: ready().generate_reply({"role": "user", "content": "Hi"}),
        lambda: ready().generate_reply([{"role": "user", "content": "Hi"}]),
        "no-messages",
    ),
    "a mode in small letters": (
        lambda: autogen.UserProxyAgent("user", human_input_mode="never", code_execution_config=False),
        lambda: autogen.UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False),
        "human-input-mode",
    ),
    "a class's name to register": (
        lambda: UNREGISTERED().register_model_client("Mine"),
        lambda: UNREGISTERED().register_model_client(client()),
        "class-to-register",
    ),
    "a list of functions": (
        lambda: user().register_function(function_map=[hooked]),
        lambda: user().register_function(function_map={"hooked": hooked}),
        "function-map",
    ),
    "one agent for a group": (
        lambda: GroupChat(ready(), messages=[]),
        lambda: GroupChat([ready("a"), ready("b")], messages=[]),
        "agents-wanted",
    ),
    "names for a group": (
        lambda: GroupChat(["a", "b"], messages=[]),
        lambda: GroupChat([ready("a"), ready("b")], messages=[]),
        "agents-wanted",
    ),
    "a word to end at": (
        lambda: ends_at("TERMINATE"),
        lambda: ends_at(lambda message: "TERMINATE" in (message.get("content") or "")),
        "no-check",
    ),
    "a check without its message": (
        lambda: ends_at(lambda: True),
        lambda: ends_at(lambda message: True),
        "called-with-others",
    ),
    "a reply function of one argument": (
        lambda: replying(lambda message: (True, "Hi")),
        lambda: replying(lambda recipient, messages, sender, config: (True, "Hi")),
        "called-with-others",
    ),
    "a hook that returns nothing": (
        lambda: hooked(lambda sender, message, recipient, silent: None),
        lambda: hooked(lambda sender, message, recipient, silent: message),
        "hook-returned-nothing",
    ),
    "no name": (
        lambda: AssistantAgent(llm_config={"config_list": [MINE]}),
        lambda: AssistantAgent(name="helper", llm_config={"config_list": [MINE]}),
        "called-without",
    ),
    "the function in the first call": (
        lambda: ready().register_for_llm(clock),
        lambda: ready().register_for_llm(description="Tell the time.")(clock),
        "called-with-too-many",
    ),
    "names in transitions": (
        lambda: in_transitions(lambda agent: agent.name),
        lambda: in_transitions(lambda agent: agent),
        "transitions",
    ),
    "a name from a function that selects": (
        lambda: selected_by(lambda members: "b"),
        lambda: selected_by(lambda members: members[1]),
        "selection-method",
    ),
    "a config in with": (
        in_with,
        lambda: AssistantAgent("a", llm_config=LLMConfig(DUMMY)),
        "llm-config-in-with",
    ),
    "a method of LLMConfig that there is not": (
        lambda: LLMConfig(DUMMY).filter(model="dummy"),
        lambda: LLMConfig(DUMMY).where(model="dummy"),
        "other-object",
    ),
    "await for what is not async": (
        lambda: asyncio.run(awaited(ready().generate_reply(QUESTION))),
        lambda: asyncio.run(awaited(ready().a_generate_reply(QUESTION))),
        "not-awaitable",
    ),
    "messages set anew": (
        lambda: going_on(lambda made, other: setattr(made, "chat_messages", {other: QUESTION})),
        lambda: going_on(lambda made, other: made.chat_messages.update({other: [*QUESTION]})),
        "no-setter",
    ),
    "a dict of context variables": (
        lambda: described_by("You help {name}.", {"name": "Ada"}),
        lambda: described_by("You help {name}.", VARIABLES),
        "autogen-wanted",
    ),
    "braces in a system message": (
        lambda: described_by('Answer {name} as {"answer": 1}', VARIABLES),
        lambda: described_by('Answer {name} as {{"answer": 1}}', VARIABLES),
        "braces",
    ),
    "a client as the other AutoGen takes it": (
        lambda: AssistantAgent("helper", model_client=DummyModelClient(DUMMY)),
        ready,
        "other-autogen",
    ),
    "a team of the other AutoGen": (
        lambda: exec("from autogen import RoundRobinGroupChat"),
        lambda: group(select="round_robin"),
        "other-autogen",
    ),
    "a variable set to one that is not set": (
        lambda: os.environ.update(PATH=os.getenv("NO_SUCH_KEY")),
        lambda: os.environ.update(PATH=os.environ["PATH"]),
        "none-in-environment",
    ),
    "agents as keys of JSON": (
        lambda: json.dumps(dict(went_on().chat_messages)),
        lambda: json.dumps([*went_on().chat_messages.values()]),
        "not-json",
    ),
    "a key that is deeper": (
        bill,
        lambda: bill("usage_including_cached_inference")["total_cost"],
        "deeper-key",
    ),
    "an executor that lacks something": (
        lambda: executing(Executor()),
        lambda: executing(LocalCommandLineCodeExecutor(work_dir=".")),
        "executor-lacks",
    ),
    "a stream that lacks something": (
        lambda: shown_on(Stream()),
        lambda: shown_on(IOConsole()),
        "yours-lacks",
    ),
    "a list of parts as a message": (
        lambda: user().initiate_chat(ready(), message=PARTS),
        lambda: chat(ready(), user(), {"content": PARTS}, max_turns=1),
        "nothing-to-send",
    ),
    "code in a folder that is not there": (lambda: runs("a/b.py"), lambda: runs("b.py"), "code-folder"),
    "a class beside the list": (
        lambda: AssistantAgent("a", llm_config={"config_list": [MINE], "model_client_cls": DummyModelClient}),
        lambda: AssistantAgent("a", llm_config={"config_list": [MINE]}),
        "llm-config-entries",
    ),
    "a filter that no entry fits": (
        lambda: LLMConfig(DUMMY).where(model="another"),
        lambda: LLMConfig(DUMMY).where(model="dummy"),
        "empty-filter",
    ),
    "a list for LLMConfig": (lambda: LLMConfig([DUMMY]), lambda: LLMConfig(*[DUMMY]), "llm-config-entries"),
    "a word for a number": (
        lambda: LLMConfig(DUMMY, temperature="hot"),
        lambda: LLMConfig(DUMMY, temperature=0.5),
        "llm-config-value",
    ),
}


@pytest.mark.parametrize(("broken", "fixed", "code"), CALLS.values(), ids=CALLS)
def test_a_call_of_autogens_is_told_how_it_is_meant(broken, fixed, code):
    assert explain(raised(broken)).code == code
    fixed()


def test_what_a_line_outside_of_autogen_read_is_told():
    def bill(usage):
        total, _ = usage
        return total["total_cost"]

    finding = explain(raised(lambda: bill({"with cache": {}, "without": {}})))
    assert finding.code == "text-not-dict" and "total = 'with cache'" in finding.message


def test_what_belongs_to_the_result_of_a_chat_is_said_to():
    finding = explain(raised(lambda: user().chat_history))
    assert finding.code == "other-object" and "ChatResult" in finding.fix
    assert chat(ready(), user(), max_turns=1).chat_history


def test_what_autogen_says_plainly_is_said_by_it():
    finding = explain(raised(lambda: user().initiate_chats([{"message": "Hi"}])))
    assert finding.code == "says-itself" and "recipient must be provided" in finding.message


def test_llm_config_takes_its_entries_one_after_the_other():
    finding = explain(raised(lambda: autogen.LLMConfig(config_list=[DUMMY], temperature=0)))
    assert finding.code == "llm-config-entries"
    assert autogen.LLMConfig(*[DUMMY], temperature=0).temperature == 0


def test_the_class_that_selects_speakers_is_named_by_its_own_entry():
    chosen = {"select_speaker_auto_llm_config": autogen.LLMConfig(dict(MINE))}
    manager = group(select_speaker_auto_model_client_cls=client(), **chosen)
    assert "no-entry-for-class" not in codes(diagnose(manager, client()))
    assert "no-entry-for-class" in codes(diagnose(agent(GOOD), client()))


def test_a_prompt_asks_for_another_kind_of_completion():
    wrapper = autogen.OpenAIWrapper(config_list=[GOOD])
    error = raised(lambda: wrapper.create(prompt="Hi"))
    assert explain(error).code == "asked-to-complete"
    assert wrapper.create(messages=QUESTION).choices


def test_who_asks_before_a_tool_is_run_is_named():
    asking = autogen.UserProxyAgent("asking", code_execution_config=False)
    made = with_add(agent(DUMMY), ["3"], asking)
    assert codes(diagnose([made, asking])) == ["asks-before-tools"]
    made = with_add(agent(DUMMY), ["3"], other := user())
    assert codes(diagnose([made, other])) == []


def test_a_wrapper_without_a_list(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert explain(raised(autogen.OpenAIWrapper)).code == "no-list"
    answer = autogen.OpenAIWrapper(config_list=[GOOD]).create(messages=QUESTION)
    assert answer.choices


def test_a_second_system_message_at_the_end_is_the_selectors():
    def create(self, params):
        if params["messages"][-1]["role"] == "system":
            raise TemplateError("System message must be at the beginning.")
        return DummyModelClient(DUMMY, replies=["a"]).create(params)

    def run(**settings):
        manager = group(manager_entry=DUMMY, registered=False, **settings)
        register_model_clients(manager, client("DummyModelClient", create=create))
        return manager.groupchat.agents[0].initiate_chat(manager, message="Hi", silent=True)

    assert explain(raised(run)).code == "selector-role"
    run(role_for_select_speaker_messages="user")


@pytest.mark.parametrize(("returned", "code"), [(None, "reply-function"), ((True, "Hi"), None)])
def test_a_reply_function_returns_a_pair(returned, code):
    made = ready()
    made.register_reply([autogen.Agent, None], lambda *args, **kwargs: returned)
    if code:
        finding = explain(raised(lambda: ask(made)))
        assert (finding.code, "lambda" in finding.message) == (code, True)
    else:
        assert ask(made) == "Hi"


def test_what_autogen_says_in_its_own_words_comes_first():
    twins = [ready("a"), ready("a")]
    error = raised(lambda: group(*twins, select="round_robin"))
    finding = diagnose(twins, error=error).findings[0]
    assert finding.code == "says-itself"
    assert "unique names" in finding.message


def test_a_class_whose_cell_was_run_again_is_not_said_to_be_unnamed():
    made, again = agent(MINE, register=[client()]), client()
    error = raised(lambda: made.register_model_client(again))
    assert explain(error).code == "place-taken"
    assert codes(diagnose(made, again, error=error)) == ["stale-class"]
    register_model_clients(made, again)
    assert codes(diagnose(made, again)) == []


def test_what_a_chat_gives_back_is_a_text():
    result = chat(says('{"priority": 1}'), user(), max_turns=1)
    assert explain(raised(lambda: result.summary.priority)).code == "reply-is-text"
    assert json.loads(result.summary)["priority"] == 1


def test_a_misspelt_method_of_an_agent():
    assert "initiate_chat" in explain(raised(lambda: user().intiate_chat())).fix


def test_a_manager_that_is_to_ask_a_person():
    members = [says(*["Hi"] * 5, name=name) for name in "ab"]
    made = autogen.GroupChat(members, speaker_selection_method="round_robin")
    person = autogen.UserProxyAgent("human", human_input_mode="ALWAYS", code_execution_config=False)
    asked = []
    manager = autogen.GroupChatManager(made, human_input_mode="ALWAYS", llm_config=False)
    manager.get_human_input = asked.append
    assert "manager-asks" in codes(diagnose(manager))
    made.max_round = 3
    members[0].initiate_chat(manager, message="Hi", silent=True)
    assert not asked
    made.agents.append(person)
    assert "manager-asks" not in codes(diagnose(manager))


def test_a_method_that_is_called_on_the_class():
    on_the_class = autogen.AssistantAgent.register_model_client
    error = raised(lambda: on_the_class(model_client_cls=DummyModelClient))
    assert codes(diagnose(error=error)) == ["on-the-class"]
    made = agent(DUMMY)
    made.register_model_client(model_client_cls=DummyModelClient)
    assert codes(diagnose(made)) == []


class OtherAgent:
    """Stands for an agent of another AutoGen."""

    def __init__(self, name, model_client): ...


OtherAgent.__module__ = "autogen_agentchat.agents"


def test_an_agent_of_another_autogen_is_recognised():
    assert codes(diagnose(OtherAgent("a", None))) == ["other-framework"]
    pytest.importorskip("autogen_agentchat")
    from autogen_agentchat.agents import AssistantAgent

    error = raised(lambda: AssistantAgent("a", llm_config={"config_list": [MINE]}))
    assert codes(diagnose([MINE], error=error)) == ["other-framework"]


def test_a_variable_that_takes_one_word(monkeypatch):
    def runner(word):
        monkeypatch.setenv("AUTOGEN_USE_DOCKER", word)
        return autogen.UserProxyAgent("runner", human_input_mode="NEVER")

    assert explain(raised(lambda: runner("0/False/no"))).code == "docker-variable"
    assert runner("no")
