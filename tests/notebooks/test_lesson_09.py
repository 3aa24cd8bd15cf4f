"""Lesson 09: its checks accept every right answer, and name each misconception."""

import asyncio
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ag2
import agent_framework
import autogen
import nbformat
import pytest
from autogen_agentchat import agents as microsoft

from kit.adapters import (
    ModelClientForAG2,
    ModelClientForAgentFramework,
    ModelClientForAutoGen,
    registrable,
)

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = PROJECT / "notebooks"


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("autogen_core").setLevel(logging.WARNING)


RIGHT = {"A": 4, "B": 1, "C": 3, "D": 2, "E": 3}

ADAPTER = """
class MyAdapter(agent_framework.BaseChatClient):
    def __init__(self, client):
        super().__init__()
        self.client = client

    def _inner_get_response(self, *, messages, stream, options, **kwargs):
        return self.answer(messages, options)

    async def answer(self, messages, options):
        history = [{"role": "system", "content": options["instructions"]}]
        for message in messages:
            history.append({"role": message.role, "content": BLANK_1})
        response = await asyncio.to_thread(BLANK_2, {"messages": history})
        text = BLANK_3
        return agent_framework.ChatResponse(messages=agent_framework.Message("assistant", [text]))
"""
BLANKS = ("message.text", "self.client.create", "self.client.message_retrieval(response)[0]")


class Other:
    """Another client than the one of the check, as a learner's notebook has it."""

    def __init__(self, config):
        self.create = dict


def adapter(one=BLANKS[0], two=BLANKS[1], three=BLANKS[2], source=ADAPTER):
    source = source.replace("BLANK_1", one).replace("BLANK_2", two).replace("BLANK_3", three)
    names = {"agent_framework": agent_framework, "asyncio": asyncio, "Other": Other}
    exec(source, names)
    return names["MyAdapter"]


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


SYSTEM = "You know the weather."


def by_agent_framework(
    system=SYSTEM,
    tools=(weather,),
    read=lambda response: response.text,
    ask=None,
    adapter=ModelClientForAgentFramework,
):
    async def forecast(client, question):
        agent = agent_framework.Agent(adapter(client), instructions=system, tools=list(tools))
        return read(await agent.run(ask or question))

    return forecast


def by_microsoft(**kwargs):
    async def forecast(client, question):
        model = ModelClientForAutoGen(client)
        agent = microsoft.AssistantAgent("a", model, system_message=SYSTEM, tools=[weather], **kwargs)
        return (await agent.run(task=question)).messages[-1].content

    return forecast


def by_ag2(tools=(weather,)):
    async def forecast(client, question):
        agent = ag2.Agent("a", SYSTEM, config=ModelClientForAG2(client), tools=tools)
        return (await agent.ask(question)).body

    return forecast


def ending_in(ending):
    """The same, with a way of its own to get the text from `agent` and `question`."""
    source = f"""
async def forecast(client, question):
    agent = Agent(Adapter(client), instructions={SYSTEM!r}, tools=[weather])
    return {ending}
"""
    names = {"Agent": agent_framework.Agent, "Adapter": ModelClientForAgentFramework}
    names |= {"weather": weather, "asyncio": asyncio}
    exec(source, names)
    return names["forecast"]


async def unstarted(client, question):
    return ...


async def no_question(client):
    return "It is warm in Oslo."


async def without_the_client(client, question):
    return "It is warm in Oslo."


async def swapped(question, client):
    return await by_ag2()(client, question)


async def generator(client, question):
    yield await by_ag2()(client, question)


async def by_classic(client, question):
    entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
    agent = autogen.AssistantAgent("a", llm_config=autogen.LLMConfig(entry), system_message=SYSTEM)
    user = autogen.UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    autogen.register_function(weather, caller=agent, executor=user, description="Tell the weather.")
    agent.register_model_client(registrable(client))
    return user.initiate_chat(agent, message=question, max_turns=2, silent=True).chat_history[-1]["content"]


