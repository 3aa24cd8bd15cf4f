"""Steps 3 and 4: agents that would stumble, and groups of them."""

from types import SimpleNamespace
from typing import Annotated

import pytest
from autogen import AssistantAgent, ConversableAgent, LLMConfig, UserProxyAgent, register_function
from autogen.agentchat import initiate_group_chat
from autogen.agentchat.group import AgentTarget, OnCondition, RevertToUserTarget, StringLLMCondition
from autogen.agentchat.group.patterns import DefaultPattern
from autogen.tools import ChatContext, Depends
from set_ups import DUMMY, MINE, agent, client, codes, group, raised, ready, user, with_nested_chat, with_tool

from kit import DummyModelClient, RecordingModelClient, diagnose

pytestmark = pytest.mark.usefixtures("folder")
HF = {"model": "m", "model_client_cls": "HuggingFaceModelClient"}
OPENAI = {"model": "gpt-4o", "api_key": "sk-" + 48 * "a"}


def wrong_agent():
    return group(ready("right"), agent(DUMMY, name="left"), select="round_robin")


def with_another_list():
    made = ready()
    made.llm_config = LLMConfig(dict(DUMMY), dict(DUMMY))
    return made


def with_late_selector():
    manager = group(manager_entry=DUMMY, registered=False)
    manager.groupchat.select_speaker_auto_llm_config = LLMConfig(dict(DUMMY))
    manager.groupchat.select_speaker_auto_model_client_cls = DummyModelClient
    return manager


def without_a_list():
    return group(manager_entry=DUMMY, registered=False, select_speaker_auto_model_client_cls=DummyModelClient)


def with_attribute(**attributes):
    made = ready()
    vars(made).update(attributes)
    return made


AGENTS = {
    "nothing registered": (lambda: agent(DUMMY), "not-registered"),
    "registered once for two": (
        lambda: agent(DUMMY, DUMMY, register=[DummyModelClient]),
        "registered-once",
    ),
    "a tool emptied the place": (lambda: with_tool(ready()), "not-registered"),
    "registered on another agent": (wrong_agent, "wrong-agent"),
    "the other of two agents": (lambda: [ready("a"), agent(DUMMY, name="b")], "wrong-agent"),
    "one who is asked in a nested chat": (
        lambda: with_nested_chat(agent(DUMMY, name="b")),
        "wrong-agent",
    ),
    "a group in a group": (lambda: group(ready("b"), wrong_agent(), select="random"), "wrong-agent"),
    "another list than its clients are of": (with_another_list, "list-changed"),
    "an agent without a model": (lambda: AssistantAgent("helper", llm_config=False), "no-llm-config"),
    "one of one's own without a model": (
        lambda: type("Tutor", (AssistantAgent,), {})("helper", llm_config=False),
        "no-llm-config",
    ),
    "a config in place of the system message": (
        lambda: AssistantAgent("helper", {"config_list": [dict(DUMMY)]}),
        "config-as-system-message",
    ),
    "functions that are set on an agent that is made": (
        lambda: with_attribute(functions=[print]),
        "set-after-making",
    ),
    "a limit in place of the method that sets it": (
        lambda: with_attribute(max_consecutive_auto_reply=3),
        "set-after-making",
    ),
    "the selector has no client": (lambda: group(manager_entry=DUMMY, registered=False), "selector"),
    "a class for the selector, without a list": (without_a_list, "selector"),
    "a list for the selector, after the manager was made": (with_late_selector, "selector"),
    "nobody selects": (group, "no-selector"),
    "AUTO without a model": (lambda: group(select="AUTO"), "no-selector"),
    "a selector class without its config": (
        lambda: group(select_speaker_auto_model_client_cls=DummyModelClient),
        "no-selector",
    ),
    "a way to select that is none": (lambda: group(select="roundrobin"), "selection-method"),
    "a group of one": (lambda: group(ready(), select="random"), "too-few-agents"),
    "one round": (lambda: group(select="round_robin", max_round=1), "too-few-rounds"),
    "an agent that never answers": (lambda: ready(max_consecutive_auto_reply=0), "silent"),
    "a user that runs code": (lambda: UserProxyAgent("user", human_input_mode="NEVER"), "runs-code"),
    "an agent that has no name": (
        lambda: type("Odd", (), {"generate_reply": print, "client": agent(DUMMY).client})(),
        "unreadable",
    ),
}


@pytest.mark.parametrize(("make", "code"), AGENTS.values(), ids=AGENTS)
def test_an_agent_that_would_stumble(make, code):
    assert codes(diagnose(make()))[0] == code


def test_an_agent_without_a_model_that_has_something_else_to_do():
    asked, runner = ready(), AssistantAgent("runner", llm_config=False)
    runner.initiate_chat(asked, message="Hi", max_turns=1, silent=True)
    assert codes(diagnose([asked, runner])) == []
    tools = AssistantAgent("tools", llm_config=False, function_map={"clock": len})
    assert "no-llm-config" not in codes(diagnose(tools))
    runner.initiate_chat(asked, message="Hi", max_turns=2, silent=True)  # now it had something to say
    assert "no-llm-config" in codes(diagnose([asked, runner]))


def test_what_is_set_where_it_belongs_is_read():
    made = ready(is_termination_msg=lambda message: False)
    made.human_input_mode, made.hint = "NEVER", "Be brief."
    made.update_max_consecutive_auto_reply(3)
    assert codes(diagnose(made)) == []


