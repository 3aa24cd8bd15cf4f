"""A chat with a client that lies beside this program, and nothing else of the kit.

The tests copy it into a folder with one client and run it there, under AutoGen 0.14.1 and 0.2.40:

    python chat_alone.py dummy
    python chat_alone.py huggingface FOLDER_OF_A_MODEL
    python chat_alone.py huggingface_fast FOLDER_OF_A_MODEL
    python chat_alone.py recording record
    python chat_alone.py recording replay

The last line it prints is JSON: what was said, and what AutoGen counted.
"""

import importlib
import importlib.util
import json
import sys
from types import SimpleNamespace

import autogen

assert importlib.util.find_spec("kit") is None, "the kit can be imported here: the test would prove nothing"


class Capitals:
    """A client as lesson 01 writes it, to be recorded."""

    def __init__(self, config):
        self.model = config["model"]

    def create(self, params):
        question = params["messages"][-1]["content"]
        message = SimpleNamespace(content="Paris." if "France" in question else "Rome.")
        return SimpleNamespace(choices=[SimpleNamespace(message=message)], model=self.model)

    def message_retrieval(self, response):
        return [choice.message.content for choice in response.choices]

    def cost(self, response):
        return 0.5

    @staticmethod
    def get_usage(response):
        used = {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}
        return {**used, "cost": response.cost, "model": response.model}


if sys.argv[1] == "dummy":
    from dummy import DummyModelClient as Client

    entry = {"model": "dummy", "n": 2, "price": [1, 10]}
    options = {"replies": ["Paris.", ["Rome.", "or Roma"]]}
elif sys.argv[1] == "recording":
    from recording import RecordingModelClient as Client

    entry = {"model": "capitals", "api_key": "sk-never-in-the-file"}
    options = {"path": "talk.jsonl", "client": {"record": Capitals, "replay": None}[sys.argv[2]]}
else:
    Client = importlib.import_module(sys.argv[1]).HuggingFaceModelClient
    entry = {"model": sys.argv[2], "device": "cpu", "params": {"max_length": 16}, "temperature": 0}
    options = {}


class Noting(Client):
    """The client, noting that AutoGen asks it for the text."""

    retrieved = 0

    def message_retrieval(self, response):
        Noting.retrieved += 1
        return super().message_retrieval(response)


assistant = autogen.AssistantAgent(
    "assistant",
    system_message="You are a helpful assistant.",
    llm_config={"config_list": [{**entry, "model_client_cls": "Noting"}], "cache_seed": None},
)
assistant.register_model_client(Noting, **options)
user = autogen.UserProxyAgent(
    "user",
    human_input_mode="NEVER",
    code_execution_config=False,
    default_auto_reply="What is the capital of Italy?",
)
chat = user.initiate_chat(assistant, message="What is the capital of France?", max_turns=2)
report = {
    "autogen": autogen.__version__,
    "history": [message["content"] for message in chat.chat_history],
    "retrieved": Noting.retrieved,
    "usage": assistant.get_total_usage(),
}
print(json.dumps(report))
