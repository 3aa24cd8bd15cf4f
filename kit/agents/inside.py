"""What AutoGen keeps inside of its agents: the one file of the kit that knows AutoGen's private names.

AutoGen has no public way to see which client stands in which place, or to replace one; what is here was
read off autogen 0.14.1, and tried with Microsoft's 0.2.40. Nothing here runs a client or a model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

PROTOCOL = ("create", "message_retrieval", "cost", "get_usage")  # what a model client has (ModelClient)
USAGE_KEYS = ("prompt_tokens", "completion_tokens", "total_tokens", "cost", "model")  # what AutoGen counts
# The fields of an entry that AutoGen takes itself, or its client of OpenAI: create gets the others.
NOT_PASSED_ON = {
    *("_enforce_credentials", "_strict_response_validation", "admin_api_key", "agent"),
    *("allow_format_str_template", "api_key", "api_type", "api_version", "azure_ad_token"),
    *("azure_ad_token_provider", "azure_deployment", "azure_endpoint", "base_url", "cache", "cache_seed"),
    *("context", "default_headers", "default_query", "filter_func", "http_client", "max_retries"),
    *("organization", "price", "project", "provider", "tags", "timeout", "webhook_secret"),
    *("websocket_base_url", "workload_identity"),
}


@dataclass(frozen=True)
class Registration:
    """What became of one entry: its place in the agent's list, and the client there now, if any."""

    agent: str
    entry: int
    model: str
    class_name: str
    client: Any = None

    def __str__(self) -> str:
        state = "ready" if self.client is not None else "NOT registered: pass this class too, before the chat"
        return f"{self.agent}, entry {self.entry} ({self.model}): {self.class_name} {state}"


def has(subject: Any, *names: str) -> bool:
    """Return whether an object has attributes, without running any of its code."""
    return all(inspect.getattr_static(subject, name, None) is not None for name in names)


def is_agent(subject: Any) -> bool:
    """Return whether an object is an agent that could answer with a model."""
    return has(subject, "generate_reply", "client", "_name")


def is_a(agent: Any, name: str) -> bool:
    """Return whether an agent is of a class of this name, or of one that derives from it."""
    return any(cls.__name__ == name for cls in type(agent).__mro__)


# An agent's entries and clients


def clients_of(agent: Any) -> list[Any]:
    """Return AutoGen's own list of an agent's clients, one for each entry: to replace one, set an item.

    Where none is registered yet, there is a placeholder. An agent without a model has an empty list.
    """
    return getattr(getattr(agent, "client", None), "_clients", None) or []


def entries_of(agent: Any) -> list[dict[str, Any]]:
    return listed(getattr(agent, "llm_config", None))


def listed(config: Any) -> list[dict[str, Any]]:
    """Return the entries of an llm_config, none where it is False; one without a list is itself the entry."""
    known = config.get("config_list") if has(config, "get") else []
    return [plain(entry) for entry in ([config] if known is None and "model" in config else known) or []]


def described(agent: Any) -> list[dict[str, Any]]:
    """Return the functions that an agent describes: its tools, and `functions`, which is their older form."""
    entries = entries_of(agent)
    configs = [agent.llm_config, *entries] if entries else []
    tools = [tool.get("function") or {} for config in configs for tool in config.get("tools") or []]
    return [*tools, *(function for config in configs for function in config.get("functions") or [])]


def plain(entry: Any) -> dict[str, Any]:
    """Return an entry as a dict of what was set; in an LLMConfig it is a pydantic model."""
    return entry.model_dump(exclude_unset=True) if hasattr(entry, "model_dump") else dict(entry)


def names_in(wrapper: Any) -> set[str]:
    """Return the classes that the entries of an agent's OpenAIWrapper name; none if it is something else."""
    configs = getattr(wrapper, "_config_list", None) if has(wrapper, "_config_list") else None
    return {str(config["model_client_cls"]) for config in configs or [] if config.get("model_client_cls")}


