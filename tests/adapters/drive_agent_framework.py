"""Microsoft Agent Framework: how the scenarios use its agents, and workflows of several of them."""

import asyncio

from agent_framework import Agent, WorkflowBuilder

from kit.adapters import ModelClientForAgentFramework

NAME = "Agent Framework"
PACKAGES = ["agent-framework-core"]
LACKS = {}


def assistant(client, name="assistant", system="Be brief.", **kwargs):
    return Agent(ModelClientForAgentFramework(client), name=name, instructions=system, **kwargs)


async def turn(
    client, question="Hi", system="Be brief.", tools=(), stream=False, schema=None, options=None, pieces=None
):
    pieces, order = [] if pieces is None else pieces, []
    agent = assistant(client, system=system, tools=list(tools))
    options = {**(options or {}), **({"response_format": schema} if schema else {})}
    if stream:
        running = agent.run(question, stream=True, options=options)
        async for update in running:
            order += [content.text for content in update.contents if content.text]
            if update.text:
                pieces.append(update.text)
        response = await running.get_final_response()
    else:
        response = await agent.run(question, options=options)
    used = response.usage_details or {}
    contents = [content for message in response.messages for content in message.contents]
    return {
        "text": response.text,
        "usage": (used.get("input_token_count", 0), used.get("output_token_count", 0)),
        "finish": response.finish_reason,
        "pieces": pieces,
        "value": response.value if schema else None,
        "thoughts": [content.text for content in contents if content.type == "text_reasoning"],
        "order": order,
        "raw": response.raw_representation,
    }


async def talk(client, questions):
    agent = assistant(client)
    session = agent.create_session()
    return [(await agent.run(question, session=session)).text for question in questions]


async def team(clients, opening):
    agents = [assistant(client, name) for name, client in clients.items()]
    workflow = WorkflowBuilder(start_executor=agents[0], output_from="all").add_chain(agents).build()
    responses = (await workflow.run(opening)).get_outputs()
    return [(said.author_name, said.text) for response in responses for said in response.messages]


def cancellable(client, stream):
    task = asyncio.ensure_future(turn(client, stream=stream))
    return task, task.cancel
