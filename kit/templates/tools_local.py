"""Tool calls by a small local model.

An agent whose model never learned to call tools, and calls one all the same: when the
user has spoken, the client lets it write nothing but a call, and words when the result
is there. A model that did learn it decides by itself; the program stays the same.

Files: huggingface.py huggingface_fast/
Install: pip install "autogen[openai]==0.14.1" transformers==5.23.0 torch==2.13.0 llguidance==1.9.1
"""

from typing import Annotated

from autogen import AssistantAgent, LLMConfig, UserProxyAgent, register_function
from huggingface_fast import HuggingFaceModelClient

MODEL = "HuggingFaceTB/SmolLM2-1.7B-Instruct"  # a name on the hub; the path of a folder works, too


def temperature(city: Annotated[str, "name of a city"]) -> str:
    """Return how warm it is in a city."""
    return {"Paris": "21 degrees", "Rome": "27 degrees"}.get(city, "unknown")


entry = {
    "model": MODEL,
    "model_client_cls": "HuggingFaceModelClient",
    "temperature": 0,
    "max_tokens": 100,
}
assistant = AssistantAgent(
    "assistant", llm_config=LLMConfig(entry), system_message="You are a helpful assistant."
)
user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)

# The assistant asks for the call, the user makes it.
register_function(temperature, caller=assistant, executor=user, description="How warm is it in a city?")
# The client comes after the tools: AutoGen forgets it when an agent's tools change.
assistant.register_model_client(HuggingFaceModelClient)
user.initiate_chat(assistant, message="How warm is it in Paris?", max_turns=2)