def places_of(agent: Any) -> list[Registration]:
    """Return the entries of an agent that name a class, each with the client in its place, if any."""
    entries = entries_of(agent)
    places = []
    for index, client in enumerate(clients_of(agent)):
        empty = type(client).__name__ == "PlaceHolderClient"
        entry = client.config if empty else entries[index] if index < len(entries) else {}
        if name := entry.get("model_client_cls"):
            model = str(entry.get("model"))
            places.append(Registration(agent.name, index, model, name, None if empty else client))
    return places


# Groups, and the hidden agent that selects the next speaker


def group_of(agent: Any) -> Any:
    """Return the group that a manager's chats are held in, None for an agent that isn't a manager."""
    return next(iter([*_copies(agent), getattr(agent, "groupchat", None)]), None)


def _copies(manager: Any) -> list[Any]:
    """Return the copies of its group that a manager made for its reply functions: these hold the chat."""
    group = getattr(manager, "groupchat", None)
    configs = [reply["config"] for reply in _replies(manager)] if group else []
    return [config for config in configs if isinstance(config, type(group))]


def _replies(agent: Any) -> list[dict[str, Any]]:
    return getattr(agent, "_reply_func_list", [])


def everybody(agents: Iterable[Any]) -> list[Any]:
    """Return the agents, with all who take part in their group chats and nested chats, managers last."""
    found: list[Any] = []

    def visit(agent: Any) -> None:
        if any(agent is other for other in [*found, *on_the_way]):
            return
        on_the_way.append(agent)
        group = group_of(agent)
        for other in [*(group.agents if group else []), *_nested(agent)]:
            visit(other)
        found.append(agent)

    on_the_way: list[Any] = []
    for agent in agents:
        visit(agent)
    return found


def _nested(agent: Any) -> list[Any]:
    """Return the agents of the chats that `register_nested_chats` has hung on a reply."""
    chats = [chat for reply in _replies(agent) for chat in _queues(reply)]
    return [chat[role] for chat in chats for role in ("sender", "recipient") if chat.get(role)]


