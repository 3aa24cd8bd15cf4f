"""register_model_clients: put your classes in every place of the config list that waits for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PROTOCOL = ("create", "message_retrieval", "cost", "get_usage")


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


class Registrations(list[Registration]):
    """One `Registration` for each entry that names a `model_client_cls`; `left` are those still to do."""

    @property
    def left(self) -> list[Registration]:
        return [item for item in self if item.client is None]

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "no entry names a model_client_cls"


def register_model_clients(agent: Any, *clients: Any, **kwargs: Any) -> Registrations:
    """Register model clients for every entry of the config list that names their class.

    AutoGen's own `agent.register_model_client` fills one entry a call, and its work is undone when
    tools are added to the agent. This fills all entries, and is safe to call again: after tools
    were added, or after the cell that defines the class was run again.

    Args:
        agent: an agent, or a group-chat manager: then its agents and the hidden agent that selects
            the next speaker are included.
        clients: classes, or ready-made instances (used as they are, by all entries of their class).
        kwargs: passed on to the constructor of each class. Clients that are there already stay,
            unless their class changed or there are `kwargs`.

    Returns:
        What became of each entry, those still to be registered included.

    Raises:
        ValueError: no entry names any of the classes.
        TypeError: what was passed can't be a model client.
    """
    by_name = {}
    for client in clients:
        missing = [name for name in PROTOCOL if not hasattr(client, name)]
        if missing:
            raise TypeError(f"{client!r} is no model client: it has no method {', '.join(missing)}.")
        by_name[_class(client).__name__] = client
    done = Registrations()
    group = getattr(agent, "groupchat", None)
    for member in [*(group.agents if group else []), agent]:
        done += _register(member, by_name, kwargs)
    if group and str(group.speaker_selection_method).lower() == "auto":
        done += _register_selector(group, agent, by_name, kwargs)
    _refuse_misfits(agent, by_name, done)
    return done


def _class(client: Any) -> type:
    return client if isinstance(client, type) else type(client)


def _register(agent: Any, by_name: dict[str, Any], kwargs: dict[str, Any]) -> Registrations:
    """Fill the places in one agent's wrapper, as its own register_model_client would."""
    if not getattr(agent, "client", None):
        return Registrations()  # an agent without a model, such as a user proxy
    done = Registrations()
    places = agent.client._clients  # AutoGen has no public way to replace a client
    for index, entry in enumerate(agent.llm_config["config_list"]):
        entry = entry.model_dump() if hasattr(entry, "model_dump") else dict(entry)
        name = entry.get("model_client_cls")
        if name is None:
            continue
        client = by_name.get(name)
        if isinstance(client, type):
            if kwargs or type(places[index]) is not client:
                places[index] = client(entry, **kwargs)
        elif client is not None:
            places[index] = client
        ready = None if type(places[index]).__name__ == "PlaceHolderClient" else places[index]
        done.append(Registration(agent.name, index, entry["model"], name, ready))
    return done


def _register_selector(
    group: Any, manager: Any, by_name: dict[str, Any], kwargs: dict[str, Any]
) -> Registrations:
    """Hand our classes to the agent that AutoGen builds anew each time a speaker is to be selected.

    AutoGen registers `select_speaker_auto_model_client_cls` on it, without constructor arguments, and
    only if `select_speaker_auto_llm_config` is set as well.
    """
    from autogen import LLMConfig

    if not (config := group.select_speaker_auto_llm_config or manager.llm_config):
        return Registrations()
    config = LLMConfig.ensure_config(config)
    entries = config["config_list"]
    names = [entry.get("model_client_cls") for entry in entries]
    given = group.select_speaker_auto_model_client_cls or []
    ready = {one.__name__: one for one in (given if isinstance(given, list) else [given])}
    for name in set(names) & set(by_name):
        if kwargs or getattr(ready.get(name), "kit_client", None) is not by_name[name]:
            ready[name] = _remembering(by_name[name], kwargs)
    # The manager copied the group into its reply functions, and it is these copies that hold the chat.
    for copy in [group, *(reply["config"] for reply in manager._reply_func_list)]:
        if by_name and isinstance(copy, type(group)):
            copy.select_speaker_auto_llm_config = config
            copy.select_speaker_auto_model_client_cls = list(ready.values())
    return Registrations(
        Registration("speaker selection", index, entry["model"], name, ready.get(name))
        for index, (entry, name) in enumerate(zip(entries, names, strict=True))
        if name is not None
    )


def _remembering(client: Any, kwargs: dict[str, Any]) -> type:
    """Return a class of the same name that gives the same client each time for the same entry.

    So a script goes on where it stopped, and a model is loaded once, however often AutoGen asks.
    """
    made: dict[str, Any] = {}

    def new(cls: type, config: dict[str, Any]) -> Any:
        key = json.dumps(config, default=str, sort_keys=True)
        if key not in made:
            made[key] = client(config, **kwargs) if isinstance(client, type) else client
        return made[key]

    return type(_class(client).__name__, (), {"__new__": new, "kit_client": client})


def _refuse_misfits(agent: Any, by_name: dict[str, Any], done: Registrations) -> None:
    """Raise if a class was passed that no entry names."""
    misfits = sorted(set(by_name) - {item.class_name for item in done})
    if not misfits:
        return
    entries = "\n".join(
        f"  {item.agent}, entry {item.entry} ({item.model}): {item.class_name}" for item in done
    )
    raise ValueError(
        f'No entry of {agent.name!r} names {", ".join(misfits)}. Its entries with a "model_client_cls":\n'
        f"{entries or '  none'}\n"
        f'Write "model_client_cls": "{misfits[0]}" into the entry, or pass the class that it names.'
    )
