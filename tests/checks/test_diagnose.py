"""diagnose: set-ups as people bring them, with the cause that must come first; right ones stay silent."""

import importlib.metadata
import json
import sys
import types
from functools import partial
from types import MappingProxyType, SimpleNamespace
from typing import Annotated
from unittest.mock import MagicMock

import pytest
from autogen import AssistantAgent, GroupChat, LLMConfig, UserProxyAgent, register_function
from autogen.tools import ChatContext, Depends
from set_ups import (
    DUMMY,
    MINE,
    QUESTION,
    agent,
    client,
    codes,
    group,
    model_folder,
    raised,
    ready,
    user,
    with_nested_chat,
    with_tool,
    write,
)

from kit import DummyModelClient, RecordingModelClient, diagnose, tool_call
from kit.checks.frames import agent_of

pytestmark = pytest.mark.usefixtures("folder")
HF = {"model": "m", "model_client_cls": "HuggingFaceModelClient"}
OPENAI = {"model": "gpt-4o", "api_key": "sk-" + 48 * "a"}


# What is wrong with a file or a list ---------------------------------------------------------------


def endless():
    entry = dict(DUMMY)
    entry["params"] = entry
    return [entry]


LISTS = {
    "a file that is not there": (lambda: "a_list_that_is_nowhere", "no-config-list"),
    "Python instead of JSON": (lambda: write("[{'model': 'a'}]"), "config-list"),
    "a text that is cut off": (lambda: '[{"model": "a"', "config-list"),
    "texts instead of entries": (lambda: ["a"], "config-list"),
    "an empty list": (lambda: [], "config-list"),
    "no model": (lambda: [{"model_client_cls": "C"}], "config-list"),
    "too hot, and a warning": (lambda: [{**DUMMY, "modle": 1, "temperature": 3}], "config-list"),
    "no key": (lambda: [{"model": "gpt-4o"}], "lacking-here"),
    "a variable that is not set": (lambda: [{**DUMMY, "api_key": "${NOT_SET}"}], "lacking-here"),
    "an llm_config": (lambda: {"config_list": [{**DUMMY, "temperature": 3}]}, "config-list"),
    "one entry in Python": (lambda: dict(DUMMY), "single-entry"),
    "model_client_class": (lambda: [{"model": "a", "model_client_class": "C"}], "misnamed-class"),
    "a class for its name": (lambda: [{"model": "a", "model_client_cls": SimpleNamespace}], "class-itself"),
    "a list that holds itself": (endless, "unreadable"),
}


@pytest.mark.parametrize(("make", "code"), LISTS.values(), ids=LISTS)
def test_a_list_that_can_not_be_used(make, code):
    report = diagnose(make())
    assert not report.ok
    assert codes(report)[0] == code
    assert {finding.step for finding in report.findings} == {2}


def test_the_problem_of_an_entry_is_found_with_its_place_and_a_fix():
    [finding] = diagnose([DUMMY, {**DUMMY, "temperature": 9}]).findings
    assert finding.message.startswith("entry 1, 'temperature': 9 ")
    assert "less than or equal to 1" in finding.fix


def test_a_variable_that_hides_a_file(monkeypatch):
    write(json.dumps([DUMMY]))
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps([{**DUMMY, "model": "other"}]))
    [finding] = diagnose("OAI_CONFIG_LIST").findings
    assert (finding.code, finding.warning) == ("variable-hides-file", True)


class Odd:
    def __getattr__(self, name):
        raise RuntimeError(name)


NO_SET_UPS = [3, print, b"[]", {1}, Odd(), MagicMock(), GroupChat([], [])]


@pytest.mark.parametrize("subject", NO_SET_UPS, ids=lambda subject: type(subject).__name__)
def test_something_that_is_not_a_set_up(subject):
    code = "group-without-manager" if isinstance(subject, GroupChat) else "unknown-subject"
    assert codes(diagnose(subject)) == [code]


# Classes, and the names of them --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "code"),
    [
        (client(cost=lambda self: 0), "signature"),
        (client(__init__=lambda self: None), "constructor"),
        (client(__init__=lambda self, config, model: None), "needs-arguments"),
        (DummyModelClient(DUMMY), "instance"),
        ("DummyModelClient", "no-class"),
        (partial(DummyModelClient, replies="Ahoy"), "no-class"),
    ],
)
def test_a_class_that_autogen_could_not_use(cls, code):
    assert codes(diagnose(None, cls)) == [code]
    if isinstance(cls, type):
        assert codes(diagnose(cls)) == [code]


def test_nothing_of_the_class_is_run():
    def explode(*_, **__):
        raise AssertionError

    cls = client(__init__=lambda self, config: explode(), create=lambda self, params: explode())
    assert diagnose([MINE], cls).findings == []


