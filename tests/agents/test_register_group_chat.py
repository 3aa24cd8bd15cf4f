"""register_model_clients on a group-chat manager: its agents, itself, and the hidden speaker selector."""

import pytest
from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent

from kit import DummyModelClient, register_model_clients

SELECTOR = {"model": "selector", "model_client_cls": "Selector"}


class Selector(DummyModelClient):
    made = 0  # constructor calls

    def __init__(self, *args, **kwargs):
        type(self).made += 1
        super().__init__(*args, **kwargs)


class SecondSelector(Selector):
    pass


@pytest.fixture
def chat():
    """Make a manager over the agents writer, critic and user (who has no model)."""

    def make(manager_config=None, max_round=5, **group_options):
        members = [
            AssistantAgent(
                name,
                llm_config=LLMConfig(
                    {
                        "model": name,
                        "model_client_cls": "DummyModelClient",
                        "params": {"replies": f"I, {name}."},
                    }
                ),
            )
            for name in ("writer", "critic")
        ]
        user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
        group = GroupChat([*members, user], messages=[], max_round=max_round, **group_options)
        Selector.made = 0
        return GroupChatManager(group, name="manager", llm_config=manager_config or False)

    return make


def speakers(manager):
    """Hold the chat and return who spoke, the user's opening aside."""
    user = manager.groupchat.agents[-1]
    result = user.initiate_chat(manager, message="Begin.")
    return [message["name"] for message in result.chat_history[1:]]


def test_a_script_selects_the_speakers_where_the_manager_has_the_config(chat):
    manager = chat(LLMConfig(SELECTOR), speaker_selection_method="auto")
    register_model_clients(manager, DummyModelClient)
    done = register_model_clients(manager, Selector, replies=["critic", "writer", "critic", "critic"])
    assert done.left == []
    assert [(item.agent, item.class_name) for item in done] == [
        ("writer", "DummyModelClient"),
        ("critic", "DummyModelClient"),
        ("manager", "Selector"),
        ("speaker selection", "Selector"),
    ]
    assert speakers(manager) == ["critic", "writer", "critic", "critic"]


def test_a_selector_with_a_config_of_its_own_needs_no_manager_with_a_model(chat):
    manager = chat(
        speaker_selection_method="auto",
        select_speaker_auto_llm_config={"config_list": [dict(SELECTOR)]},
    )
    register_model_clients(manager, DummyModelClient)
    register_model_clients(manager, Selector, replies=["writer", "writer", "critic", "writer"])
    assert speakers(manager) == ["writer", "writer", "critic", "writer"]


def test_one_call_registers_agents_and_selector_alike(chat):
    entry = {**SELECTOR, "params": {"replies": ["critic", "critic"]}}
    manager = chat(LLMConfig(entry), speaker_selection_method="auto", max_round=3)
    assert register_model_clients(manager, DummyModelClient, Selector).left == []
    assert speakers(manager) == ["critic", "critic"]
    assert manager.groupchat.messages[-1]["content"] == "I, critic."


def test_the_script_goes_on_where_it_stopped_and_the_selector_is_made_once(chat):
    """AutoGen builds the selecting agent anew for each turn."""
    manager = chat(LLMConfig(SELECTOR), speaker_selection_method="auto", max_round=3)
    register_model_clients(manager, DummyModelClient)
    register_model_clients(manager, Selector, replies=["writer", "critic", "critic", "writer"])
    assert speakers(manager) == ["writer", "critic"]
    assert speakers(manager) == ["critic", "writer"]
    assert Selector.made == 2  # one for the manager's own replies, one for the selection


def test_called_again_the_selector_keeps_its_arguments_and_its_place_in_the_script(chat):
    manager = chat(LLMConfig(SELECTOR), speaker_selection_method="auto", max_round=2)
    register_model_clients(manager, DummyModelClient)
    register_model_clients(manager, Selector, replies=["writer", "critic"])
    assert speakers(manager) == ["writer"]
    register_model_clients(manager, DummyModelClient, Selector)
    assert speakers(manager) == ["critic"]


def test_a_selector_class_that_was_defined_anew_replaces_the_old_one(chat):
    manager = chat(LLMConfig(SELECTOR), speaker_selection_method="auto", max_round=2)
    register_model_clients(manager, DummyModelClient)
    for name in ("critic", "writer"):
        Anew = type("Selector", (Selector,), {"_answers": lambda self, messages, n, name=name: [name]})
        register_model_clients(manager, Anew)
        assert speakers(manager) == [name]


def test_an_instance_can_select(chat):
    selector = Selector({"model": "mine"}, replies=["critic", "writer"])
    manager = chat(LLMConfig(SELECTOR), speaker_selection_method="auto", max_round=3)
    register_model_clients(manager, DummyModelClient, selector)
    assert speakers(manager) == ["critic", "writer"]
    assert len(selector.calls) == 2


def test_two_selector_classes_may_come_one_call_after_the_other(chat):
    own = LLMConfig(SELECTOR, {"model": "second", "model_client_cls": "SecondSelector"})
    manager = chat(speaker_selection_method="auto", select_speaker_auto_llm_config=own, max_round=2)
    register_model_clients(manager, DummyModelClient)
    done = register_model_clients(manager, Selector, replies="critic")
    assert [(item.agent, item.class_name) for item in done.left] == [("speaker selection", "SecondSelector")]
    assert register_model_clients(manager, SecondSelector).left == []
    assert speakers(manager) == ["critic"]


def test_in_turn_nobody_selects_so_a_selector_fits_nowhere(chat):
    manager = chat(speaker_selection_method="round_robin")
    assert register_model_clients(manager, DummyModelClient).left == []
    assert speakers(manager) == ["writer", "critic", "user", "writer"]
    with pytest.raises(ValueError, match="No entry of 'manager' names Selector") as caught:
        register_model_clients(manager, Selector)
    assert "  writer, entry 0 (writer): DummyModelClient\n  critic, entry 0 (critic)" in str(caught.value)


def test_asking_what_is_registered_changes_nothing(chat):
    manager = chat(LLMConfig(SELECTOR))
    register_model_clients(manager)
    assert manager.groupchat.select_speaker_auto_model_client_cls is None
