"""diagnose: set-ups as people bring them, with the cause that must come first; right ones stay silent."""

import functools
import json
import re
import sys
import types
from dataclasses import dataclass
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, ModelClient, UserProxyAgent

import kit.checks.diagnose
from kit import (
    DummyModelClient,
    RecordingModelClient,
    load_config_list,
    register_model_clients,
    tool_call,
)
from kit.agents.register import PROTOCOL
from kit.checks.diagnose import agent_of, diagnose, explain
from kit.checks.explain import _rules

pytestmark = pytest.mark.usefixtures("folder")
DUMMY = {"model": "dummy", "model_client_cls": "DummyModelClient"}
HF = {"model": "m", "model_client_cls": "HuggingFaceModelClient"}
QUESTION = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OAI_CONFIG_LIST", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def agent(*entries, name="helper", register=(), **settings):
    settings = {"system_message": "Be brief.", **settings}
    made = AssistantAgent(name, llm_config=LLMConfig(*(dict(entry) for entry in entries)), **settings)
    for cls in register:
        made.register_model_client(cls)
    return made


def client(name="Mine", **methods):
    """Return a model client class of this name, with some methods replaced."""
    return type(name, (DummyModelClient,), methods)


def group(*members, manager_entry=None, ready=True, **settings):
    members = members or tuple(agent(DUMMY, name=name, register=[DummyModelClient]) for name in "ab")
    config = LLMConfig(dict(manager_entry)) if manager_entry else False
    chat = GroupChat(agents=list(members), messages=[], **{"max_round": 4, **settings})
    manager = GroupChatManager(groupchat=chat, llm_config=config)
    if manager_entry and ready:
        register_model_clients(manager, DummyModelClient)
    return manager


def write(text, name="OAI_CONFIG_LIST"):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return name


def model_folder(folder, name="model", **left_out):
    """Make a folder with the files of a chat model, as far as diagnose looks at them."""
    place = folder / name
    place.mkdir()
    files = {
        "config.json": json.dumps({"max_position_embeddings": 2048}),
        "model.safetensors": "weights",
        "tokenizer.json": "{}",
        "tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}),
    }
    for file, text in {**files, **left_out}.items():
        if text is not None:
            (place / file).write_text(text)
    return name


# What is wrong with a file or a list ---------------------------------------------------------------

LISTS = {
    "a file that is not there": (lambda f: "OAI_CONFIG_LIST", "neither an environment variable nor a file"),
    "an empty file": (lambda f: write(""), "empty"),
    "Python instead of JSON": (lambda f: write("[{'model': 'a'}]"), "this is Python, not JSON"),
    "the blog's own last comma": (lambda f: write('[{"model": "a",}]'), "a comma before the closing bracket"),
    "one entry without a list": (lambda f: write('{"model": "a"}'), "one object instead of a list"),
    "a bracket that is missing": (lambda f: write('[{"model": "a"}'), "Every bracket needs its partner"),
    "a list in a config_list": (lambda f: write('{"config_list": []}'), "drop the outer"),
    "texts instead of entries": (lambda f: ["a"], "a str instead of an object"),
    "an empty list": (lambda f: [], "the list is empty"),
    "no model": (lambda f: [{"model_client_cls": "C"}], "'model': missing"),
    "modle": (lambda f: [{**DUMMY, "modle": 1, "temperature": 3}], "3 is not allowed"),
    "too hot": (lambda f: [{**DUMMY, "temperature": 1.2}], "'temperature': 1.2 is not allowed"),
    "a class with brackets": (lambda f: [{"model": "a", "model_client_cls": "C()"}], "is no class name"),
    "a keyword for a class": (lambda f: [{"model": "a", "model_client_cls": "class"}], "is no class name"),
    "an unknown api_type": (lambda f: [{"model": "a", "api_type": "open_ai"}], "did you mean 'openai'"),
    "no key": (lambda f: [{"model": "gpt-4o"}], "AutoGen can't make a client from it"),
    "a variable that is not set": (lambda f: [{**DUMMY, "api_key": "${NOT_SET}"}], "NOT_SET is not set"),
    "one entry in Python": (lambda f: dict(DUMMY), "this is one entry"),
    "an llm_config": (lambda f: {"config_list": [{**DUMMY, "temperature": 3}]}, "3 is not allowed"),
    "model_client_class": (
        lambda f: [{"model": "a", "model_client_class": "C"}],
        "does not know 'model_client_class', so it takes its own client",
    ),
    "a class in place of its name": (
        lambda f: [{"model": "a", "model_client_cls": DummyModelClient}],
        '"model_client_cls": "DummyModelClient"',
    ),
    "a text that is cut off": (lambda f: '[{"model": "a"', "line 1, column 15: the text ends too early"),
    "no name": (lambda f: "", "the name is empty"),
    "a folder": (lambda f: ".", "'.' is a folder"),
    "a device": (lambda f: "/dev/zero", "'/dev/zero' is a folder or a device"),
    "a huge file": (lambda f: write("x" * 2_000_000, "huge"), "'huge' is 2 MB"),
    "a name that is nearly right": (
        lambda f: write("[]", "OAI_CONFIG_LIST.json").removesuffix(".json"),
        "Is 'OAI_CONFIG_LIST.json' meant?",
    ),
    "a list that holds itself": (lambda f: endless(), "can't be looked at: RecursionError"),
}


def endless():
    entry = dict(DUMMY)
    entry["params"] = entry
    return [entry]


@pytest.mark.parametrize("case", LISTS)
def test_a_list_that_can_not_be_used(case, folder):
    make, told = LISTS[case]
    report = diagnose(make(folder))
    first = report.findings[0]
    assert not report.ok
    assert told in f"{first.message} {first.fix}"
    assert first.step == 2


