"""register_model_clients: put your classes in every place of the config list that waits for them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from kit.agents.inside import (
    PROTOCOL,
    Registration,
    clients_of,
    entries_of,
    group_of,
    listed,
    places_of,
    selector_classes,
    selector_config,
    selector_places,
    set_selector,
)


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
    were added, or after the cell that defines the class was run again. It works with `autogen` 0.14.1
    and with Microsoft's 0.2.40.

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
            raise TypeError(f"{client!r} isn't a model client: it has no method {', '.join(missing)}.")
        by_name[_class(client).__name__] = client
    group = group_of(agent)
    done = Registrations()
    for member in [*(group.agents if group else []), agent]:
        done += _register(member, by_name, kwargs)
    if group:
        done += _register_selector(agent, by_name, kwargs)
    _refuse_misfits(agent, by_name, done)
    return done


def _class(client: Any) -> type:
    return client if isinstance(client, type) else type(client)


def _register(agent: Any, by_name: dict[str, Any], kwargs: dict[str, Any]) -> list[Registration]:
    """Fill the places of one agent, as its own register_model_client would."""
    clients, entries = clients_of(agent), entries_of(agent)
    for place in places_of(agent):
        client = by_name.get(place.class_name)
        if isinstance(client, type):
            if kwargs or type(clients[place.entry]) is not client:
                clients[place.entry] = client(entries[place.entry], **kwargs)
        elif client is not None:
            clients[place.entry] = client
    return places_of(agent)


def _register_selector(manager: Any, by_name: dict[str, Any], kwargs: dict[str, Any]) -> list[Registration]:
    """Hand our classes to the hidden agent that selects the next speaker, if there will be one."""
    if by_name and (config := selector_config(manager)):
        with contextlib.suppress(ImportError):  # in Microsoft's 0.2 it is a dict
            from autogen import LLMConfig

            config = LLMConfig.ensure_config(config)
        ready = selector_classes(manager)
        for name in by_name.keys() & {entry.get("model_client_cls") for entry in listed(config)}:
            if kwargs or getattr(ready.get(name), "kit_client", None) is not by_name[name]:
                ready[name] = _remembering(by_name[name], kwargs)
        set_selector(manager, config, ready.values())
    return selector_places(manager)


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
