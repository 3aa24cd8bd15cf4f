"""What AutoGen keeps inside of its agents is where the kit looks for it, and looking runs nothing."""

import pytest
from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, OpenAIWrapper, UserProxyAgent

from kit import DummyModelClient
from kit.agents import inside

ENTRY = {"model": "a", "model_client_cls": "DummyModelClient"}


def assistant(name="assistant", *entries, **options):
    config = LLMConfig(*(entries or [ENTRY]))
    return AssistantAgent(name, llm_config=config, code_execution_config=False, **options)


def manager_of(*agents, config=False, **options):
    return GroupChatManager(GroupChat([*agents], messages=[], **options), name="manager", llm_config=config)


@pytest.fixture
def user():
    return UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)


def test_a_place_is_empty_until_a_class_is_registered_and_then_holds_its_client():
    agent = assistant("assistant", ENTRY, {"model": "b", "api_key": "k"}, {**ENTRY, "model": "c"})
    assert [(place.entry, place.model, place.client) for place in inside.places_of(agent)] == [
        (0, "a", None),
        (2, "c", None),
    ]
    agent.register_model_client(DummyModelClient)
    first, second = inside.places_of(agent)
    assert type(first.client) is DummyModelClient
    assert second.client is None
    assert inside.clients_of(agent)[0] is first.client


def test_an_agent_without_a_model_has_neither_entries_nor_clients(user):
    assert (inside.entries_of(user), inside.clients_of(user), inside.places_of(user)) == ([], [], [])
    assert inside.is_agent(user) is False  # it has no client to answer with
    assert inside.is_agent(assistant())


def test_the_group_of_a_manager_is_the_copy_that_holds_its_chat(user):
    manager = manager_of(assistant(), user)
    group = inside.group_of(manager)
    assert group is not None and group is not manager.groupchat
    assert inside.group_of(user) is None


def test_everybody_in_groups_and_nested_chats_is_found_once_managers_last(user):
    writer, critic = assistant("writer"), assistant("critic")
    inner = manager_of(writer, critic)
    user.register_nested_chats([{"recipient": critic, "message": "?"}], trigger=writer)
    outer = manager_of(user, inner)
    found = inside.everybody([outer, writer])
    assert [agent.name for agent in found] == ["critic", "user", "writer", "manager", "manager"]
    assert found[-1] is outer


def test_the_hidden_selector_has_places_only_where_a_model_selects(user):
    config = LLMConfig(ENTRY)
    in_turn = manager_of(assistant(), user, config=config, speaker_selection_method="round_robin")
    assert inside.selector_config(in_turn) is None
    assert inside.selector_places(in_turn) == []
    manager = manager_of(assistant(), user, config=config, speaker_selection_method="auto")
    (place,) = inside.selector_places(manager)
    assert (place.agent, place.class_name, place.client) == ("speaker selection", "DummyModelClient", None)
    inside.set_selector(manager, config, [DummyModelClient])
    (place,) = inside.selector_places(manager)
    assert place.client is DummyModelClient
    assert inside.group_of(manager).select_speaker_auto_model_client_cls == [DummyModelClient]


def test_classes_for_the_selector_count_only_beside_a_config_of_its_own(user):
    group = {"speaker_selection_method": "auto", "select_speaker_auto_model_client_cls": [DummyModelClient]}
    manager = manager_of(assistant(), user, config=LLMConfig(ENTRY), **group)
    assert [place.client for place in inside.selector_places(manager)] == [None]


def test_ones_own_functions_are_told_from_autogens():
    assert not inside.has_own_reply(assistant())
    own = assistant()
    own.register_reply([None], lambda *arguments, **options: (True, "mine"))
    assert inside.has_own_reply(own)


def test_what_create_gets_of_an_entry_is_what_autogen_passes_on():
    wrapper = OpenAIWrapper.__new__(OpenAIWrapper)
    assert wrapper.extra_kwargs | wrapper.openai_kwargs == inside.NOT_PASSED_ON


def test_looking_runs_no_property():
    class Trap:
        @property
        def client(self):
            raise AssertionError("was run")

    assert inside.has(Trap(), "client")
    assert not inside.has(Trap(), "client", "_name")
