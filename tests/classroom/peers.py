"""A scripted conversation of each client that people bring, with a class's server; prints what came as JSON.

    python peers.py openai|autogen|agent_framework|ag2|classic ENTRY

ENTRY is the entry that the server prints, as JSON. Each conversation asks, asks on, streams and calls a tool.
Nothing of the kit is imported: this also runs where only the framework is.
"""

import asyncio
import json
import sys

SYSTEM = "You are a helpful assistant."
JAPAN, GERMANY, SUM = "What is the capital of Japan?", "And of Germany?", "What is 2 plus 3?"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def openai(entry):
    import openai

    client = openai.OpenAI(base_url=entry["base_url"], api_key=entry["api_key"])
    history = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": JAPAN}]
    tool = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    schema["additionalProperties"] = False
    wanted = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema, "strict": True}}

    def create(**fields):
        return client.chat.completions.create(
            model=entry["model"], **{"messages": history, "max_tokens": 32, **fields}
        )

    first = create()
    further = [*history, first.choices[0].message.model_dump(exclude_none=True)]
    second = create(messages=[*further, {"role": "user", "content": GERMANY}])
    chunks = list(create(stream=True, stream_options={"include_usage": True}))
    called = create(tools=[{"type": "function", "function": tool}], tool_choice="required")
    call = called.choices[0].message.tool_calls[0]
    result = [
        *history,
        called.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "5"},
    ]
    refused = {}
    for name, fields in {"logprobs": {"logprobs": True}, "model": {"model": "gpt-4o"}}.items():
        try:
            client.chat.completions.create(**{"model": entry["model"], "messages": history, **fields})
        except openai.APIStatusError as error:
            refused[name] = (error.status_code, error.code)
    return {
        "models": [model.id for model in client.models.list()],
        "model": client.models.retrieve(entry["model"]).id,
        "text": first.choices[0].message.content,
        "second": second.choices[0].message.content,
        "usage": first.usage.total_tokens,
        "finish": first.choices[0].finish_reason,
        "answers as": first.model,
        "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
        "stream's finish": [
            one.choices[0].finish_reason for one in chunks if one.choices and one.choices[0].finish_reason
        ],
        "stream's usage": [chunk.usage.total_tokens for chunk in chunks if chunk.usage],
        "call": call.function.name,
        "after the call": create(messages=result).choices[0].finish_reason,
        "json": sorted(json.loads(create(response_format=wanted).choices[0].message.content)),
        "seeded": len({create(temperature=1, seed=5).choices[0].message.content for _ in range(2)}),
        "choices": len(create(n=2, temperature=1).choices),
        "stopped": create(stop=[" Japan"]).choices[0].message.content,
        "refused": refused,
    }


def autogen(entry):
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.messages import ToolCallExecutionEvent
    from autogen_core.models import CreateResult, UserMessage
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    async def talk():
        client = OpenAIChatCompletionClient(
            model=entry["model"],
            base_url=entry["base_url"],
            api_key=entry["api_key"],
            max_tokens=64,
            model_info=entry["model_info"],
        )
        agent = AssistantAgent("assistant", client, system_message=SYSTEM)
        first, second = [(await agent.run(task=question)).messages[-1] for question in (JAPAN, GERMANY)]
        asked = [UserMessage(content=JAPAN, source="user")]
        pieces = [piece async for piece in client.create_stream(asked, include_usage=True)]
        assert isinstance(pieces[-1], CreateResult)
        helped = AssistantAgent("helped", client, system_message=SYSTEM, tools=[add])
        ran = [m for m in (await helped.run(task=SUM)).messages if isinstance(m, ToolCallExecutionEvent)]
        await client.close()
        return {
            "text": first.content,
            "second": second.content,
            "usage": first.models_usage.prompt_tokens + first.models_usage.completion_tokens,
            "streamed": "".join(pieces[:-1]),
            "finish": pieces[-1].finish_reason,
            "stream's usage": [pieces[-1].usage.prompt_tokens + pieces[-1].usage.completion_tokens],
            "tool": [result.content for event in ran for result in event.content],
        }

    return asyncio.run(talk())


