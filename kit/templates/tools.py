"""Tool calls by a script.

An agent that calls a Python function and answers from its result. A script says when:
so you see that the tool itself, its registration and the way back work, whatever a
model makes of them later.

Files: dummy.py
Install: pip install "autogen[openai]==0.14.1"
"""

from typing import Annotated

from autogen import AssistantAgent, LLMConfig, UserProxyAgent, register_function
from dummy import DummyModelClient, tool_call


def temperature(city: Annotated[str, "name of a city"]) -> str:
    """Return how warm it is in a city."""
    return {"Paris": "21 degrees", "Rome": "27 degrees"}.get(city, "unknown")


entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
assistant = AssistantAgent(
    "assistant", llm_config=LLMConfig(entry), system_message="You are a helpful assistant."
)
user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)

# The assistant asks for the call, the user makes it.
register_function(temperature, caller=assistant, executor=user, description="How warm is it in a city?")
# The client comes after the tools: AutoGen forgets it when an agent's tools change.
assistant.register_model_client(
    DummyModelClient,
    replies=[tool_call("temperature", city="Paris"), "It is 21 degrees in Paris.", "TERMINATE"],
)
user.initiate_chat(assistant, message="How warm is it in Paris?", max_turns=5)
