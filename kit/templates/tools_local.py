"""Tool calls by a small local model.

An agent whose model never learned to call tools, and calls one all the same: its reply
has to fit a JSON schema that only a call fits. Models that did learn it (Qwen 2.5 and
3, Hermes, SmolLM3, Mistral) need no such help: register HuggingFaceModelClient itself
for those.

Files: huggingface.py
Install: pip install "autogen[openai]==0.14.1" transformers==5.23.0 torch==2.13.0 llguidance==1.9.1
"""

import json
from typing import Annotated

from autogen import AssistantAgent, LLMConfig, UserProxyAgent, register_function
from huggingface import HuggingFaceModelClient

MODEL = "HuggingFaceTB/SmolLM2-1.7B-Instruct"  # a name on the hub; the path of a folder works, too


class ToolCaller(HuggingFaceModelClient):
    """Calls a tool when the user has spoken, and answers in words when the result is there."""

    def create(self, params):
        """Return a response whose message calls one of the tools, or is a text."""
        params = dict(params)
        tools = params.pop("tools", None)
        if not tools or params["messages"][-1]["role"] == "tool":
            return super().create(params)
        calls = [call_schema(**tool["function"]) for tool in tools]
        response = super().create({**params, "response_format": {"anyOf": calls}})
        for choice in response.choices:
            function = json.loads(choice.message.content)
            function["arguments"] = json.dumps(function["arguments"])
            call = {"id": f"call_{response.id}", "type": "function", "function": function}
            choice.message = type(choice.message)(role="assistant", tool_calls=[call])
        return response


def call_schema(name, parameters, **_):
    """Return the JSON schema of a call: the tool's name, and arguments that fit its parameters."""
    arguments = {**parameters, "additionalProperties": False}
    properties = {"name": {"const": name}, "arguments": arguments}
    return {"type": "object", "properties": properties, "required": [*properties]}


def temperature(city: Annotated[str, "name of a city"]) -> str:
    """Return how warm it is in a city."""
    return {"Paris": "21 degrees", "Rome": "27 degrees"}.get(city, "unknown")


entry = {"model": MODEL, "model_client_cls": "ToolCaller", "temperature": 0, "max_tokens": 100}
assistant = AssistantAgent(
    "assistant",
    llm_config=LLMConfig(entry),
    # This model's prompt has no place for tools: what it should know of them, you say here.
    system_message="You are a helpful assistant. The tool temperature tells how warm a city is.",
)
user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)

# The assistant asks for the call, the user makes it.
register_function(temperature, caller=assistant, executor=user, description="How warm is it in a city?")
# The client comes after the tools: AutoGen forgets it when an agent's tools change.
assistant.register_model_client(ToolCaller)
user.initiate_chat(assistant, message="How warm is it in Paris?", max_turns=2)
