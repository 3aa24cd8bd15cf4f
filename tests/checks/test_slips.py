"""Slips of the pen: whole programs that work, each changed in one place, and what the slip is put down to.

What the fix says is the program as it was, in which nothing is found.
"""

import linecache
import sys
from pathlib import Path

import pytest
from server import URL
from set_ups import codes

from kit import diagnose

pytestmark = pytest.mark.usefixtures("folder")

# A client of one's own that asks a server, from the config list to the bill.
OWN = f'''
import json, os
from types import SimpleNamespace
import autogen, requests

entry = {{"model": "good", "model_client_cls": "Mine", "url": "{URL}/v1/chat/completions", "key": "right"}}
with open("OAI_CONFIG_LIST", "w") as file:
    json.dump([entry], file)


class Mine:
    def __init__(self, config, **kwargs):
        self.model = config["model"]
        self.url, self.key = config["url"], config["key"]

    def create(self, params):
        body = {{"model": self.model, "messages": params["messages"]}}
        headers = {{"Authorization": "Bearer " + self.key}}
        answer = requests.post(self.url, json=body, headers=headers, timeout=5)
        answer.raise_for_status()
        data = answer.json()
        text = data["choices"][0]["message"]["content"]
        choice = SimpleNamespace(message=SimpleNamespace(content=text, tool_calls=None))
        choices = [choice] * params.get("n", 1)
        return SimpleNamespace(choices=choices, model=self.model, usage=data["usage"], id="1")

    def message_retrieval(self, response):
        return [choice.message.content.strip() for choice in response.choices]

    def cost(self, response):
        return 0.001 * response.usage["total_tokens"]

    @staticmethod
    def get_usage(response):
        return {{**response.usage, "cost": response.cost, "model": response.model}}


llm_config = autogen.LLMConfig.from_json(path="OAI_CONFIG_LIST")
helper = autogen.AssistantAgent("helper", llm_config=llm_config)
user = autogen.UserProxyAgent("user", code_execution_config=False, human_input_mode="NEVER")
helper.register_model_client(model_client_cls=Mine)
result = user.initiate_chat(helper, message="Hello", max_turns=1)
result.chat_history[-1]["content"], helper.client.total_usage_summary["total_cost"]
'''
# A group with a tool; its replies were written beforehand.
TEAM = """
import autogen
from kit import DummyModelClient, tool_call

entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
llm_config = {"config_list": [entry], "cache_seed": None}
user = autogen.UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
helper = autogen.AssistantAgent("helper", llm_config=llm_config, max_consecutive_auto_reply=5)


@user.register_for_execution()
@helper.register_for_llm(description="Add two numbers")
def add(a: int, b: int) -> int:
    return a + b


replies = [tool_call("add", a=1, b=2), "The sum is 3. TERMINATE", "Is there more?"]
helper.register_model_client(DummyModelClient, replies=replies)
members = {"agents": [user, helper], "messages": []}
group = autogen.GroupChat(**members, max_round=6, speaker_selection_method="round_robin")
ends = {"is_termination_msg": lambda message: "TERMINATE" in (message["content"] or "")}
manager = autogen.GroupChatManager(groupchat=group, **ends)
user.initiate_chat(manager, message="Add 1 and 2.")
"""
SLIPS = {
    "a class that was not registered": (
        OWN,
        "helper.register_model_client(model_client_cls=Mine)",
        "",
        "not-registered",
    ),
    "registered under a misspelt name": (OWN, "helper.register_model", "helper.register_mdel", "misspelt"),
    "a misspelt class of AutoGen": (OWN, "autogen.AssistantAgent", "autogen.AssistatAgent", "misspelt"),
    "a misspelt function of a class": (OWN, "from_json", "fromjson", "misspelt"),
    "a list read by the class itself": (OWN, "LLMConfig.from_json", "LLMConfig", "llm-config-entries"),
    "an import that is missing": (OWN, "from types import SimpleNamespace", "", "undefined-name"),
    "a variable that was not made yet": (OWN, "llm_config = autogen", "config = autogen", "undefined-name"),
    "a misspelt variable": (OWN, "llm_config=llm_config", "llm_config=lm_config", "misspelt"),
    "a misspelt name to import": (
        OWN,
        "import autogen, requests",
        "import autogen, requests\nfrom transformers import AutoModelForCasualLM",
        "misspelt",
    ),
    "a file of another name": (OWN, 'path="OAI_CONFIG_LIST"', 'path="OAI_CONFIG"', "config-list"),
    "no model": (OWN, 'entry = {"model": "good", ', "entry = {", "config-list"),
    "no class in the entry": (OWN, '"model_client_cls": "Mine", ', "", "no-entry-for-class"),
    "a misspelt field for the class": (OWN, '"model_client_cls"', '"model_clent_cls"', "misnamed-class"),
    "another class in the entry": (OWN, '"Mine", ', '"Miner", ', "name-differs"),
    "a field of the class's own that is not there": (OWN, ', "key": "right"', "", "entry-lacks"),
    "a field of the class's own, misspelt": (OWN, '"key": "right"', '"ky": "right"', "misspelt"),
    "a variable that is not set": (OWN, 'config["model"]', 'os.environ["NO_SUCH_MODEL"]', "unset-variable"),
    "no constructor": (OWN, "def __init__", "def init", "constructor"),
    "a constructor without self": (OWN, "__init__(self, config,", "__init__(config,", "constructor"),
    "a static constructor": (OWN, "    def __init__", "    @staticmethod\n    def __init__", "constructor"),
    "an async constructor": (OWN, "    def __init__", "    async def __init__", "coroutine"),
    "an attribute that is not set": (OWN, '        self.model = config["model"]\n', "", "attribute-unset"),
    "an attribute that is misspelt": (OWN, "self.model = ", "self.modell = ", "misspelt"),
    "a method that is not there": (OWN, "def cost", "def price", "missing-method"),
    "a method that is misspelt": (OWN, "def cost", "def cots", "missing-method"),
    "create without params": (OWN, "create(self, params)", "create(self)", "signature"),
    "message_retrieval without self": (OWN, "message_retrieval(self, ", "message_retrieval(", "signature"),
    "cost without response": (OWN, "cost(self, response)", "cost(self)", "signature"),
    "get_usage that is not static": (OWN, "    @staticmethod\n", "", "get-usage-not-static"),
    "an async create": (OWN, "    def create", "    async def create", "coroutine"),
    "what params has not": (OWN, 'params.get("n", 1)', 'params["n"]', "params-lacks"),
    "what params has, misspelt": (OWN, 'params["messages"]', 'params["message"]', "misspelt"),
    "a method that was not called": (OWN, "answer.json()", "answer.json", "not-called"),
    "a class in place of an agent": (
        OWN,
        'autogen.AssistantAgent("helper", llm_config=llm_config)',
        "autogen.AssistantAgent",
        "on-the-class",
    ),
    "a class in place of a message": (
        OWN,
        "choices = [choice]",
        "SimpleNamespace.text = text\n        choices = [choice]",
        "on-the-class",
    ),
    "a method of an agent, asked of AutoGen": (
        OWN,
        "helper.register_model_client(",
        "autogen.register_model_client(helper, ",
        "on-the-module",
    ),
    "a variable that is set in an if alone": (
        OWN,
        "text = data",
        "if self.model == 'other': text = data",
        "unbound-local",
    ),
    "one choice in place of a list": (OWN, "choices=choices", "choices=choice", "no-choices"),
    "an async cost": (OWN, "def cost", "async def cost", "coroutine"),
    "an object of openai that lacks something": (
        OWN,
        "return SimpleNamespace(choices",
        "from openai.types.chat import ChatCompletion\n        return ChatCompletion(choices",
        "completion-lacks",
    ),
    "a module called like a class": (OWN, "autogen.AssistantAgent", "autogen", "module-called"),
    "a module called in the client": (OWN, "requests.post(", "requests(", "module-called"),
    "an agent called like a method": (OWN, "helper.register_model_client", "helper", "not-callable"),
    "a key read with round brackets": (OWN, 'params["messages"]', 'params("messages")', "not-callable"),
    "an answer that was not read": (OWN, "data = answer.json()", "data = answer", "object-not-dict"),
    "a misspelt key in the answer": (OWN, '["content"]', '["conent"]', "misspelt"),
    "a misspelt argument": (OWN, "headers=headers", "header=headers", "unexpected-argument"),
    "no key sent": (OWN, "headers=headers, ", "", "key-not-sent"),
    "a choice without a message": (OWN, "message=SimpleNamespace", "text=SimpleNamespace", "choice-lacks"),
    "a message without a content": (OWN, "content=text, ", "text=text, ", "choice-lacks"),
    "a response without choices": (OWN, "choices=choices", "choice=choices", "misspelt"),
    "a response without a model": (OWN, "model=self.model, usage", "usage", "response-lacks"),
    "nothing returned": (
        OWN,
        "return SimpleNamespace(choices",
        "SimpleNamespace(choices",
        "create-returns-none",
    ),
    "the choices themselves": (
        OWN,
        "        return [choice.message.content.strip()",
        "        [choice",
        "retrieval-no-list",
    ),
    "a price in quotes": (OWN, "0.001 *", '"1" *', "cost-no-number"),
    "a usage that is a text": (
        OWN,
        'return {**response.usage, "cost"',
        'return str(response.usage) or {"cost"',
        "usage-keys",
    ),
    "a usage without the cost": (OWN, '"cost": response.cost, ', "", "no-usage"),
    "a usage without the model, asked for otherwise": (
        OWN.replace("client.total_usage_summary", "get_actual_usage()"),
        ', "model": response.model',
        "",
        "no-usage",
    ),
    "a usage that holds a dict": (
        OWN,
        "{**response.usage,",
        '{**response.usage, "total_tokens": {},',
        "usage-keys",
    ),
    "no message to begin with": (OWN, 'message="Hello", ', "", "no-message"),
    "a message under a misspelt name": (OWN, 'message="Hello"', 'mesage="Hello"', "no-message"),
    "an agent without its name": (OWN, '"helper", llm', "llm", "called-without"),
    "a mode that there is not": (OWN, '"NEVER"', '"NEVERS"', "human-input-mode"),
    "a misspelt field of the result": (OWN, "chat_history", "chathistory", "misspelt"),
    "an index too much": (OWN, 'chat_history[-1]["content"]', 'chat_history["content"]', "list-not-dict"),
    "a misspelt config_list": (TEAM, '"config_list"', '"confi_list"', "llm-config-field"),
    "an empty list": (TEAM, "[entry]", "[]", "config-list"),
    "no list at all": (TEAM, '"config_list": [entry], ', "", "no-list"),
    "a misspelt field of llm_config": (TEAM, "cache_seed", "cacheseed", "llm-config-field"),
    "a number in quotes": (
        TEAM,
        "max_consecutive_auto_reply=5",
        'max_consecutive_auto_reply="5"',
        "quoted-number",
    ),
    "rounds in quotes": (TEAM, "max_round=6", 'max_round="6"', "quoted-number"),
    "a tool that nobody runs": (TEAM, "@user.register_for_execution()\n", "", "no-executor"),
    "a tool that gives nothing back": (TEAM, "return a + b", "a + b", "tool-gave-nothing"),
    "a tool that lacks an argument": (TEAM, "add(a: int, b: int)", "add(a: int)", "tool-failed"),
    "no check for the end": (
        TEAM,
        ", **ends",
        "",
        "termination-unseen",
    ),
    "a check for another word": (TEAM, '"TERMINATE" in', '"TERMINATED" in', "termination-unseen"),
    "a check for the end that is a text": (
        TEAM,
        'lambda message: "TERMINATE" in (message["content"] or "")',
        '"TERMINATE"',
        "no-check",
    ),
    "a check for the end that fails": (TEAM, 'message["content"]', 'message("content")', "not-callable"),
    "a method of selection that there is not": (TEAM, "round_robin", "round_robbin", "selection-method"),
}


def ran(program):
    """Run a program from a file, as a learner does; return its report."""
    file = Path("learner.py")
    file.write_text(program, encoding="utf-8")
    linecache.checkcache()
    names, error = {"__name__": "learner"}, None
    try:
        exec(compile(program, str(file.resolve()), "exec"), names)
    except Exception as raised:
        error = raised
    agents = [value for name, value in names.items() if name in ("manager", "user", "helper")]
    classes = [names["Mine"]] if "Mine" in names else []
    return diagnose(agents or names.get("llm_config"), *classes, error=error)


@pytest.mark.parametrize("program", [OWN, TEAM], ids=["own", "team"])
def test_the_programs_work(program):
    assert codes(ran(program)) == []


@pytest.mark.parametrize(("program", "old", "new", "code"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_put_down_to_what_it_is(program, old, new, code, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert program.count(old) >= 1
    report = ran(program.replace(old, new, 1))
    assert codes(report)[0] == code, str(report)
