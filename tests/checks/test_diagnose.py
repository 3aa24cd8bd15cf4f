"""diagnose: classes, what is right and stays silent, and the magic of a notebook."""

import json
from functools import partial

import pytest
from autogen import AssistantAgent, LLMConfig, UserProxyAgent
from set_ups import (
    DUMMY,
    MINE,
    agent,
    client,
    codes,
    group,
    model_folder,
    ready,
    user,
    with_nested_chat,
    with_tool,
    write,
)

from kit import DummyModelClient, RecordingModelClient, diagnose, tool_call

pytestmark = pytest.mark.usefixtures("folder")
HF = {"model": "m", "model_client_cls": "HuggingFaceModelClient"}
OPENAI = {"model": "gpt-4o", "api_key": "sk-" + 48 * "a"}


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
