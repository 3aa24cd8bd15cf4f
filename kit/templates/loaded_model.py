"""Hugging Face model that you load.

You load the model and its tokenizer and hand both over. Take this where the entry can't
say it all: an adapter, another quantization, a chat template of your own, or a model
that your program uses besides.

Files: huggingface.py
Install: pip install "autogen[openai]==0.14.1" transformers==5.23.0 torch==2.13.0
"""

from autogen import AssistantAgent, LLMConfig
from huggingface import HuggingFaceModelClient
from transformers import AutoModelForCausalLM, AutoTokenizer

MODEL = "HuggingFaceTB/SmolLM2-1.7B-Instruct"  # a name on the hub; the path of a folder works, too

tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModelForCausalLM.from_pretrained(MODEL, dtype="auto")  # add .to("cuda") for a GPU
# The place for what you change in them: an adapter, tokenizer.chat_template = ...

# The name is for AutoGen's bill; nothing is loaded by it.
entry = {"model": "my-model", "model_client_cls": "HuggingFaceModelClient", "max_tokens": 200}


def make_agent(name, system_message):
    """Return an agent of this model; all of them share the one copy of its weights."""
    agent = AssistantAgent(name, llm_config=LLMConfig(entry), system_message=system_message)
    agent.register_model_client(HuggingFaceModelClient, loaded_model=model, tokenizer=tokenizer)
    return agent


question = {"role": "user", "content": "What is the capital of France?"}
for agent in (
    make_agent("assistant", "You are a helpful assistant."),
    make_agent("teacher", "You explain things to children."),
):
    print(f"{agent.name}: {agent.generate_reply(messages=[question])}")