def test_a_variable_that_hides_a_file(monkeypatch):
    write(json.dumps([DUMMY]))
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps([{**DUMMY, "model": "other"}]))
    [finding] = diagnose("OAI_CONFIG_LIST").findings
    assert (finding.code, finding.warning) == ("variable-hides-file", True)


class Odd:
    def __getattr__(self, name):
        raise RuntimeError(name)


@pytest.mark.parametrize("subject", [3, print, b"[]", {1}, Odd(), MagicMock(), GroupChat([], [])], ids=str)
def test_something_that_is_no_set_up(subject):
    assert [finding.code for finding in diagnose(subject).findings] == ["unknown-subject"]


def test_a_long_list_is_looked_at_in_part():
    [finding] = diagnose([dict(DUMMY) for _ in range(2000)]).findings
    assert finding.message == "only the first 200 of 2000 entries were looked at."


def test_every_finding_about_a_list_has_a_fix(folder):
    for make, _ in LISTS.values():
        assert all(finding.fix for finding in diagnose(make(folder)).findings)


def test_that_a_client_has_no_key_is_only_the_symptom():
    [finding] = diagnose([{"model": "a"}], DummyModelClient).findings
    assert finding.code == "no-entry-for-class"
    assert finding.fix == 'Add "model_client_cls": "DummyModelClient" to the entry.'


# What is wrong with a class ------------------------------------------------------------------------


async def create_async(self, params): ...


CLASSES = {
    "no cost": (
        type("Mine", (), dict.fromkeys(("create", "message_retrieval", "get_usage"), print)),
        "missing-method",
    ),
    "retrieve_message": (
        type("Mine", (), {n: lambda s, r: 1 for n in ("create", "retrieve_message", "cost", "get_usage")}),
        "missing-method",
    ),
    "async create": (client(create=create_async), "coroutine"),
    "get_usage without @staticmethod": (client(get_usage=lambda response: {}), "get-usage-not-static"),
    "create without params": (client(create=lambda self: None), "signature"),
    "cost with too many": (client(cost=lambda self, response, more: 0), "signature"),
    "no constructor": (
        type("Mine", (), {n: lambda s, r: 1 for n in ("create", "message_retrieval", "cost", "get_usage")}),
        "constructor",
    ),
    "a constructor without config": (client(__init__=lambda self: None), "constructor"),
    "a constructor that needs more": (client(__init__=lambda self, config, model: None), "needs-arguments"),
    "an instance": (DummyModelClient(DUMMY), "instance"),
    "a name in quotes": ("DummyModelClient", "no-class"),
    "a partial": (functools.partial(DummyModelClient, replies="Ahoy"), "no-class"),
    "what AutoGen's protocol declares": (
        type("Mine", (ModelClient,), {"__init__": lambda self, config: None, "create": create_async}),
        "missing-method",
    ),
    "AutoGen's protocol, without a constructor": (
        type("Mine", (ModelClient,), {n: vars(DummyModelClient)[n] for n in PROTOCOL}),
        "constructor",
    ),
    "a number in place of a method": (client(cost=0), "missing-method"),
    "a static method with self": (client(get_usage=staticmethod(lambda self, response: {})), "signature"),
}


@pytest.mark.parametrize("case", CLASSES)
def test_a_class_that_autogen_could_not_use(case):
    cls, code = CLASSES[case]
    assert diagnose(None, cls).findings[0].code == code


def test_all_that_is_missing_is_one_finding():
    [finding] = diagnose(type("Mine", (), {"create": print, "costs": print})).findings
    assert finding.message == "Mine has no method message_retrieval, cost, get_usage."
    [finding] = diagnose(type("Mine", (DummyModelClient,), {"cost": None, "costs": print})).findings
    assert finding.message == "Mine has no method cost. Is 'costs' meant?"


def test_nothing_of_the_class_is_run():
    def explode(*_, **__):
        raise AssertionError

    cls = client(__init__=lambda self, config: explode(), create=lambda self, params: explode())
    assert diagnose([{"model": "a", "model_client_cls": "Mine"}], cls).findings == []


# Names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "classes", "code", "fix"),
    [
        (
            {**DUMMY, "model_client_cls": "dummymodelclient"},
            [DummyModelClient],
            "name-differs",
            "DummyModelClient",
        ),
        (
            {**DUMMY, "model_client_cls": "DumyModelClient"},
            [DummyModelClient],
            "name-differs",
            "DummyModelClient",
        ),
        ({**DUMMY, "model_client_cls": "Other"}, [client("Mine")], "name-differs", "Mine"),
        ({"model": "a", "api_key": "k"}, [client("Mine")], "no-entry-for-class", "Mine"),
        (
            {"model": "a", "model_client_cls": "Mine"},
            [client("Mine"), client("Mine")],
            "same-name",
            "another name",
        ),
    ],
)
def test_names_that_do_not_meet(entry, classes, code, fix):
    first = next(finding for finding in diagnose([entry], *classes).findings if finding.code != "config-list")
    assert first.code == code
    assert fix in first.fix


# Local models --------------------------------------------------------------------------------------

