"""`python -m kit.adapters`: which frameworks are installed, and whether their adapters work.

A few quick turns in each framework's own agents, to see in a minute what a new release broke.
"""

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import io
import logging
import sys
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

Turn = Callable[[Any, list[Any], list[str]], Awaitable[str]]
LIMIT = 20  # seconds for a turn


class Scripted:
    """A model client that says one reply after the other, word by word."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.heard: list[dict[str, Any]] = []
        self.config = {"model": "scripted", "model_client_cls": "Scripted"}
        self.on_text: Any = None

    def create(self, params: dict[str, Any]) -> Any:
        self.heard = params["messages"]
        message = self.replies.pop(0)
        if isinstance(message, str):
            for word in message.split(" ") if self.on_text else []:
                self.on_text(word if message.startswith(word) else f" {word}")
            message = SimpleNamespace(content=message, tool_calls=None)
        return SimpleNamespace(choices=[SimpleNamespace(message=message)], model="scripted")

    def message_retrieval(self, response: Any) -> list[Any]:
        messages = [choice.message for choice in response.choices]
        return [message if message.tool_calls else message.content for message in messages]

    def cost(self, response: Any) -> float:
        return 0

    @staticmethod
    def get_usage(response: Any) -> dict[str, Any]:
        return {}


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


async def classic(client: Any, tools: list[Any], pieces: list[str]) -> str:
    import autogen

    from . import registrable

    plain: dict[str, Any] = {"human_input_mode": "NEVER", "code_execution_config": False}
    config: Any = {"config_list": [client.config], "cache_seed": None}
    agent = autogen.AssistantAgent("assistant", system_message="Be brief.", llm_config=config, **plain)
    user = autogen.UserProxyAgent("user", is_termination_msg=lambda said: not said.get("tool_calls"), **plain)
    for tool in tools:
        autogen.register_function(tool, caller=agent, executor=user, description=tool.__doc__)
    cls: Any = registrable(client)
    agent.register_model_client(cls)
    chat = await user.a_initiate_chat(agent, message="Hi", silent=True, max_turns=3 if tools else 1)
    return chat.chat_history[-1]["content"]


async def autogen(client: Any, tools: list[Any], pieces: list[str]) -> str:
    from autogen_agentchat.agents import AssistantAgent

    from . import ModelClientForAutoGen

    model = ModelClientForAutoGen(client)
    agent = AssistantAgent("a", model, tools=tools, max_tool_iterations=2, model_client_stream=True)
    async for event in agent.run_stream(task="Hi"):
        if type(event).__name__ == "ModelClientStreamingChunkEvent":
            pieces.append(event.content)  # type: ignore[union-attr,arg-type]
    return event.messages[-1].to_text()  # type: ignore[union-attr]


async def ag2(client: Any, tools: list[Any], pieces: list[str]) -> str:
    from ag2 import Agent, MemoryStream
    from ag2.events import ModelMessageChunk
    from ag2.tools import tool as as_tool

    from . import ModelClientForAG2

    stream = MemoryStream()
    stream.where(ModelMessageChunk).subscribe(lambda event: pieces.append(event.content))
    agent = Agent("a", "Be brief.", config=ModelClientForAG2(client), tools=list(map(as_tool, tools)))
    return str((await agent.ask("Hi", stream=stream)).body)


async def agent_framework(client: Any, tools: list[Any], pieces: list[str]) -> str:
    from agent_framework import Agent

    from . import ModelClientForAgentFramework

    agent = Agent(ModelClientForAgentFramework(client), instructions="Be brief.", tools=tools)
    running = agent.run("Hi", stream=True)
    pieces += [update.text async for update in running if update.text]
    return (await running.get_final_response()).text


FRAMEWORKS: list[tuple[str, str, str, Turn]] = [
    ("AutoGen classic", "autogen", "pip install 'autogen[openai]'", classic),
    ("Microsoft AutoGen", "autogen_agentchat", "pip install autogen-agentchat", autogen),
    ("AG2", "ag2", "pip install ag2", ag2),
    ("Microsoft Agent Framework", "agent_framework", "pip install agent-framework-core", agent_framework),
]


def text(turn: Turn) -> None:
    client = Scripted("Grüße!")
    assert _run(turn(client, [], [])) == "Grüße!", "the reply did not come back"
    roles = [(said["role"], said["content"]) for said in client.heard]
    assert roles[-1] == ("user", "Hi") and roles[0][0] == "system", f"the client got {roles}"


def tools(turn: Turn) -> None:
    call = {"function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    client = Scripted(SimpleNamespace(content=None, tool_calls=[call]), "It is sunny.")
    assert _run(turn(client, [weather], [])) == "It is sunny.", "the second reply did not come back"
    assert client.heard[-1]["content"] == "sunny in Paris", f"the client got {client.heard[-1]}"


def stream(turn: Turn) -> None:
    pieces: list[str] = []
    said = _run(turn(Scripted("one two three"), [], pieces))
    assert pieces == ["one", " two", " three"] and said == "one two three", f"the pieces were {pieces}"


def _run(turn: Awaitable[str]) -> str:
    """Run a turn without what the framework prints meanwhile."""

    async def limited() -> str:
        return await asyncio.wait_for(turn, LIMIT)

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return asyncio.run(limited())


def main() -> int:
    """Print the table; return 1 if anything that is installed fails."""
    logging.disable(logging.CRITICAL)
    owners = importlib.metadata.packages_distributions()
    failures = []
    print(f"{'framework':27}{'installed':31}{'text':6}{'tools':7}stream")
    for name, module, how, turn in FRAMEWORKS:
        if importlib.util.find_spec(module) is None:
            print(f"{name:27}not installed: {how}")
            continue
        package = sorted(owners.get(module, [module]))[0]
        results = []
        for scenario in (text, tools, stream):
            if scenario is stream and turn is classic:
                results.append("-")
                continue
            try:
                scenario(turn)
                results.append("pass")
            except Exception as error:
                results.append("FAIL")
                failures.append(f"{name}, {scenario.__name__}: {type(error).__name__}: {error}")
        installed = f"{package} {importlib.metadata.version(package)}"
        print(f"{name:27}{installed:31}{results[0]:6}{results[1]:7}{results[2]}")
    print(*failures, sep="\n", end="\n" if failures else "")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
