"""Test with a recorded conversation.

A pytest file for an agent of yours. The first run asks the real model and writes its
replies to test_agent.jsonl; each later run answers from that file, without the model:
fast, and the same every time. Keep the recording with the test, and delete it to record
anew.

Files: recording.py huggingface.py
Install: pip install "autogen[openai]==0.14.1" transformers==5.23.0 torch==2.13.0 pytest==9.2.0
"""

from pathlib import Path

import pytest
from autogen import AssistantAgent, LLMConfig, UserProxyAgent
from recording import RecordingModelClient

MODEL = "HuggingFaceTB/SmolLM2-1.7B-Instruct"  # a name on the hub; the path of a folder works, too
RECORDING = Path(__file__).with_suffix(".jsonl")
TO_RECORD = not RECORDING.exists()


def real_client():
    """Return the class to record; later runs load neither it nor torch."""
    if not TO_RECORD:
        return None
    from huggingface import HuggingFaceModelClient

    return HuggingFaceModelClient


@pytest.fixture
def assistant():
    """The agent under test: as in your program, but for the class that answers."""
    entry = {"model": MODEL, "model_client_cls": "RecordingModelClient", "temperature": 0}
    agent = AssistantAgent(
        "assistant", llm_config=LLMConfig(entry), system_message="You are a helpful assistant."
    )
    agent.register_model_client(RecordingModelClient, path=RECORDING, client=real_client())
    return agent


def test_it_knows_two_capitals(assistant):
    user = UserProxyAgent(
        "user",
        human_input_mode="NEVER",
        code_execution_config=False,
        default_auto_reply="And the capital of Italy?",
    )
    talk = user.initiate_chat(assistant, message="What is the capital of France?", max_turns=2)
    replies = [message["content"] for message in talk.chat_history if message["name"] == "assistant"]
    assert "Paris" in replies[0]
    assert "Rome" in replies[1]


@pytest.mark.skipif(TO_RECORD, reason="it would be recorded, too")
def test_what_was_never_asked_is_an_error_and_not_a_made_up_reply(assistant):
    with pytest.raises(LookupError, match="Register with client= to record it"):
        assistant.generate_reply(messages=[{"role": "user", "content": "Who are you?"}])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-v"]))
