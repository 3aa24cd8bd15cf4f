"""A client that is named by class and entry is written into a file and loaded again, without its secrets."""

import asyncio
import json
import subprocess
import sys

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import ComponentModel
from autogen_core.models import ChatCompletionClient, UserMessage
from scenarios import ENTRY, Own, dummy

from kit import DummyModelClient
from kit.adapters import ModelClientForAutoGen

HELLO = {"model": "dummy", "params": {"replies": "Hello!"}, "stop": ["a", "b"], "temperature": 0.5}
KEYS = {
    "api_key": "sk-0",
    "headers": {"Authorization": "Bearer sk-1", "x-api-key": "sk-2"},
    "base_url": "https://me:sk-3@example.org/v1",
    "azure_ad_token": "sk-4",
    "proxies": ["https://example.org/?api-key=sk-5"],
}


def component(**fields):
    return ModelClientForAutoGen(DummyModelClient, {**HELLO, **fields}).dump_component()


def test_a_class_and_its_entry_come_back_from_a_file():
    info = {**ModelClientForAutoGen(dummy()).model_info, "family": "mine", "function_calling": False}
    adapter = ModelClientForAutoGen(DummyModelClient, HELLO, info, context_window=99)
    text = adapter.dump_component().model_dump_json()
    again = ChatCompletionClient.load_component(json.loads(text))
    assert isinstance(again, ModelClientForAutoGen)
    assert again.model_info == info and again.remaining_tokens([]) == 99
    assert again._bridge.client.config == HELLO and again._bridge.fields == adapter._bridge.fields
    result = asyncio.run(again.create([UserMessage(content="Hi", source="me")]))
    assert result.content == "Hello!"
    assert again.dump_component() == adapter.dump_component()


def test_a_team_comes_back_from_a_file():
    agent = AssistantAgent("a", ModelClientForAutoGen(DummyModelClient, HELLO))
    text = RoundRobinGroupChat([agent], max_turns=1).dump_component().model_dump_json()
    team = RoundRobinGroupChat.load_component(json.loads(text))
    assert asyncio.run(team.run(task="Hi")).messages[-1].content == "Hello!"


def test_no_secret_is_written():
    dumped = component(**KEYS)
    for text in (dumped.model_dump_json(), repr(dumped), str(dumped.model_dump())):
        assert "sk-" not in text and text.count("*****") >= 6
    assert json.loads(dumped.model_dump_json())["config"]["entry"]["temperature"] == 0.5


def test_within_the_program_the_secrets_are_still_there():
    again = ModelClientForAutoGen.load_component(component(**KEYS))
    assert again._bridge.client.config == {**HELLO, **KEYS}


@pytest.mark.parametrize(
    "fields", [{"max_tokens": 5}, {"eos_token": "<end>"}, {"pad_token": "x"}, {"n": None}]
)
def test_what_only_looks_like_a_secret_is_written(fields):
    again = ModelClientForAutoGen.load_component(json.loads(component(**fields).model_dump_json()))
    config = again._bridge.client.config
    assert config == {**HELLO, **fields} or config == HELLO  # AutoGen leaves out what is None


def test_a_file_without_its_secret_is_refused_until_somebody_puts_it_back():
    saved = json.loads(component(api_key="sk-0").model_dump_json())
    with pytest.raises(ValueError, match="only stars for api_key: put the real one"):
        ChatCompletionClient.load_component(saved)
    saved["config"]["entry"]["api_key"] = "sk-0"
    again = ChatCompletionClient.load_component(saved)
    assert again._bridge.client.config["api_key"] == "sk-0"


def test_an_object_is_refused():
    with pytest.raises(NotImplementedError, match=r"Pass its class and its entry: .*\(Own, entry\)\.$"):
        ModelClientForAutoGen(Own(ENTRY)).dump_component()
    with pytest.raises(NotImplementedError, match="can't be written"):
        AssistantAgent("a", ModelClientForAutoGen(Own(ENTRY))).dump_component()


def test_a_class_that_nobody_else_can_import_is_refused():
    class Local(Own):
        pass

    with pytest.raises(
        TypeError, match="<locals>.Local can't be imported elsewhere: put the class into a file"
    ):
        ModelClientForAutoGen(Local, ENTRY).dump_component()
    program = (
        "from kit import DummyModelClient\n"
        "from kit.adapters import ModelClientForAutoGen\n"
        "class Mine(DummyModelClient): pass\n"
        "ModelClientForAutoGen(Mine, {'model': 'dummy'}).dump_component()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "TypeError: __main__.Mine can't be imported elsewhere" in done.stderr


def test_an_entry_that_is_not_json_is_refused():
    with pytest.raises(TypeError, match="The entry can't be written into a file: .*function"):
        component(params={"replies": lambda messages: "Hello!"})


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("subprocess.Popen", TypeError),
        ("os.sep", TypeError),
        ("kit.NoSuchClient", (TypeError, AttributeError)),
        ("no_such_module.Client", ImportError),
        ("nothing", ValueError),
    ],
)
def test_what_is_no_model_client_is_not_made(path, error):
    saved = component().model_dump()
    saved["config"] |= {"client": path}
    with pytest.raises(error):
        ChatCompletionClient.load_component(ComponentModel(**saved))
