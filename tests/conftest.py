"""What the tests share: the real model, and agents that never wait for a human."""

import os
from pathlib import Path

import pytest

# Tests share their few cores with other programs. A thread of torch that spins while it waits for a busy
# core makes a reply 20 times slower then (measured on 2 cores: 31 s against 1.6 s); a passive one yields.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def local_model_folder():
    """The folder of the real small model; the first run fetches it, as a learner's does."""
    import kit

    return str(Path(kit.local_model()).resolve())  # tests change the current folder


@pytest.fixture
def agent():
    """Make an agent whose config list is the given entry, with its client registered.

    The entry's class is filled in, as is a model's name; `kwargs` go to the client's constructor.
    """
    from autogen import AssistantAgent, LLMConfig

    def make(client_class, entry=None, name="assistant", system_message="Be brief.", **kwargs):
        entry = {"model": "dummy", "model_client_cls": client_class.__name__, **(entry or {})}
        agent = AssistantAgent(
            name,
            system_message=system_message,
            llm_config=LLMConfig(entry),
            human_input_mode="NEVER",
            code_execution_config=False,
        )
        agent.register_model_client(client_class, **kwargs)
        return agent

    return make


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder, and none of the variables that config lists and keys are read from."""
    monkeypatch.chdir(tmp_path)
    for name in ("OAI_CONFIG_LIST", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