@pytest.mark.parametrize(
    ("entry", "classes", "code", "fix"),
    [
        ({**DUMMY, "model_client_cls": "dummymodelclient"}, [DummyModelClient], "name-differs", "Dummy"),
        ({**DUMMY, "model_client_cls": "DumyModelClient"}, [DummyModelClient], "name-differs", "Dummy"),
        ({**DUMMY, "model_client_cls": "Other"}, [client()], "name-differs", "Mine"),
        ({"model": "a", "api_key": "k"}, [client()], "no-entry-for-class", "Mine"),
        ({"model": "a"}, [client()], "no-entry-for-class", "Mine"),  # that it has no key is the symptom
        ({"model": "a"}, [client()({})], "no-entry-for-class", "Mine"),
        (MINE, [client(), client()], "same-name", "another name"),
    ],
)
def test_names_that_do_not_meet(entry, classes, code, fix):
    [finding] = [one for one in diagnose([entry], *classes).findings if one.code != "instance"]
    assert finding.code == code
    assert fix in finding.fix


# Local models --------------------------------------------------------------------------------------

NO_TOKENIZER = {"tokenizer.json": None, "tokenizer_config.json": None}
MODELS = {
    "a folder that is not there": (lambda: {"model": "./models/none"}, "no-model-folder"),
    "a file": (lambda: {"model": write("", "model.gguf")}, "no-config"),
    "no config.json": (lambda: {"model": model_folder(**{"config.json": None})}, "no-config"),
    "pickled weights": (lambda: {"model": model_folder(**{"model.safetensors": None})}, "no-weights"),
    "no tokenizer": (lambda: {"model": model_folder(**NO_TOKENIZER)}, "tokenizer-files"),
    "no template": (
        lambda: {"model": model_folder(**{"tokenizer_config.json": "{}"})},
        "no-chat-template",
    ),
}


@pytest.mark.parametrize(("make", "code"), MODELS.values(), ids=MODELS)
def test_a_local_model_that_could_not_be_loaded(make, code):
    assert codes(diagnose([{**HF, **make()}]))[0] == code


# Agents and groups ---------------------------------------------------------------------------------


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


# The packages --------------------------------------------------------------------------------------


@pytest.fixture
def install(monkeypatch):
    """Pretend that these packages are installed, and that those of them own the module `autogen`."""

    def install(owners=(), needs=MappingProxyType({}), **versions):
        def version(name):
            if name.replace("-", "_") not in versions:
                raise importlib.metadata.PackageNotFoundError(name)
            return versions[name.replace("-", "_")]

        monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"autogen": [*owners]})
        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(importlib.metadata, "requires", lambda name: needs.get(name))

    return install


def test_two_packages_that_own_autogen(install):
    install(["pyautogen", "autogen"], autogen="0.14.1", pyautogen="0.2", openai="2")
    [finding] = diagnose().findings
    assert (finding.code, finding.step) == ("two-autogens", 0)
    assert "pip uninstall -y autogen pyautogen" in finding.fix


def test_no_package_that_owns_autogen(install):
    install(autogen_agentchat="0.7.5", openai="2")
    [finding] = diagnose().findings
    assert finding.code == "no-autogen"
    assert "autogen-agentchat 0.7.5" in finding.message


def test_a_version_that_another_package_can_not_take(install):
    needs = {"transformers": ["tokenizers<=0.22", "tokenizers>=9; extra == 'new'", "missing>1"]}
    install(["autogen"], needs, autogen="0.14.1", openai="2", transformers="5.23", tokenizers="0.23")
    [finding] = diagnose().findings
    assert (finding.code, finding.fix) == (
        "versions-clash",
        'pip install "tokenizers<=0.22", and restart the kernel.',
    )
    install(["autogen"], needs, autogen="0.14.1", openai="2", transformers="5.23", tokenizers="0.22")
    assert diagnose().findings == []


def test_no_openai(install):
    install(["autogen"], autogen="0.14.1")
    assert codes(diagnose()) == ["no-openai"]


def test_a_file_of_ones_own_that_hides_a_package():
    write("print('my first try')", "autogen.py")
    assert codes(diagnose()) == ["shadowed"]