def agent_framework(entry):
    from agent_framework import Agent
    from agent_framework.openai import OpenAIChatCompletionClient

    async def talk():
        client = OpenAIChatCompletionClient(
            model=entry["model"], base_url=entry["base_url"], api_key=entry["api_key"]
        )
        agent = Agent(client, name="assistant", instructions=SYSTEM)
        session = agent.create_session()
        first, second = [await agent.run(question, session=session) for question in (JAPAN, GERMANY)]
        running = agent.run(JAPAN, stream=True)
        streamed = "".join([update.text async for update in running])
        whole = await running.get_final_response()
        helped = Agent(client, name="helped", instructions=SYSTEM, tools=[add])
        contents = [one for message in (await helped.run(SUM)).messages for one in message.contents]
        return {
            "text": first.text,
            "second": second.text,
            "usage": first.usage_details["total_token_count"],
            "finish": first.finish_reason,
            "streamed": streamed,
            "stream's usage": [whole.usage_details["total_token_count"]],
            "tool": [str(one.result) for one in contents if one.type == "function_result"],
        }

    return asyncio.run(talk())


def ag2(entry):
    from ag2 import Agent, MemoryStream
    from ag2.config import OpenAIConfig
    from ag2.events import ModelMessageChunk, ToolResultEvent
    from ag2.tools import tool

    async def talk():
        fields = {name: entry[name] for name in ("model", "base_url", "api_key", "max_tokens")}
        agent = Agent("assistant", SYSTEM, config=OpenAIConfig(**fields))
        first = await agent.ask(JAPAN)
        used = (await first.usage()).total
        second = await first.ask(GERMANY)
        pieces, results = [], []
        events = MemoryStream()
        events.where(ModelMessageChunk).subscribe(lambda event: pieces.append(event.content))
        streaming = Agent("streaming", SYSTEM, config=OpenAIConfig(**fields, streaming=True))
        reply = await streaming.ask(JAPAN, stream=events)
        events = MemoryStream()
        events.where(ToolResultEvent).subscribe(lambda event: results.append(event))
        helped = Agent("helped", SYSTEM, config=OpenAIConfig(**fields), tools=[tool(add)])
        await helped.ask(SUM, stream=events)
        streamed = (await reply.usage()).total
        return {
            "text": first.body,
            "second": second.body,
            "usage": used.total_tokens,
            "finish": first.response.finish_reason,
            "streamed": "".join(pieces),
            "stream's usage": [streamed.total_tokens],
            "tool": [str(event.result.parts[0].data) for event in results],
        }

    return asyncio.run(talk())


def classic(entry):
    import autogen

    known = {name: value for name, value in entry.items() if name not in ("model_info", "max_tokens")}

    def assistant(**fields):
        config = {"config_list": [{**known, "max_tokens": 64, **fields}], "cache_seed": None}
        return autogen.AssistantAgent("assistant", system_message=SYSTEM, llm_config=config)

    user = autogen.UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    # AutoGen 0.2 counts what was streamed with a table that it fetches from the internet.
    streams = not autogen.__version__.startswith("0.2")
    agent, streaming, helped = assistant(), assistant(stream=streams), assistant()
    ran = []

    def plus(a: int, b: int) -> str:
        ran.append(str(add(a, b)))
        return ran[-1]

    user.initiate_chat(agent, message=JAPAN, max_turns=1, silent=True)
    used = agent.client.total_usage_summary[entry["model"]]["total_tokens"]
    user.initiate_chat(agent, message=GERMANY, max_turns=1, clear_history=False, silent=True)
    user.initiate_chat(streaming, message=JAPAN, max_turns=1, silent=True)
    autogen.register_function(plus, caller=helped, executor=user, name="add", description="Add two numbers.")
    user.initiate_chat(helped, message=SUM, max_turns=2, silent=True)
    streamed = streaming.client.total_usage_summary[entry["model"]]["total_tokens"]
    return {
        "text": agent.chat_messages[user][1]["content"],
        "second": agent.chat_messages[user][3]["content"],
        "usage": used,
        "streamed": streaming.chat_messages[user][1]["content"],
        "stream's usage": [streamed],
        "tool": ran[:1],
    }


if __name__ == "__main__":
    said = globals()[sys.argv[1]](json.loads(sys.argv[2]))
    print("\n" + json.dumps(said))