def _queues(reply: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the nested chats that hang on one of an agent's replies."""
    function = reply["reply_func"]
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = dict(zip(names, getattr(function, "__closure__", None) or (), strict=False))
    return list(cells["chat_queue"].cell_contents) if "chat_queue" in cells else []


def selector_config(manager: Any) -> Any:
    """Return the llm_config of the agent that AutoGen makes anew each time a speaker is to be selected.

    None where no model selects, or there is none to do it.
    """
    group = group_of(manager)
    if not group or str(group.speaker_selection_method).lower() != "auto":
        return None
    return group.select_speaker_auto_llm_config or manager.llm_config or None


def selector_classes(manager: Any) -> dict[str, type]:
    """Return the classes that were given for that agent, by name."""
    given = group_of(manager).select_speaker_auto_model_client_cls or []
    return {cls.__name__: cls for cls in (given if isinstance(given, list) else [given])}


def set_selector(manager: Any, config: Any, classes: Iterable[type]) -> None:
    """Give that agent an llm_config and the classes that AutoGen is to register on it.

    AutoGen passes them no constructor arguments, and ignores the classes where the config is not set.
    """
    for group in [manager.groupchat, *_copies(manager)]:
        group.select_speaker_auto_llm_config = config
        group.select_speaker_auto_model_client_cls = list(classes)


def selector_places(manager: Any) -> list[Registration]:
    """Return the entries of that agent that name a class, each with the class it will have, if any."""
    config = selector_config(manager)
    own = config is not None and group_of(manager).select_speaker_auto_llm_config
    ready = selector_classes(manager) if own else {}
    return [
        Registration("speaker selection", index, str(entry.get("model")), name, ready.get(name))
        for index, entry in enumerate(listed(config))
        if (name := entry.get("model_client_cls"))
    ]


# How an agent answers, and what it has answered


def answered(agent: Any) -> bool:
    """Return whether AutoGen has called `message_retrieval` of an agent's client: it wants an id for it."""
    return bool(getattr(getattr(agent, "client", None), "_response_metadata", True))


def ends_at(agent: Any, message: dict[str, Any]) -> bool | None:
    """Return whether an agent's check ends a chat at a message; None if the check is one of people's own."""
    check = getattr(agent, "_is_termination_msg", None)
    if check is None or not str(getattr(check, "__module__", "")).startswith("autogen."):
        return None
    return bool(check(message))


def nested_triggers(agent: Any) -> list[Any]:
    """Return the agents whose messages start an agent's nested chats, as far as agents were named."""
    triggers = [reply["trigger"] for reply in _replies(agent) if _queues(reply)]
    named = [one for trigger in triggers for one in (trigger if isinstance(trigger, list) else [trigger])]
    return [one for one in named if has(one, "generate_reply", "_name")]


def has_llm_conditions(agent: Any) -> bool:
    """Return whether an agent may hand off on what its model says; its clients are made anew for that."""
    return bool(getattr(getattr(agent, "handoffs", None), "llm_conditions", None))


def has_own_reply(agent: Any) -> bool:
    """Return whether an agent answers with a function of one's own, a nested chat or a fixed text, too."""
    if getattr(agent, "_default_auto_reply", None) or _nested(agent):
        return True
    functions = [reply["reply_func"] for reply in _replies(agent)]
    return any(not str(getattr(one, "__module__", "")).startswith("autogen.") for one in functions)


def runs_code(agent: Any) -> bool:
    """Return whether an agent runs the code that it is sent."""
    return bool(getattr(agent, "_code_execution_config", False))


def asks_always(agent: Any) -> bool:
    """Return whether an agent asks a person before each of its answers."""
    return getattr(agent, "human_input_mode", "NEVER") == "ALWAYS"


# Requests on their way, for whoever watches


def on_requests(agent: Any, around: Callable[..., Any]) -> Callable[[], None]:
    """Have `around(agent, ask, wrapper, messages, ...)` stand before each request of an agent to its model.

    `ask(wrapper, messages, ...)` goes on with it, and returns the reply. Returns a function that ends this.
    """
    return _intercept(agent, "_generate_oai_reply_from_client", around)


def on_registration(agent: Any, around: Callable[..., Any]) -> Callable[[], None]:
    """Have `around(agent, register, cls, **kwargs)` stand before `agent.register_model_client`."""
    return _intercept(agent, "register_model_client", around)


def on_selectors(manager: Any, made: Callable[[Any], None]) -> list[Callable[[], None]]:
    """Have `made` called with each agent that is made to select a speaker, before it gets its clients."""

    def around(group: Any, register: Callable[..., Any], agent: Any) -> None:
        made(agent)
        register(agent)

    groups = [manager.groupchat, *_copies(manager)]
    return [_intercept(group, "_register_custom_model_clients", around) for group in groups]


def exchange_clients(wrapper: Any, change: Callable[[list[Any]], list[Any]]) -> None:
    """Put another list in the place of a wrapper's list of clients."""
    wrapper._clients = change(wrapper._clients)


def _intercept(owner: Any, name: str, around: Callable[..., Any]) -> Callable[[], None]:
    """Put `around(owner, method, *args, **kwargs)` before a method of one object, and of its copies.

    Returns a function that ends this. Several may stand before one method, and end in any order.
    """
    before = vars(owner).get(name)
    method = before.__func__ if before else getattr(type(owner), name)
    stands = [True]

    def intercepted(self: Any, *args: Any, **kwargs: Any) -> Any:
        go_on = partial(method, self)
        return around(self, go_on, *args, **kwargs) if stands else go_on(*args, **kwargs)

    def end() -> None:
        stands.clear()
        while (first := vars(owner).get(name)) and not getattr(first, "stands", True):
            if first.before:
                setattr(owner, name, first.before)
            else:
                delattr(owner, name)

    vars(intercepted).update(stands=stands, before=before)
    setattr(owner, name, MethodType(intercepted, owner))
    return end