@pytest.mark.parametrize(
    ("make", "cls", "code"),
    [
        (lambda: agent(MINE, register=[client()]), client(), "stale-class"),
        (lambda: agent(DUMMY), client(), "name-differs"),
        (lambda: agent(DUMMY), client("DummyModelClient", cost=lambda self: 0), "signature"),
    ],
)
def test_an_agent_with_a_class_has_the_first_cause_first(make, cls, code):
    assert codes(diagnose(make(), cls))[0] == code


def test_a_look_changes_nothing():
    manager = without_a_list()
    before = diagnose(manager).findings
    assert manager.groupchat.select_speaker_auto_llm_config is None
    assert diagnose(manager).findings == before


def test_the_line_that_registers_has_what_the_class_needs():
    made = agent({**DUMMY, "model_client_cls": "RecordingModelClient"})
    [finding] = diagnose(made, RecordingModelClient).findings
    assert finding.fix == "helper.register_model_client(RecordingModelClient, path=...)"


def test_tools_that_the_model_does_not_see_but_in_a_way_of_its_own_it_may():
    class Plain(DummyModelClient):
        tokenizer = SimpleNamespace(chat_template="{{ messages }}")

    class Own(Plain):
        def create(self, params):
            return super().create(params)

    for cls, found in ((Plain, ["tools-unseen"]), (Own, [])):
        made = with_tool(agent({"model": "m", "model_client_cls": cls.__name__}))
        made.register_model_client(cls)
        assert codes(diagnose(made)) == found


def test_a_class_name_that_is_wrong_is_told_once_and_not_as_missing_registration():
    ward = agent(DUMMY, {"model": "second", "model_client_cls": "dummymodelclient"}, name="ward")
    found = codes(diagnose(ward, DummyModelClient))
    assert found == ["name-differs", "not-registered", "name-first"]
    ward.register_model_client(DummyModelClient)
    first, second = diagnose(ward, DummyModelClient).findings
    assert (first.code, first.step) == ("name-differs", 2)
    assert second.code == "name-first"
    assert "ward, entry 1 (second)" in second.message


def test_a_method_of_an_agent_that_is_async_is_one_that_autogen_does_not_await():
    class Web(UserProxyAgent):
        async def get_human_input(self, prompt, **kwargs):
            return "exit"

    class Awaited(UserProxyAgent):
        async def a_get_human_input(self, prompt, **kwargs):
            return "exit"

    settings = {"code_execution_config": False, "human_input_mode": "ALWAYS"}
    assert codes(diagnose(Web("web", **settings))) == ["async-method"]
    assert codes(diagnose(Awaited("web", **settings))) == []


def test_a_tool_is_described_as_its_function_is():
    """What AutoGen describes itself always fits, with what it passes to a tool by itself, too."""

    def described(*names):
        properties = {name: {"type": "string"} for name in names}
        each = {"name": "look", "parameters": {"type": "object", "properties": properties}}
        config = {"config_list": [dict(DUMMY)], "functions": [each]}
        made = AssistantAgent("helper", llm_config=config)
        made.register_model_client(DummyModelClient)
        return [made, user(function_map={"look": lambda city, day="today": city})]

    assert codes(diagnose(described("city"))) == []
    assert codes(diagnose(described("city", "day"))) == []
    assert codes(diagnose(described("town"))) == ["tool-declared-otherwise"]
    assert codes(diagnose(described("day"))) == ["tool-declared-otherwise"]

    def look(
        city: str, key: Annotated[str, Depends(lambda: "k")], context: ChatContext, day: str = ""
    ) -> str:
        return city

    made, other = agent(DUMMY), user()
    register_function(look, caller=made, executor=other, description="Look.")
    made.register_model_client(DummyModelClient)
    assert codes(diagnose([made, other])) == []


class Keeping(ConversableAgent):
    """An agent that has its client registered again whenever its tools change."""

    def update_tool_signature(self, *args, **kwargs):
        super().update_tool_signature(*args, **kwargs)
        self.register_model_client(DummyModelClient)


def test_an_agent_with_llm_conditions_gets_its_clients_anew_at_each_turn():
    def handed_off(cls):
        first, second = cls("first", llm_config=LLMConfig(dict(DUMMY))), ready("second")
        condition = StringLLMCondition(prompt="It is about a bill.")
        first.handoffs.add_llm_conditions([OnCondition(target=AgentTarget(second), condition=condition)])
        first.handoffs.set_after_work(AgentTarget(second))
        second.handoffs.set_after_work(RevertToUserTarget())
        first.register_model_client(DummyModelClient)
        person = ConversableAgent("person", human_input_mode="NEVER", llm_config=False)
        pattern = DefaultPattern(initial_agent=first, agents=[first, second], user_agent=person)
        return first, lambda: initiate_group_chat(pattern=pattern, messages="My bill?", max_rounds=3)

    first, run = handed_off(ConversableAgent)
    assert codes(diagnose(first, error=raised(run))) == ["lost-by-handoffs"]
    first, run = handed_off(Keeping)
    run()
    assert "lost-by-handoffs" not in codes(diagnose(first))


def test_a_cache_seed_without_the_package_that_keeps_replies(monkeypatch):
    made = AssistantAgent("helper", llm_config=LLMConfig(dict(DUMMY), cache_seed=42))
    made.register_model_client(DummyModelClient)
    monkeypatch.setattr("kit.checks.check_agents.find_spec", lambda name: None)
    assert codes(diagnose(made)) == ["cache-not-kept"]
    assert codes(diagnose(ready())) == []
    monkeypatch.setattr("kit.checks.check_agents.find_spec", lambda name: "there")
    assert codes(diagnose(made)) == []