MODELS = {
    "a folder that is not there": (lambda f: {"model": "./models/none"}, "no-folder"),
    "a file": (lambda f: {"model": write("", "model.gguf")}, "file-not-folder"),
    "no config.json": (lambda f: {"model": model_folder(f, **{"config.json": None})}, "no-config"),
    "pickled weights": (
        lambda f: {"model": model_folder(f, **{"model.safetensors": None})},
        "no-safetensors",
    ),
    "no tokenizer": (
        lambda f: {"model": model_folder(f, **{"tokenizer.json": None, "tokenizer_config.json": None})},
        "no-tokenizer",
    ),
    "no chat template": (
        lambda f: {"model": model_folder(f, **{"tokenizer_config.json": "{}"})},
        "no-chat-template",
    ),
    "too many tokens": (lambda f: {"model": model_folder(f), "max_tokens": 4096}, "context-window"),
    "an unknown device": (lambda f: {"model": model_folder(f), "device": "gpu"}, "unknown-device"),
    "a device that is not here": (lambda f: {"model": model_folder(f), "device": "mps"}, "no-device"),
    "half precision on a CPU": (
        lambda f: {"model": model_folder(f), "device": "cpu", "dtype": "float16"},
        "half-on-cpu",
    ),
    "a stranger's program": (lambda f: {"model": model_folder(f), "trust_remote_code": True}, "remote-code"),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_local_model_that_could_not_be_loaded(case, folder):
    import torch

    make, code = MODELS[case]
    if code == "no-device" and torch.backends.mps.is_available():
        pytest.skip("this machine has an mps device")
    assert diagnose([{**HF, **make(folder)}]).findings[0].code == code


def test_a_model_that_is_larger_than_the_memory(folder, monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=3))
    assert diagnose([{**HF, "model": model_folder(folder)}]).findings[0].code == "memory"


# Agents and groups ---------------------------------------------------------------------------------


def with_lost_registration():
    made = agent(DUMMY, register=[DummyModelClient])
    made.register_for_llm(description="Tell the time.")(clock)
    return made


def clock() -> str:
    return "12:00"


def wrong_agent():
    right = agent(DUMMY, name="right", register=[DummyModelClient])
    return group(right, agent(DUMMY, name="left"), speaker_selection_method="round_robin")


AGENTS = {
    "nothing registered": (lambda: agent(DUMMY), [], "not-registered"),
    "registered once for two entries": (
        lambda: agent(DUMMY, DUMMY, register=[DummyModelClient]),
        [],
        "registered-once",
    ),
    "a tool emptied the place": (with_lost_registration, [], "not-registered"),
    "registered on another agent": (wrong_agent, [], "wrong-agent"),
    "the class was defined again": (
        lambda: agent({"model": "a", "model_client_cls": "Mine"}, register=[client()]),
        [client()],
        "stale-class",
    ),
    "the name differs": (lambda: agent(DUMMY), [client("Mine")], "name-differs"),
    "an assistant without a model": (lambda: AssistantAgent("helper", llm_config=False), [], "no-model"),
    "the selector has no client": (lambda: group(manager_entry=DUMMY, ready=False), [], "selector"),
    "nobody selects": (lambda: group(), [], "no-selector"),
    "a selector class without its config": (
        lambda: group(select_speaker_auto_model_client_cls=DummyModelClient),
        [],
        "no-selector",
    ),
    "one round": (lambda: group(speaker_selection_method="round_robin", max_round=1), [], "too-few-rounds"),
    "a group that never ends": (
        lambda: group(speaker_selection_method="round_robin", max_round=10**6),
        [],
        "endless",
    ),
    "an agent that never ends": (
        lambda: agent(DUMMY, register=[DummyModelClient], max_consecutive_auto_reply=10**9),
        [],
        "endless",
    ),
    "an agent that never answers": (
        lambda: agent(DUMMY, register=[DummyModelClient], max_consecutive_auto_reply=0),
        [],
        "silent",
    ),
    "a user that runs code": (lambda: UserProxyAgent("user", human_input_mode="NEVER"), [], "runs-code"),
    "an assistant of one's own without a model": (
        lambda: type("Tutor", (AssistantAgent,), {})("helper", llm_config=False),
        [],
        "no-model",
    ),
    "another list than its clients are of": (lambda: with_another_list(), [], "list-changed"),
    "the other of two agents": (
        lambda: [agent(DUMMY, name="a", register=[DummyModelClient]), agent(DUMMY, name="b")],
        [],
        "wrong-agent",
    ),
    "one who is asked in a nested chat": (
        lambda: with_nested_chat(agent(DUMMY, name="b")),
        [],
        "wrong-agent",
    ),
    "a group in a group": (
        lambda: group(
            agent(DUMMY, name="b", register=[DummyModelClient]),
            wrong_agent(),
            speaker_selection_method="random",
        ),
        [],
        "wrong-agent",
    ),
    "a class for the selector, without a list of its own": (
        lambda: group(
            manager_entry=DUMMY, ready=False, select_speaker_auto_model_client_cls=DummyModelClient
        ),
        [],
        "selector",
    ),
    "a list for the selector, after the manager was made": (lambda: with_late_selector(), [], "selector"),
    "AUTO without a model": (lambda: group(speaker_selection_method="AUTO"), [], "no-selector"),
    "a way to select that is none": (
        lambda: group(speaker_selection_method="roundrobin"),
        [],
        "selection-method",
    ),
    "a group of one": (
        lambda: group(agent(DUMMY, register=[DummyModelClient]), speaker_selection_method="random"),
        [],
        "too-few-agents",
    ),
    "an agent that has no name": (
        lambda: type("Odd", (), {"generate_reply": print, "client": agent(DUMMY).client})(),
        [],
        "unreadable",
    ),
}


def with_another_list():
    made = agent(DUMMY, register=[DummyModelClient])
    made.llm_config = LLMConfig(dict(DUMMY), dict(DUMMY))
    return made


def with_nested_chat(recipient):
    made = agent(DUMMY, name="a", register=[DummyModelClient])
    chats = [{"recipient": recipient, "message": "What do you think?", "max_turns": 1}]
    made.register_nested_chats(chats, trigger=lambda sender: True)
    return made


def with_late_selector():
    manager = group(manager_entry=DUMMY, ready=False)
    manager.groupchat.select_speaker_auto_llm_config = LLMConfig(dict(DUMMY))
    manager.groupchat.select_speaker_auto_model_client_cls = DummyModelClient
    return manager


