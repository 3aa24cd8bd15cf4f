"""A teaching kit for bringing your own model to AutoGen.

`import kit` loads neither torch, transformers nor autogen: each name below brings what it needs when
it is first used.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "DummyModelClient": "kit.clients.dummy",
    "tool_call": "kit.clients.dummy",
    "HuggingFaceModelClient": "kit.clients.huggingface_fast",
    "RecordingModelClient": "kit.clients.recording",
    "ChatPanel": "kit.widgets.chat",
    "ConfigListBuilder": "kit.widgets.builder",
    "ConfigListError": "kit.config_list.lists",
    "Finding": "kit.checks.report",
    "Report": "kit.checks.report",
    "diagnose": "kit.checks.diagnose",
    "TemplatePicker": "kit.widgets.templates",
    "check_model_client": "kit.checks.check_client",
    "load_config_list": "kit.config_list.lists",
    "save_config_list": "kit.config_list.lists",
    "lesson_model": "kit.lessons",
    "local_model": "kit.models",
    "register_model_clients": "kit.agents.register",
    "watch": "kit.widgets.watch",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kit' has no attribute {name!r}; it has {', '.join(sorted(_HOME))}")
    try:
        module = import_module(_HOME[name])
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers", "safetensors"):
            raise
        from kit.models import NoModelHere

        raise NoModelHere() from None
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":  # in quotes for the Pythons that __main__ refuses in words
    return __all__


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext kit` gives a notebook the magic `%diagnose`."""
    from kit.checks.diagnose import load_magic

    load_magic(shell)
