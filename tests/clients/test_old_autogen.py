"""The client files under Microsoft's last AutoGen 0.2, in an environment of its own."""

import os

import pytest

pytestmark = pytest.mark.slow  # the environment takes a minute to make


@pytest.fixture
def old_chat(old_python, chat_beside):
    """Chat with a client file under the old AutoGen and return what was said."""

    def chat(client, *arguments):
        elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        report = chat_beside([old_python], client, *arguments, env=elsewhere)
        assert report["autogen"] == "0.2.40"
        return report

    return chat


def test_the_dummy_client_chats_under_autogen_0_2(old_chat):
    chat = old_chat("dummy")
    assert chat["history"][1::2] == ["Paris.", "Rome."]
    assert chat["retrieved"] == 2
    assert chat["usage"]["dummy"]["total_tokens"] == 34
    assert chat["usage"]["dummy"]["cost"] == pytest.approx(0.079)


@pytest.mark.parametrize("client", ["huggingface", "huggingface_fast"])
def test_the_hugging_face_client_chats_under_autogen_0_2(old_chat, local_model_folder, client):
    chat = old_chat(client, local_model_folder)
    assert "Paris" in chat["history"][1]
    assert chat["retrieved"] == 2
    assert 0 < chat["usage"][local_model_folder]["completion_tokens"] <= 32


def test_the_recording_client_records_and_replays_under_autogen_0_2(old_chat):
    recorded = old_chat("recording", "record")
    assert recorded["history"][1::2] == ["Paris.", "Rome."]
    assert recorded["retrieved"] == 2
    assert recorded["usage"]["capitals"]["cost"] == 1.0
    assert old_chat("recording", "replay") == recorded
