"""OpenAI-compatible server.

An agent whose model a server offers over OpenAI's API: Ollama, vLLM, LM Studio,
llama.cpp, transformers serve, or a provider. AutoGen's own client talks to it, so there
is no class to write, and nothing to register.

Install: pip install "autogen[openai]==0.14.1"
"""

import os

from autogen import AssistantAgent, LLMConfig

# Set these variables where you start the program. So a key never gets into the file.
ADDRESS = os.environ.get("OPENAI_BASE_URL", "http://localhost:11434/v1")  # Ollama's
KEY = os.environ.get("OPENAI_API_KEY", "not-needed")  # your own server needs none
MODEL = os.environ.get("OPENAI_MODEL", "llama3.2")  # as the server calls it

entry = {
    "model": MODEL,
    "base_url": ADDRESS,
    "api_key": KEY,
    "price": [0, 0],  # of 1,000 tokens, prompt and reply: AutoGen knows OpenAI's prices only
}
assistant = AssistantAgent(
    "assistant", llm_config=LLMConfig(entry), system_message="You are a helpful assistant."
)
question = {"role": "user", "content": "What is the capital of France?"}
print(assistant.generate_reply(messages=[question]))
