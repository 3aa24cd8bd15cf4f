"""Hugging Face model by its name.

An agent that a local chat model answers. The client loads the model that the entry
names, from a folder or from the hub, and agents that name the same one share it.

Files: huggingface.py
Install: pip install "autogen[openai]==0.14.1" transformers==5.23.0 torch==2.13.0
"""

from autogen import AssistantAgent, LLMConfig, UserProxyAgent
from huggingface import HuggingFaceModelClient

MODEL = "HuggingFaceTB/SmolLM2-1.7B-Instruct"  # a name on the hub; the path of a folder works, too

entry = {
    "model": MODEL,
    "model_client_cls": "HuggingFaceModelClient",
    "max_tokens": 200,  # of each reply
    "temperature": 0,  # always the most likely word; 0.7, say, for variety
}
assistant = AssistantAgent(
    "assistant", llm_config=LLMConfig(entry), system_message="You are a helpful assistant."
)
assistant.register_model_client(HuggingFaceModelClient)

user = UserProxyAgent(
    "user",
    human_input_mode="NEVER",
    code_execution_config=False,
    default_auto_reply="And the capital of Italy?",
)
user.initiate_chat(assistant, message="What is the capital of France?", max_turns=2)
assistant.print_usage_summary()
