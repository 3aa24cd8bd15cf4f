"""The class's server, started once for all tests that leave it as it was."""

import pytest
from class_server import class_server


@pytest.fixture(scope="session")
def server(local_model_folder):
    with class_server() as running:
        yield running


@pytest.fixture
def student(server):
    """Make a student's agent: the entry as it was printed, no class and nothing registered."""
    from autogen import AssistantAgent, LLMConfig

    def make(system_message="You are a helpful assistant.", **fields):
        entry = {**server.entry, "max_retries": 0, **fields}
        config = LLMConfig(entry, cache_seed=None)
        return AssistantAgent("student", system_message=system_message, llm_config=config)

    return make
