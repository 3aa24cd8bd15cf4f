"""What students paste to reach the class's server: an entry, and lines for other frameworks."""

from __future__ import annotations

from typing import Any

# What AutoGen 0.4 to 0.7 wants to know of a model that it does not know by its name.
MODEL_INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "family": "unknown",
    "structured_output": True,
}
LINES = """  AutoGen 0.4 to 0.7 (pip install "autogen-ext[openai]"):
    from autogen_ext.models.openai import OpenAIChatCompletionClient
    OpenAIChatCompletionClient(model="{model}", base_url="{base_url}", api_key="{api_key}",
        max_tokens={max_tokens}, model_info={model_info})
  Microsoft Agent Framework (pip install agent-framework-openai):
    from agent_framework.openai import OpenAIChatCompletionClient
    OpenAIChatCompletionClient(model="{model}", base_url="{base_url}", api_key="{api_key}")
  AG2 1.x (pip install "ag2[openai]"):
    from ag2.config import OpenAIConfig
    OpenAIConfig(model="{model}", base_url="{base_url}", api_key="{api_key}", max_tokens={max_tokens})
  The openai package:
    openai.OpenAI(base_url="{base_url}", api_key="{api_key}")"""


def entry(model: str, base_url: str, key: str, max_tokens: int) -> dict[str, Any]:
    """Return the entry that students put into their config list."""
    return {
        "model": model,
        "base_url": base_url,
        "api_key": key,
        "price": [0, 0],  # or AutoGen warns that it does not know the model's
        "max_tokens": min(128, max_tokens),
    }


def lines(entry: dict[str, Any]) -> str:
    """Return the lines with which other frameworks reach the server of an entry."""
    return LINES.format(**entry, model_info=MODEL_INFO)
