"""diagnose: set-ups as people bring them, with the cause that must come first; right ones stay silent."""

import json
import re
import sys
import types
from types import SimpleNamespace

import pytest
from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent

import kit.diagnosis
from kit import DummyModelClient, load_config_list, register_model_clients
from kit.diagnosis import agent_of, diagnose, explain
from kit.errors import _rules

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
}


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


def test_something_that_is_no_set_up():
    assert diagnose(3).findings[0].code == "unknown-subject"


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
}


@pytest.mark.parametrize("case", CLASSES)
def test_a_class_that_autogen_could_not_use(case):
    cls, code = CLASSES[case]
    assert diagnose(None, cls).findings[0].code == code


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
}


@pytest.mark.parametrize("case", AGENTS)
def test_an_agent_that_would_stumble(case):
    make, classes, code = AGENTS[case]
    assert diagnose(make(), *classes).findings[0].code == code


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


def test_every_rule_says_where_it_belongs_and_what_to_do():
    for rule in _rules():
        assert rule["step"] in range(5)
        assert rule["what"]
        assert rule["fix"]
        re.compile(rule.get("text", ""))


def test_no_explanation_shows_a_key():
    assert "sk-recognisable" not in str(explain(ValueError("Incorrect API key provided: sk-recognisable")))


# The packages --------------------------------------------------------------------------------------


def test_two_packages_that_own_autogen(monkeypatch):
    monkeypatch.setattr(kit.diagnosis, "_owners", lambda: ["autogen", "pyautogen"])
    first = diagnose().findings[0]
    assert (first.code, first.step) == ("two-autogens", 0)
    assert "pip uninstall -y autogen pyautogen" in first.fix


def test_no_package_that_owns_autogen(monkeypatch):
    monkeypatch.setattr(kit.diagnosis, "_owners", list)
    versions = {"autogen-agentchat": "0.7.5", "openai": "2"}
    monkeypatch.setattr(kit.diagnosis, "_version", versions.get)
    first = diagnose().findings[0]
    assert first.code == "no-autogen"
    assert "autogen-agentchat 0.7.5 has none" in first.message


def test_no_openai(monkeypatch):
    monkeypatch.setattr(kit.diagnosis, "_version", {"autogen": "0.14.1"}.get)
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
}


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
