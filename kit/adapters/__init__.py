"""Adapters: one model client, every AutoGen.

A client with the four methods of the blog post (`create`, `message_retrieval`, `cost`, `get_usage`) is the
model of an agent in each of these, without a change to the client:

    classic AutoGen, Microsoft's 0.2   agent.register_model_client(registrable(client))
    Microsoft AutoGen 0.7              AssistantAgent("name", model_client=ModelClientForAutoGen(client))
    AG2 1.x                            Agent("name", config=ModelClientForAG2(client))
    Microsoft Agent Framework          Agent(ModelClientForAgentFramework(client))

Copy this folder into your own project: it needs nothing else of the kit, and of the frameworks only the one
that you use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "registrable": ("for_classic", ""),
    "ModelClientForAutoGen": ("for_autogen", "autogen-core~=0.7.5"),
    "ModelClientForAG2": ("for_ag2", "ag2~=1.2"),
    "ModelClientForAgentFramework": ("for_agent_framework", "agent-framework-core~=1.23"),
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(_HOME)}")
    module, package = _HOME[name]
    try:
        return getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        raise ImportError(f'{name} needs {package}, and {error}: pip install "{package}"') from error


def __dir__() -> list[str]:
    return __all__
