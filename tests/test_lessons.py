"""The model of lessons 06 to 09: the class's if its entry is in the config list, else the local one."""

import json
from pathlib import Path

import pytest

from kit import ConfigListError, check_model_client, lesson_model, lessons

OTHER = {"model": "owl", "model_client_cls": "Owl"}
QUESTION = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}


@pytest.fixture
def shared(server):
    return {
        "model": "class-model",
        "base_url": server.address,
        "api_key": "class-practice",
        "price": [0, 0],
        "max_tokens": 128,
    }


@pytest.fixture
def here(folder, monkeypatch):
    """Not loaded: whether it would be is the question."""
    monkeypatch.setattr(lessons, "local_model", lambda: "models/small")


def test_with_the_class_s_entry_in_the_file_its_server_is_asked(here, server, shared, capsys):
    Path("OAI_CONFIG_LIST").write_text(json.dumps([OTHER, shared]))
    fields, client_class = lesson_model()
    assert fields == shared
    assert client_class.__name__ == "ServerModelClient"
    said = capsys.readouterr().out
    assert server.address in said and "class-practice" not in said

    client = client_class({**fields, "max_tokens": 20})
    response = client.create(QUESTION)
    assert client.message_retrieval(response) == ["The capital of France is Paris."]
    assert client.get_usage(response)["total_tokens"] == 5
    assert server.seen[-1].body == {"model": "class-model", "max_tokens": 20, **QUESTION}
    assert server.seen[-1].key == "class-practice"


def test_the_list_may_be_in_a_variable_and_its_key_in_another(here, shared, monkeypatch):
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps([{**shared, "api_key": "${CLASS_KEY}"}]))
    monkeypatch.setenv("CLASS_KEY", "class-practice")
    assert lesson_model()[0] == shared


@pytest.mark.parametrize("listed", [None, [OTHER], []])
def test_without_it_the_model_is_the_one_on_this_machine(here, listed, capsys):
    if listed is not None:
        Path("OAI_CONFIG_LIST").write_text(json.dumps(listed))
    fields, client_class = lesson_model()
    assert fields == {"model": "models/small", "device": "cpu"}
    assert client_class.__name__ == "HuggingFaceModelClient"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[{"model": "class-model",]', "OAI_CONFIG_LIST"),
        ('[{"model": "class-model", "base_url": "http://a/v1", "api_key": "${NOT_SET}"}]', "NOT_SET"),
    ],
)
def test_a_list_that_can_t_be_used_is_refused_with_the_reason(here, text, why):
    Path("OAI_CONFIG_LIST").write_text(text)
    with pytest.raises(ConfigListError, match=why):
        lesson_model()


def test_the_class_is_a_model_client_like_any_other(here, shared, agent):
    fields = {name: value for name, value in shared.items() if name != "price"}
    assert check_model_client(lessons.ServerModelClient, shared).ok
    answer = agent(lessons.ServerModelClient, fields).generate_reply(messages=QUESTION["messages"])
    assert answer == "The capital of France is Paris."