def test_a_module_of_the_same_name_elsewhere_is_no_shadow(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert diagnose().findings == []


# What is right stays silent ------------------------------------------------------------------------


def human(name):
    return UserProxyAgent(name, code_execution_config=False)


def recording():
    made = agent({**DUMMY, "model_client_cls": "RecordingModelClient"})
    made.register_model_client(RecordingModelClient, path="talk.jsonl", client=DummyModelClient)
    return made


def each_other():
    one = ready("b")
    other = with_nested_chat(one)
    one.register_nested_chats([{"recipient": other, "message": "And you?"}], trigger=lambda sender: True)
    return one


def parrot():
    made = AssistantAgent("parrot", llm_config=False)
    made.register_reply([None], lambda recipient, messages, sender, config: (True, messages[-1]["content"]))
    return made


def with_tools():
    made = with_tool(agent(DUMMY))
    made.register_model_client(DummyModelClient, replies=[tool_call("clock"), "It is noon."])
    return made


def talkers():
    members = [ready(name, max_consecutive_auto_reply=10**9) for name in "ab"]
    return group(*members, select="round_robin")


def polite():
    return ready(max_consecutive_auto_reply=10**9, is_termination_msg=lambda one: "bye" in one["content"])


def in_many_ways(folder):
    more = ({}, {"device": "cpu"}, {"device": "auto", "dtype": "auto"}, {"params": {"max_length": 100}})
    return [{**HF, "model": folder, **fields} for fields in more]


FIELDS = [
    *({"price": [1, 2]}, {"tags": ["small"]}, {"temperature": 0}, {"temperature": 1}),
    {"colour": "blue", "params": {"depth": 3}},
]
OWN_TEMPLATE = {"tokenizer_config.json": "{}", "chat_template.jinja": "x"}
RIGHT = {
    "nothing at all": lambda: (None,),
    "a dummy": lambda: ([DUMMY],),
    "a dummy with its class": lambda: ([DUMMY], DummyModelClient),
    "a tuple": lambda: ((DUMMY,),),
    "a JSON text": lambda: (json.dumps([DUMMY]),),
    "an LLMConfig": lambda: (LLMConfig(dict(DUMMY)),),
    "an LLMConfig with its class": lambda: (LLMConfig(dict(DUMMY)), DummyModelClient),
    "entries of an LLMConfig": lambda: (LLMConfig(dict(DUMMY)).config_list,),
    "an llm_config": lambda: ({"config_list": [DUMMY], "temperature": 0.5}, DummyModelClient),
    "two entries of one class": lambda: ([DUMMY, {**DUMMY, "model": "b"}], DummyModelClient),
    "two classes": lambda: ([DUMMY, MINE], DummyModelClient, client()),
    "a class alone": lambda: (DummyModelClient,),
    "an instance of a class": lambda: (DummyModelClient(DUMMY),),
    "a file": lambda: (write(json.dumps([DUMMY])),),
    "a file and its class": lambda: (write(json.dumps([DUMMY]), "my.json"), DummyModelClient),
    "a variable": lambda: ("MY_LIST",),
    "a key by its variable": lambda: ([{"model": "gpt-4o", "api_key": "${MY_OWN_KEY}"}],),
    "a server": lambda: ([{"model": "a", "base_url": "http://localhost:8000/v1", "api_key": "x"}],),
    "fields of all kinds": lambda: ([{**DUMMY, **fields} for fields in FIELDS],),
    "many entries": lambda: ([dict(DUMMY) for _ in range(300)],),
    "a model's folder": lambda: (in_many_ways(model_folder()),),
    "a chat template in a file of its own": lambda: ([{**HF, "model": model_folder(**OWN_TEMPLATE)}],),
    "a name on the model hub": lambda: ([{**HF, "model": "HuggingFaceTB/SmolLM2-135M-Instruct"}],),
    "a folder's name for another class": lambda: ([{**DUMMY, "model": "./not/there"}],),
    "an agent": lambda: (ready(),),
    "an agent with its class": lambda: (ready(), DummyModelClient),
    "an agent with two entries": lambda: (agent(DUMMY, DUMMY, register=[DummyModelClient] * 2),),
    "an agent with tools": lambda: (with_tools(), DummyModelClient),
    "many replies, and an end of one's own": lambda: (polite(),),
    "many replies in a group, which has its rounds": lambda: (talkers(),),
    "another class at hand than the registered one": lambda: (ready(), client()),
    "a class that needs arguments, registered with them": lambda: (recording(), RecordingModelClient),
    "an assistant with a reply of its own": lambda: (parrot(),),
    "OpenAI's client and one's own": lambda: (
        agent(OPENAI, DUMMY, register=[DummyModelClient]),
        DummyModelClient,
    ),
    "agents with limits and without": lambda: (
        [
            ready("a", max_consecutive_auto_reply=3),
            *(user(f"u{n}", max_consecutive_auto_reply=n) for n in (0, 3)),
        ],
    ),
    "an agent and a user": lambda: ([ready(), user()],),
    "a user": lambda: (user(),),
    "a round robin": lambda: (group(select="round_robin"),),
    "a group with a user": lambda: (group(user(), ready(), select="round_robin"),),
    "a group of humans": lambda: (group(human("a"), human("b"), select="round_robin"),),
    "OpenAI's client for one, one's own for another": lambda: (
        group(agent(OPENAI, name="a"), ready("b"), select="random"),
        DummyModelClient,
    ),
    "an automatic selection": lambda: (group(manager_entry=DUMMY),),
    "an automatic selection with its class": lambda: (group(manager_entry=DUMMY), DummyModelClient),
    "a manager that selects nobody, not registered": lambda: (
        group(manager_entry=DUMMY, registered=False, select="round_robin"),
    ),
    "a way to select of one's own": lambda: (group(select=lambda last, group: group.agents[0]),),
    "a nested chat": lambda: (with_nested_chat(ready("b")), DummyModelClient),
    "two who ask each other in nested chats": lambda: (each_other(),),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT)
def test_what_is_right_gives_no_finding(make, monkeypatch):
    monkeypatch.setenv("MY_LIST", json.dumps([DUMMY]))
    monkeypatch.setenv("MY_OWN_KEY", "k")
    report = diagnose(*make())
    assert report.findings == [], report
    assert report.ok
    assert report.checks


def test_the_real_local_model_gives_no_finding(local_model_folder):
    assert diagnose([{**HF, "model": local_model_folder}]).findings == []


# In a notebook -------------------------------------------------------------------------------------


@pytest.fixture
def shell(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_cell("%load_ext kit", silent=True)
    yield lambda cell: shell.run_cell(cell).result
    InteractiveShell.clear_instance()


FAILED_CELL = """
from autogen import AssistantAgent, LLMConfig
from kit import DummyModelClient

entry = {"model": "a", "model_client_cls": "DummyModelClient"}
helper = AssistantAgent("helper", llm_config=LLMConfig(entry), system_message="")
helper.generate_reply(messages=[{"role": "user", "content": "Hi"}])
"""


def test_the_magic_looks_at_the_last_error_and_finds_the_agent_in_it(shell):
    shell(FAILED_CELL)
    [finding] = shell("%diagnose").findings
    assert finding.code == "not-registered"
    assert finding.fix == "helper.register_model_client(DummyModelClient)"


def test_the_magic_takes_names_of_the_notebook(shell, capsys):
    shell(FAILED_CELL)
    shell("class Mine(DummyModelClient): pass")
    assert "name-differs" in codes(shell("%diagnose helper Mine"))
    assert shell("%diagnose nobody") is None
    assert "'nobody'" in capsys.readouterr().out


def test_what_was_fixed_is_not_told_again(shell):
    shell(FAILED_CELL)
    shell("helper.register_model_client(DummyModelClient)")
    assert shell("%diagnose").findings == []
    assert shell("%diagnose helper").findings == []


MAKE_AGENT = "def agent(name):\n    return AssistantAgent(name, llm_config=LLMConfig(dict(entry)))"
SESSIONS = {
    "an error in another class is no cause": (
        "class Broken(DummyModelClient):\n    async def create(self, params): ...",
        FAILED_CELL,
        ["not-registered"],
    ),
    "nor is an agent that has nothing to do with it": (
        FAILED_CELL.rpartition("helper.generate")[0].replace("helper", "other"),
        FAILED_CELL,
        ["not-registered"],
    ),
    "of two, it is the one that was asked": (
        MAKE_AGENT,
        "one, two = agent('one'), agent('two')\none.register_model_client(DummyModelClient)\n"
        "one.initiate_chat(two, message='Hi', max_turns=1, silent=True)",
        ["not-registered"],
    ),
    "in a group, it is that of the hidden agent": (
        MAKE_AGENT,
        "pair = [agent('one'), agent('two')]\n"
        "for one in pair: one.register_model_client(DummyModelClient)\n"
        "group = GroupChat(agents=pair, messages=[], max_round=3)\n"
        "manager = GroupChatManager(groupchat=group, llm_config=LLMConfig(dict(entry)))\n"
        "pair[0].initiate_chat(manager, message='Hi', silent=True)",
        ["selector"],
    ),
    "a class that the list does not name": (
        "class Mine(DummyModelClient): pass",
        "helper = AssistantAgent('helper', llm_config=LLMConfig(entry))\nhelper.register_model_client(Mine)",
        ["name-differs"],
    ),
    "a cell that is not Python": ("", "class Mine(:", ["syntax"]),
    "a cell that was not run": ("", "helper.register_model_client(Mine)", ["undefined-name"]),
}


@pytest.mark.parametrize(("before", "failing", "found"), SESSIONS.values(), ids=SESSIONS)
def test_the_magic_finds_what_the_error_is_about(shell, before, failing, found):
    shell("from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig")
    shell("from kit import DummyModelClient\nentry = {'model': 'a', 'model_client_cls': 'DummyModelClient'}")
    shell(before)
    shell(failing)
    assert codes(shell("%diagnose")) == found


def test_an_error_of_no_agent_has_none():
    assert agent_of(raised(lambda: 1 / 0)) is None
    assert agent_of(raised(lambda: agent(DUMMY).generate_reply(messages=QUESTION))).name == "helper"


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