@pytest.mark.parametrize("case", AGENTS)
def test_an_agent_that_would_stumble(case):
    make, classes, code = AGENTS[case]
    assert diagnose(make(), *classes).findings[0].code == code


def test_a_look_changes_nothing():
    manager = group(manager_entry=DUMMY, ready=False, select_speaker_auto_model_client_cls=DummyModelClient)
    before = diagnose(manager).findings
    assert manager.groupchat.select_speaker_auto_llm_config is None
    assert diagnose(manager).findings == before


def test_the_line_that_registers_has_what_the_class_needs():
    made = agent({**DUMMY, "model_client_cls": "RecordingModelClient"})
    [finding] = diagnose(made, RecordingModelClient).findings
    assert finding.fix == "helper.register_model_client(RecordingModelClient, path=...)"


def test_tools_that_the_model_does_not_see():
    made = with_lost_registration()
    register_model_clients(made, DummyModelClient)
    made.client._clients[0].tokenizer = SimpleNamespace(chat_template="{{ messages }}")
    assert [finding.code for finding in diagnose(made).findings] == ["tools-unseen"]


def test_the_first_cause_comes_first():
    first, *_ = diagnose(
        agent(DUMMY), client(get_usage=lambda response: {}, __name__="DummyModelClient")
    ).findings
    assert first.code == "get-usage-not-static"


# Errors that a chat ended with ---------------------------------------------------------------------


def get_usage(response):
    return {}


CHATS = {
    "create returns nothing": (client(create=lambda self, params: None), "create-returns-none"),
    "create returns a text": (client(create=lambda self, params: "Hello"), "create-returns-text"),
    "create returns a dict": (client(create=lambda self, params: {"choices": []}), "create-returns-text"),
    "create is async": (client(create=create_async), "coroutine"),
    "cost returns nothing": (client(cost=lambda self, response: None), "cost-no-number"),
    "get_usage is not static": (client(get_usage=get_usage), "get-usage-not-static"),
    "get_usage returns a text": (client(get_usage=lambda self, response: "3"), "usage-no-dict"),
    "message_retrieval returns nothing": (
        client(message_retrieval=lambda self, r: None),
        "retrieval-no-list",
    ),
    "message_retrieval returns no texts": (client(message_retrieval=lambda self, r: []), "empty-choices"),
    "the response has no usage": (
        client(create=lambda self, params: SimpleNamespace(choices=[], model="m")),
        "response-lacks",
    ),
    "a dict in transformers 5": (client(create=lambda self, params: {}["shape"]), "batch-encoding"),
}


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("case", CHATS)
def test_the_error_of_a_real_chat_is_traced_to_its_cause(case):
    cls, code = CHATS[case]
    made = agent({"model": "a", "model_client_cls": "Mine"}, register=[cls])
    with pytest.raises(Exception) as caught:  # noqa: B017
        made.generate_reply(messages=QUESTION)
        made.client.print_usage_summary()
        made.client.total_usage_summary["total_cost"] + 1
    assert explain(caught.value).code == code
    assert code in {finding.code for finding in diagnose(made, cls, error=caught.value).findings}
    assert agent_of(caught.value) is made or code == "cost-no-number"


def test_the_place_in_the_class_is_named():
    class Mine(DummyModelClient):
        def create(self, params):
            return params["nothing of this name"]

    made = agent({"model": "a", "model_client_cls": "Mine"}, register=[Mine])
    with pytest.raises(KeyError) as caught:
        made.generate_reply(messages=QUESTION)
    finding = explain(caught.value)
    assert re.match(
        r'Mine\.create, line \d+, `return params\["nothing of this name"\]`: KeyError', finding.message
    )
    assert finding.step == 1


def raised(call):
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