ANSWERS = [
    ("9a", RIGHT, "right"),
    ("9a", {letter: str(number) for letter, number in RIGHT.items()}, "right"),
    (
        "9a",
        {"A": "Agent Framework", "B": "Classic", "C": "ag2", "D": "Microsoft AutoGen", "E": "AG2"},
        "right",
    ),
    ("9a", [4, 1, 3, 2, 3], "right"),
    ("9a", "41323", "right"),
    ("9a", {letter.lower(): float(number) for letter, number in RIGHT.items()}, "right"),
    ("9a", dict.fromkeys(RIGHT, ...), "not started"),
    ("9a", {}, "not started"),
    ("9a", {"A": 4}, "right so far. Still to go: B, C, D, E."),
    ("9a", {**RIGHT, "A": 3}, "A is not AG2: here the model is the first argument"),
    ("9a", {**RIGHT, "B": 2}, "B is not Microsoft AutoGen: `llm_config` takes a config list"),
    ("9a", {**RIGHT, "C": 4}, "C is not Agent Framework: the model is called `config`"),
    ("9a", {**RIGHT, "D": 1}, "D is not classic: the model is called `model_client`"),
    ("9a", {**RIGHT, "E": 4}, "E is not Agent Framework: only one of the four has a method `ask`"),
    ("9a", {**RIGHT, "D": "classic"}, "D is not classic: the model is called `model_client`"),
    ("9a", {**RIGHT, "E": "C"}, "E: choose a number from 1 to 4, not 'C'"),
    ("9a", {**RIGHT, "E": [3]}, "E: choose a number from 1 to 4, not [3]"),
    ("9a", {**RIGHT, "E": 34}, "E: choose a number from 1 to 4"),
    ("9a", {**RIGHT, "E": None}, "right so far. Still to go: E."),
    ("9a", {letter: number - 1 for letter, number in RIGHT.items()}, "A is not AG2"),
    ("9a", {number: letter for letter, number in RIGHT.items()}, "there is no 4."),
    ("9a", (4, 2, 3, 1, 3), "B is not Microsoft AutoGen"),
    ("9a", {4, 1, 3, 2}, "write a dict"),
    ("9a", 4, "write a dict"),
    ("9b", adapter(), "right"),
    ("9b", adapter("message.contents[0].text"), "right"),
    ("9b", adapter(two="lambda params: self.client.create(params)"), "right"),
    ("9b", adapter("f'{message.text}'", three="''.join(self.client.message_retrieval(response))"), "right"),
    ("9b", adapter(three="self.client.message_retrieval(response).pop(0)"), "right"),
    ("9b", type("Sub", (adapter(),), {}), "right"),
    ("9b", adapter(source=ADAPTER.replace("answer", "reply")), "right"),
    ("9b", adapter("...", "...", "..."), "not started"),
    ("9b", adapter(two="...", three="..."), "2 of the three blanks still to go"),
    ("9b", adapter("message"), "blank 1: a content is a text, and yours is a Message."),
    ("9b", adapter("message.contents"), "blank 1: a content is a text, and yours is a list."),
    ("9b", adapter("message.content"), "blank 1: AttributeError: 'Message' object"),
    ("9b", adapter("message['content']"), "blank 1: TypeError"),
    ("9b", adapter("message.text()"), "blank 1: the text is an attribute of the message, not a method"),
    ("9b", adapter("messages[-1].text"), "they are ['Who am I?', 'Who am I?', 'Who am I?']"),
    ("9b", adapter("print(message.text)"), "blank 1: a content is a text, and yours is None."),
    ("9b", adapter("'message.text'"), "they are ['message.text', 'message.text', 'message.text']"),
    ("9b", adapter("str(message)"), "they are ['<agent_framework._types.Message object>', "),
    ("9b", adapter("'Hi'"), "blank 1: after the system message, the contents should be ['Good morning', "),
    ("9b", adapter(two="self.client.create()"), "blank 2: hand over the method itself"),
    ("9b", adapter(two="self.client.create({'messages': history})"), "blank 2: hand over the method itself"),
    ("9b", adapter(two="self.client.create(history)"), "blank 2: hand over the method itself"),
    ("9b", adapter(two="'self.client.create'"), "blank 2: TypeError: 'str' object is not callable."),
    ("9b", adapter(two="client.create"), "blank 2: NameError: name 'client' is not defined."),
    ("9b", adapter(two="self.client"), "'Shouter' object is not callable. It should be a"),
    ("9b", adapter(two="self.client.message_retrieval"), "blank 2: AttributeError"),
    ("9b", adapter(two="len"), "blank 2: your client was not asked"),
    ("9b", adapter(two="Other({}).create"), "blank 2: your client was not asked"),
    ("9b", adapter(three="response"), "blank 3: that is the response itself."),
    ("9b", adapter(three="self.client.message_retrieval(response)"), "Take the first: [0]"),
    ("9b", adapter(three="self.client.message_retrieval(response)[0][0]"), "blank 3: that is the first"),
    ("9b", adapter(three="response.choices[0].message.content"), "blank 3: only the client knows what"),
    ("9b", adapter(three="response[:3]"), "blank 3: you took the text out of the response yourself"),
    ("9b", adapter(three="str(self.client.message_retrieval(response))"), "blank 3: that is a whole list"),
    ("9b", adapter(three="print(self.client.message_retrieval(response)[0])"), "blank 3: there is no text"),
    ("9b", adapter(three="self.client.message_retrieval[0]"), "blank 3: TypeError"),
    ("9b", adapter(three="self.client.message_retrieval"), "should be a text, and yours is a method"),
    ("9b", adapter(three="'Hello'"), "it says 'Hello'"),
    ("9b", adapter(source=ADAPTER.replace("await ", "")), "the line of blank 2 needs its `await`"),
    ("9b", adapter()(None), "hand over the class itself"),
    ("9b", "MyAdapter", "hand over the class itself"),
    ("9b", str, "should be a BaseChatClient"),
    ("9b", ModelClientForAgentFramework, "'Shouter' object has no attribute 'cost'"),
    ("9c", by_agent_framework(), "right"),
    ("9c", by_ag2(), "right"),
    ("9c", by_microsoft(max_tool_iterations=2), "right"),
    ("9c", by_microsoft(reflect_on_tool_use=True), "right"),
    ("9c", by_ag2(tools=[ag2.tool(weather)]), "right"),
    ("9c", ending_in("(await agent.run(question)).text"), "right"),
    ("9c", by_agent_framework(system="you know the weather".capitalize()), "right"),
    ("9c", lambda client, question: by_ag2()(client, question), "right"),
    ("9c", ending_in("await agent.run(question).text"), "Await first, in brackets"),
    ("9c", ending_in("agent.run(question).text"), "an `await` is missing or comes too late"),
    ("9c", ending_in("agent.run(question)"), "has still to be awaited"),
    ("9c", ending_in("asyncio.run(agent.run(question)).text"), "Here, `await` the call"),
    ("9c", ending_in("[(await agent.run(question)).text for _ in 'ab'][1]"), "yours was asked more often"),
    ("9c", ending_in("(await agent.run(question)).body"), "where the text is: see the first cell of your"),
    ("9c", ending_in("[(await agent.run(question)).text]"), "an object of the class list"),
    ("9c", ending_in("(await agent.run(question)).text.upper()"), "yours is 'IT IS WARM IN OSLO.'"),
    ("9c", ending_in("(await assistant.run(question)).text"), "NameError: name 'assistant' is not defined"),
    ("9c", by_agent_framework(adapter=ModelClientForAG2), "the adapter is for another framework"),
    (
        "9c",
        by_agent_framework(adapter=lambda client: ModelClientForAgentFramework(type(client))),
        "not its class",
    ),
    ("9c", by_agent_framework(tools=[...]), "there are still dots in it"),
    ("9c", by_classic, "that is classic still"),
    ("9c", swapped, "the client comes first"),
    ("9c", generator, "`yield` makes something else"),
    ("9c", by_agent_framework(adapter=lambda client: client), "the agent got your client itself"),
    ("9c", no_question, "your function takes two arguments"),
    ("9c", unstarted, "not started"),
    ("9c", by_microsoft(), "raise max_tool_iterations"),
    ("9c", by_agent_framework(system="Be brief."), "the system message should be 'You know the weather.'"),
    ("9c", by_agent_framework(system=None), "the system message should be"),
    ("9c", by_agent_framework(tools=()), "shown the tool weather, it was shown none"),
    ("9c", by_agent_framework(ask="Hi"), "it was asked 'Hi'"),
    ("9c", by_agent_framework(read=lambda response: response), "an object of the class AgentResponse"),
    ("9c", by_agent_framework(read=lambda response: None), "your function returns nothing"),
    ("9c", by_agent_framework(read=lambda response: "warm"), "yours is 'warm'"),
    ("9c", without_the_client, "the client was not asked"),
    ("9c", lambda client, question: "It is warm.", "begins with `async def`"),
    ("9c", "warm", "hand over your function"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


def test_9c_wants_the_function_and_not_its_call(check_says):
    check_says("9c", unstarted(None, ""), "without brackets behind it")


def test_the_checks_work_where_a_loop_is_running_as_in_a_notebook(check_says):
    async def cell():
        check_says("9b", adapter(), "right")
        check_says("9c", by_ag2(), "right")

    asyncio.run(cell())


# The programs that the lesson shows, and does not run


def listing(beginning):
    cells = nbformat.read(NOTEBOOKS / "09_every_autogen.ipynb", as_version=4).cells
    listings = re.findall(r"```python\n(.*?)```", "\n".join(cell.source for cell in cells), re.S)
    (found,) = [text for text in listings if text.startswith(beginning)]
    return found


def test_the_program_for_classic_answers_after_the_tool():
    from kit import DummyModelClient, tool_call

    client = DummyModelClient({"model": "dummy"}, replies=[tool_call("weather", city="Oslo"), "It is warm."])
    names = {"registrable": registrable, "weather": weather, "client": client, "question": "Weather in Oslo?"}
    for name in ("AssistantAgent", "LLMConfig", "UserProxyAgent", "register_function"):
        names[name] = getattr(autogen, name)
    exec(listing("entry = "), names)
    assert names["result"].chat_history[-1]["content"] == "It is warm."
    assert client.calls[1]["messages"][-1]["content"] == "sunny in Oslo"


def test_the_program_for_a_project_of_ones_own_runs_beside_the_copied_folder(tmp_path):
    shutil.copytree(PROJECT / "kit" / "adapters", tmp_path / "adapters")
    shutil.copy(PROJECT / "kit" / "clients" / "dummy.py", tmp_path)
    (tmp_path / "program.py").write_text(listing("import asyncio"))
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "This is a dummy reply.\n", done.stderr