CALLS = {
    "not registered": (lambda: agent(DUMMY).generate_reply(messages=QUESTION), "not-registered"),
    "named otherwise": (lambda: agent(DUMMY).register_model_client(client("Mine")), "name-differs"),
    "an instance": (lambda: agent(DUMMY).register_model_client(DummyModelClient(DUMMY)), "instance"),
    "no config": (
        lambda: agent({**DUMMY, "model_client_cls": "Mine"}, register=[client(__init__=lambda self: None)]),
        "error",
    ),
    "a name with a space": (
        lambda: AssistantAgent("my agent", llm_config=LLMConfig(dict(DUMMY))),
        "agent-name",
    ),
    "a text as an entry": (lambda: AssistantAgent("a", llm_config={"config_list": ["x"]}), "config-list"),
    "too hot": (lambda: LLMConfig({**DUMMY, "temperature": 3}), "config-list"),
    "no entries": (lambda: LLMConfig(), "config-list"),
    "a file that is not there": (lambda: load_config_list("nowhere"), "config-list"),
    "the old docs' group": (
        lambda: GroupChat(agents=[], messages=[], model_client_cls=DummyModelClient),
        "moved",
    ),
    "the old docs' function": (lambda: sys.modules["autogen"].config_list_from_json("x"), "moved"),
    "the old docs' import": (lambda: exec("from autogen import config_list_from_json"), "moved"),
    "nobody selects": (
        lambda: agent(DUMMY, register=[DummyModelClient]).initiate_chat(group(), message="Hi", silent=True),
        "no-selector",
    ),
    "a script that ends": (
        lambda: DummyModelClient(DUMMY, replies=[]).create({"messages": QUESTION}),
        "script-ended",
    ),
    "no key": (lambda: agent({"model": "gpt-4o"}), "no-key"),
    "a server that is off": (
        lambda: agent(
            {"model": "a", "base_url": "http://127.0.0.1:9/v1", "api_key": "k", "max_retries": 0}
        ).generate_reply(messages=QUESTION),
        "unreachable",
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_what_autogen_raises_is_explained(case):
    call, code = CALLS[case]
    finding = explain(raised(call))
    assert finding.code == code
    assert finding.fix


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModuleNotFoundError("No module named 'autogen'"), "no-autogen"),
        (ImportError("`device_map` needs accelerate: pip install accelerate."), "missing-package"),
        (
            ValueError("Cannot use chat template functions because tokenizer.chat_template is not set"),
            "no-chat-template",
        ),
        (ValueError("Conversation roles must alternate user/assistant/user/assistant/..."), "roles"),
        (
            ValueError("The prompt has 3000 tokens, and the context window of 'm' holds 2048."),
            "context-window",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "gpu-memory"),
        (RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'"), "half-on-cpu"),
        (
            RuntimeError("mat1 and mat2 must have the same dtype, but got Float and BFloat16"),
            "dtype-mismatch",
        ),
        (
            RuntimeError("Expected all tensors to be on the same device, but found cuda:0 and cpu"),
            "device-mismatch",
        ),
        (AssertionError("Torch not compiled with CUDA enabled"), "no-device"),
        (OSError("a/b is not a local folder and is not a valid model identifier"), "no-folder"),
        (type("RateLimitError", (Exception,), {})("429"), "rate-limit"),
        (type("AuthenticationError", (Exception,), {})("401"), "key-refused"),
        (type("NotFoundError", (Exception,), {})("404 model"), "unknown-model"),
        (type("NotFoundError", (Exception,), {})('404 - "base_url" has to end in /v1.'), "no-v1"),
        (
            type("BadRequestError", (Exception,), {})('400 - "stop": leave it out of your entry.'),
            "refused-field",
        ),
        (
            TypeError("Completions.create() got an unexpected keyword argument 'params'"),
            "params-without-class",
        ),
        (TimeoutError("OpenAI API call timed out."), "slow-server"),
        (KeyboardInterrupt(), "interrupted"),
        (RuntimeError("something new"), "error"),
    ],
    ids=str,
)
def test_what_others_raise_is_explained(error, code):
    finding = explain(error)
    assert finding.code == code
    assert "{" not in finding.message + finding.fix.replace("{}", "")


class Thinker(DummyModelClient):
    """A client whose own code fails as AutoGen's does when a client returns the wrong thing."""

    def create(self, params):
        return self.think(params["messages"][-1]["content"])

    def think(self, thought):
        return eval(thought)


@pytest.mark.parametrize(
    "thought",
    [
        "[][0]",
        "None['a']",
        "None.usage",
        "'a'.choices",
        "1 + None",
        "'a'.copy()",
        "int.mro.__name__.a()",
        "{}['id']",
    ],
)
def test_what_ones_own_code_raises_is_not_put_down_to_what_autogen_got(thought):
    made = agent({"model": "a", "model_client_cls": "Thinker"}, register=[Thinker])
    finding = explain(raised(lambda: made.generate_reply(messages=[{"role": "user", "content": thought}])))
    assert (finding.code, finding.step) == ("error", 1)
    assert finding.message.startswith("Thinker.think, line ")
    assert explain(raised(lambda: eval(thought))).code == "error"  # in a cell of the notebook


def test_the_same_text_is_put_down_to_its_cause_where_autogen_raises_it():
    """Without a traceback, as when it is pasted, it is taken for AutoGen's."""
    assert explain(IndexError("list index out of range")).code == "empty-choices"
    assert explain("IndexError: list index out of range").code == "empty-choices"
    assert explain("no rule knows this").message == "no rule knows this"


RESPONSE = {"id": "1", "model": "m", "choices": []}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def reply(**message):
    return client(message_retrieval=lambda self, response: [message])


REPLIES = {
    "a generator": (
        client(create=lambda self, params: (word for word in "Hi"), cost=lambda self, r: 0),
        "coroutine",
    ),
    "a number": (client(create=lambda self, params: 3), "create-returns-text"),
    "a response that takes nothing new": (
        client(create=lambda self, params: FrozenResponse(), cost=lambda self, r: 0),
        "frozen-response",
    ),
    "no method cost": (
        type("Mine", (), {"__init__": lambda self, config: None, "create": lambda self, p: FrozenResponse()}),
        "no-cost",
    ),
    "a message that is no dict": (
        client(message_retrieval=lambda self, r: [SimpleNamespace(content="Hi")]),
        "reply-no-text",
    ),
    "an empty message": (reply(role="assistant"), "reply-no-text"),
    "a tool call without its type": (
        reply(content=None, tool_calls=[{name: CALL[name] for name in ("id", "function")}]),
        "tool-call",
    ),
    "a response that is found by a list": (
        client(
            create=lambda self, params: SimpleNamespace(**{**RESPONSE, "id": []}),
            cost=lambda self, response: 0,
            get_usage=staticmethod(lambda response: {}),
        ),
        "unhashable",
    ),
}


@dataclass(frozen=True)
class FrozenResponse:
    choices: tuple = ()
    model: str = "m"


@pytest.mark.parametrize("case", REPLIES)
def test_the_error_of_a_whole_chat_is_traced_to_its_cause(case):
    cls, code = REPLIES[case]
    made = agent({"model": "a", "model_client_cls": "Mine"}, register=[cls])
    asker = UserProxyAgent("asker", human_input_mode="NEVER", code_execution_config=False)
    error = raised(lambda: asker.initiate_chat(made, message="Hi", max_turns=1, silent=True))
    assert explain(error).code == code


def caused():
    try:
        return {}["shape"]
    except KeyError as error:
        raise RuntimeError("the model failed") from error


def grouped():
    raise ExceptionGroup("two", [ExceptionGroup("one", [ValueError("chat_template is not set")]), KeyError()])


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError


def test_what_an_exception_was_raised_from_is_explained():
    assert explain(raised(caused)).code == "batch-encoding"
    assert explain(raised(grouped)).code == "no-chat-template"


@pytest.mark.parametrize(
    "error", [Speechless(), ValueError("{0} {x} \n" * 10**6), ValueError, ValueError(b"")], ids=type
)
def test_any_exception_can_be_explained(error):
    assert diagnose(error=error).findings[0].code == "error"


def test_every_rule_says_where_it_belongs_and_what_to_do():
    for rule in _rules():
        assert rule["step"] in range(5)
        assert rule["what"]
        assert rule["fix"]
        re.compile(rule.get("text", ""))


def test_no_explanation_shows_a_key(monkeypatch):
    def create(self, params):
        key = "sk-recognisable"  # and nor does the line of code
        raise ValueError(f"Incorrect API key provided: {key}", "plain-recognisable", key == "sk-recognisable")

    monkeypatch.setenv("MY_API_KEY", "plain-recognisable")
    made = agent({"model": "a", "model_client_cls": "Mine"}, register=[client(create=create)])
    report = diagnose(made, error=raised(lambda: made.generate_reply(messages=QUESTION)))
    assert "Mine.create, line" in str(report)
    assert "recognisable" not in str(report)
    assert "recognisable" not in str(diagnose('[{"model": "a", "api_key": "plain-recognisable"'))
    assert "recognisable" not in str(diagnose("sk-recognisable"))


# The packages --------------------------------------------------------------------------------------


def test_two_packages_that_own_autogen(monkeypatch):
    monkeypatch.setattr(kit.checks.diagnose, "_owners", lambda: ["autogen", "pyautogen"])
    first = diagnose().findings[0]
    assert (first.code, first.step) == ("two-autogens", 0)
    assert "pip uninstall -y autogen pyautogen" in first.fix


def test_no_package_that_owns_autogen(monkeypatch):
    monkeypatch.setattr(kit.checks.diagnose, "_owners", list)
    versions = {"autogen-agentchat": "0.7.5", "openai": "2"}
    monkeypatch.setattr(kit.checks.diagnose, "_version", versions.get)
    first = diagnose().findings[0]
    assert first.code == "no-autogen"
    assert "autogen-agentchat 0.7.5 has none" in first.message


def test_no_openai(monkeypatch):
    monkeypatch.setattr(kit.checks.diagnose, "_version", {"autogen": "0.14.1"}.get)
    assert diagnose().findings[0].code == "no-openai"


def test_a_file_of_ones_own_that_hides_a_package():
    write("print('my first try')", "autogen.py")
    assert diagnose().findings[0].code == "shadowed"


# What is right stays silent ------------------------------------------------------------------------


def user(**settings):
    return UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False, **settings)


def from_variable(monkeypatch):
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps([DUMMY]))
    return "OAI_CONFIG_LIST"


def from_key(monkeypatch):
    monkeypatch.setenv("MY_OWN_KEY", "k")
    return [{"model": "gpt-4o", "api_key": "${MY_OWN_KEY}"}]


def with_tools():
    made = with_lost_registration()
    register_model_clients(made, DummyModelClient)
    return made


def subclass():
    class Mine(DummyModelClient):
        pass

    return [{"model": "a", "model_client_cls": "Mine"}], Mine


RIGHT = {
    "nothing at all": lambda f, m: (None,),
    "a dummy": lambda f, m: ([DUMMY],),
    "a dummy with its class": lambda f, m: ([DUMMY], DummyModelClient),
    "a tuple": lambda f, m: ((DUMMY,),),
    "an LLMConfig": lambda f, m: (LLMConfig(dict(DUMMY)),),
    "an LLMConfig with its class": lambda f, m: (LLMConfig(dict(DUMMY)), DummyModelClient),
    "two entries of one class": lambda f, m: ([DUMMY, {**DUMMY, "model": "b"}], DummyModelClient),
    "two classes": lambda f, m: (
        [DUMMY, {"model": "a", "model_client_cls": "Mine"}],
        DummyModelClient,
        client(),
    ),
    "a class alone": lambda f, m: (DummyModelClient,),
    "a subclass": lambda f, m: subclass(),
    "a class with defaults": lambda f, m: (client(__init__=lambda self, config, model=None, **kwargs: None),),
    "a class that takes anything": lambda f, m: (client(__init__=lambda self, *args, **kwargs: None),),
    "get_usage as a method": lambda f, m: (client(get_usage=lambda self, response: {}),),
    "get_usage as a static method": lambda f, m: (client(get_usage=staticmethod(lambda response: {})),),
    "get_usage as a class method": lambda f, m: (client(get_usage=classmethod(lambda cls, response: {})),),
    "a file": lambda f, m: (write(json.dumps([DUMMY])),),
    "a file and its class": lambda f, m: (write(json.dumps([DUMMY]), "my.json"), DummyModelClient),
    "a variable": lambda f, m: (from_variable(m),),
    "a key by its variable": lambda f, m: (from_key(m),),
    "a server without a key": lambda f, m: (
        [{"model": "a", "base_url": "http://localhost:8000/v1", "api_key": "x"}],
    ),
    "a price": lambda f, m: ([{**DUMMY, "price": [1, 2]}],),
    "tags": lambda f, m: ([{**DUMMY, "tags": ["small"]}],),
    "fields of one's own": lambda f, m: ([{**DUMMY, "colour": "blue", "params": {"depth": 3}}],),
    "temperature 0": lambda f, m: ([{**DUMMY, "temperature": 0}],),
    "temperature 1": lambda f, m: ([{**DUMMY, "temperature": 1}],),
    "a model's folder": lambda f, m: ([{**HF, "model": model_folder(f)}],),
    "a folder and a device": lambda f, m: ([{**HF, "model": model_folder(f), "device": "cpu"}],),
    "a folder and auto": lambda f, m: (
        [{**HF, "model": model_folder(f), "device": "auto", "dtype": "auto"}],
    ),
    "a folder and max_length": lambda f, m: (
        [{**HF, "model": model_folder(f), "params": {"max_length": 100}}],
    ),
    "a chat template in a file of its own": lambda f, m: (
        [{**HF, "model": model_folder(f, **{"tokenizer_config.json": "{}", "chat_template.jinja": "x"})}],
    ),
    "a name on the model hub": lambda f, m: ([{**HF, "model": "HuggingFaceTB/SmolLM2-135M-Instruct"}],),
    "a folder's name for another class": lambda f, m: ([{**DUMMY, "model": "./not/there"}],),
    "an agent": lambda f, m: (agent(DUMMY, register=[DummyModelClient]),),
    "an agent with its class": lambda f, m: (agent(DUMMY, register=[DummyModelClient]), DummyModelClient),
    "an agent with two entries": lambda f, m: (agent(DUMMY, DUMMY, register=[DummyModelClient] * 2),),
    "an agent with tools": lambda f, m: (with_tools(),),
    "an agent with few turns": lambda f, m: (
        agent(DUMMY, register=[DummyModelClient], max_consecutive_auto_reply=3),
    ),
    "a user": lambda f, m: (user(),),
    "a user with a limit": lambda f, m: (user(max_consecutive_auto_reply=3),),
    "a round robin": lambda f, m: (group(speaker_selection_method="round_robin"),),
    "a group with a user": lambda f, m: (
        group(user(), agent(DUMMY, register=[DummyModelClient]), speaker_selection_method="round_robin"),
    ),
    "an automatic selection": lambda f, m: (group(manager_entry=DUMMY),),
    "an automatic selection with its class": lambda f, m: (group(manager_entry=DUMMY), DummyModelClient),
    "an llm_config": lambda f, m: ({"config_list": [DUMMY], "temperature": 0.5}, DummyModelClient),
    "entries of an LLMConfig": lambda f, m: (LLMConfig(dict(DUMMY)).config_list,),
    "a JSON text": lambda f, m: (json.dumps([DUMMY]),),
    "an instance of a class": lambda f, m: (DummyModelClient(DUMMY),),
    "a class that hands on what it is asked": lambda f, m: (
        type("Mine", (), {"__init__": lambda self, config: None, "__getattr__": lambda self, name: print}),
    ),
    "a class that gets its methods when it is made": lambda f, m: (Assembled,),
    "a class made by __new__": lambda f, m: (
        type("Mine", (), {**ALL_FOUR, "__new__": lambda cls, config: object.__new__(cls)}),
    ),
    "a class with a property that gives a method": lambda f, m: (client(cost=property(lambda self: abs)),),
    "a class whose metaclass refuses questions": lambda f, m: (Mute("Mine", (DummyModelClient,), {}),),
    "another class at hand than the registered one": lambda f, m: (
        agent(DUMMY, register=[DummyModelClient]),
        client(),
    ),
    "a class that needs arguments, registered with them": lambda f, m: (recording(f), RecordingModelClient),
    "OpenAI's client and one's own": lambda f, m: (
        agent(OPENAI, DUMMY, register=[DummyModelClient]),
        DummyModelClient,
    ),
    "OpenAI's client for one, one's own for another": lambda f, m: (
        group(
            agent(OPENAI, name="a"),
            agent(DUMMY, name="b", register=[DummyModelClient]),
            speaker_selection_method="random",
        ),
        DummyModelClient,
    ),
    "a manager that selects nobody, with a model that is not registered": lambda f, m: (
        group(manager_entry=DUMMY, ready=False, speaker_selection_method="round_robin"),
    ),
    "a way to select of one's own": lambda f, m: (
        group(speaker_selection_method=lambda last, group: group.agents[0]),
    ),
    "a group of humans": lambda f, m: (
        group(human("a"), human("b"), speaker_selection_method="round_robin"),
    ),
    "a nested chat": lambda f, m: (
        with_nested_chat(agent(DUMMY, name="b", register=[DummyModelClient])),
        DummyModelClient,
    ),
    "two who ask each other in nested chats": lambda f, m: (each_other(),),
    "a user who asks once": lambda f, m: (user(max_consecutive_auto_reply=0),),
    "many replies, and an end of one's own": lambda f, m: (
        agent(
            DUMMY,
            register=[DummyModelClient],
            max_consecutive_auto_reply=10**9,
            is_termination_msg=lambda message: "bye" in message["content"],
        ),
    ),
    "many replies in a group, which has its rounds": lambda f, m: (
        group(
            *(
                agent(DUMMY, name=name, register=[DummyModelClient], max_consecutive_auto_reply=10**9)
                for name in "ab"
            ),
            speaker_selection_method="round_robin",
        ),
    ),
    "an assistant with a reply of its own": lambda f, m: (parrot(),),
    "a tool script": lambda f, m: (with_script(), DummyModelClient),
    "two agents": lambda f, m: ([agent(DUMMY, register=[DummyModelClient]), user()],),
}
OPENAI = {"model": "gpt-4o", "api_key": "sk-" + 48 * "a"}
ALL_FOUR = {name: vars(DummyModelClient)[name] for name in PROTOCOL}


class Assembled:
    def __init__(self, config):
        inner = DummyModelClient(config)
        self.create, self.message_retrieval = inner.create, inner.message_retrieval
        self.cost, self.get_usage = inner.cost, inner.get_usage


class Mute(type):
    def __getattr__(cls, name):
        raise RuntimeError(name)


def human(name):
    return UserProxyAgent(name, code_execution_config=False)


def recording(folder):
    made = agent({**DUMMY, "model_client_cls": "RecordingModelClient"})
    made.register_model_client(RecordingModelClient, path=folder / "talk.jsonl", client=DummyModelClient)
    return made


def each_other():
    one = agent(DUMMY, name="b", register=[DummyModelClient])
    other = with_nested_chat(one)
    one.register_nested_chats([{"recipient": other, "message": "And you?"}], trigger=lambda sender: True)
    return one


def parrot():
    made = AssistantAgent("parrot", llm_config=False)
    made.register_reply([None], lambda recipient, messages, sender, config: (True, messages[-1]["content"]))
    return made


def with_script():
    made = agent(DUMMY)
    made.register_for_llm(description="Tell the time.")(clock)
    made.register_model_client(DummyModelClient, replies=[tool_call("clock"), "It is noon."])
    return made


def test_there_are_at_least_as_many_right_set_ups_as_forty():
    assert len(RIGHT) >= 40
    assert len(LISTS) + len(CLASSES) + len(MODELS) + len(AGENTS) + len(CHATS) + len(CALLS) >= 40


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_gives_no_finding(case, folder, monkeypatch):
    report = diagnose(*RIGHT[case](folder, monkeypatch))
    assert report.findings == [], report
    assert report.ok
    assert report.checks


def test_the_real_local_model_gives_no_finding(local_model_folder):
    from kit import local_model

    assert diagnose([{**HF, "model": local_model()}]).findings == []


def test_a_module_of_the_same_name_elsewhere_is_no_shadow(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert diagnose().findings == []


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
    first = shell("%diagnose").findings[0]
    assert first.code == "not-registered"
    assert first.fix == "helper.register_model_client(DummyModelClient)"


def test_the_magic_takes_names_of_the_notebook(shell, capsys):
    shell(FAILED_CELL)
    shell("class Mine(DummyModelClient): pass")
    assert "name-differs" in {finding.code for finding in shell("%diagnose helper Mine").findings}
    assert shell("%diagnose nobody") is None
    assert "There is no variable 'nobody' in this notebook." in capsys.readouterr().out


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
        "def agent(name):\n    return AssistantAgent(name, llm_config=LLMConfig(dict(entry)))",
        "one, two = agent('one'), agent('two')\none.register_model_client(DummyModelClient)\n"
        "one.initiate_chat(two, message='Hi', max_turns=1, silent=True)",
        ["not-registered"],
    ),
    "in a group, it is that of the hidden agent": (
        "def agent(name):\n    return AssistantAgent(name, llm_config=LLMConfig(dict(entry)))",
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
        ["name-differs", "not-registered"],
    ),
    "a cell that is no Python": ("", "class Mine(:", ["syntax"]),
    "a cell that was not run": ("", "helper.register_model_client(Mine)", ["unknown-name"]),
}


@pytest.mark.parametrize("case", SESSIONS)
def test_the_magic_finds_what_the_error_is_about(shell, case):
    before, failing, codes = SESSIONS[case]
    shell("from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig")
    shell("from kit import DummyModelClient\nentry = {'model': 'a', 'model_client_cls': 'DummyModelClient'}")
    shell(before)
    shell(failing)
    assert [finding.code for finding in shell("%diagnose").findings] == codes


def test_who_was_at_work_is_named():
    error = raised(lambda: agent(DUMMY, name="ben").generate_reply(messages=QUESTION))
    assert explain(error).message == "'DummyModelClient' was not registered on ben."
    assert explain(str(error)).message == "'DummyModelClient' was not registered on this agent."


def test_the_hidden_agent_of_a_pattern_is_named():
    from autogen.agentchat import initiate_group_chat
    from autogen.agentchat.group.patterns import AutoPattern

    pair = [agent(DUMMY, name=name, register=[DummyModelClient]) for name in "ab"]
    settings = {"llm_config": LLMConfig(dict(DUMMY))}
    pattern = AutoPattern(initial_agent=pair[0], agents=pair, user_agent=user(), group_manager_args=settings)
    error = raised(lambda: initiate_group_chat(pattern=pattern, messages="Hi", max_rounds=3))
    assert explain(error).code == "selector"
    assert diagnose(agent_of(error), error=error).findings[0].code == "selector"


def test_what_was_fixed_is_not_told_again(shell):
    shell(FAILED_CELL)
    shell("helper.register_model_client(DummyModelClient)")
    assert shell("%diagnose").findings == []
    assert shell("%diagnose helper").findings == []


def test_a_class_name_that_is_wrong_is_told_once_and_not_as_missing_registration(agent):
    from autogen import AssistantAgent, LLMConfig

    entries = [{"model": name, "model_client_cls": name} for name in ("DummyModelClient", "dummymodelclient")]
    ward = AssistantAgent("ward", llm_config=LLMConfig(*entries), system_message="")
    found = [finding.code for finding in diagnose(ward, DummyModelClient).findings]
    assert found == ["name-differs", "not-registered", "name-first"]
    ward.register_model_client(DummyModelClient)
    first, second = diagnose(ward, DummyModelClient).findings
    assert (first.code, first.step) == ("name-differs", 2)
    assert second.message == "ward, entry 1 (dummymodelclient) has no client yet: its name comes first."


def test_a_subclass_may_show_tools_to_its_model_in_its_own_way(agent):
    class Plain(DummyModelClient):
        tokenizer = SimpleNamespace(chat_template="{{ messages }}")

    class Own(Plain):
        def create(self, params):
            return super().create(params)

    def with_a_tool(cls):
        bot = agent(cls)
        bot.register_for_llm(description="Tell the time.")(clock)
        bot.register_model_client(cls)
        return [finding.code for finding in diagnose(bot).findings]

    def clock() -> str:
        return "12:00"

    assert "tools-unseen" in with_a_tool(Plain)
    assert "tools-unseen" not in with_a_tool(Own)
