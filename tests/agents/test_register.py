"""register_model_clients on single agents: every entry gets its client, as often as one asks for it."""

import pytest
from autogen import AssistantAgent, LLMConfig, UserProxyAgent

from kit import DummyModelClient, register_model_clients

HELLO = [{"role": "user", "content": "Hello"}]


class OtherClient(DummyModelClient):
    pass


def agent_of(*class_names, name="agent"):
    """Return an agent whose entries, m0, m1 and so on, name these classes."""
    entries = [
        {"model": f"m{index}", "model_client_cls": class_name} for index, class_name in enumerate(class_names)
    ]
    return AssistantAgent(name, llm_config=LLMConfig(*entries))


def clients(agent):
    return agent.client._clients


def test_two_entries_of_one_class_need_one_call():
    agent = agent_of("DummyModelClient", "DummyModelClient")
    done = register_model_clients(agent, DummyModelClient)
    assert done.left == []
    assert repr(done) == (
        "agent, entry 0 (m0): DummyModelClient ready\nagent, entry 1 (m1): DummyModelClient ready"
    )
    assert [client.config["model"] for client in clients(agent)] == ["m0", "m1"]
    assert agent.generate_reply(HELLO) == "This is a dummy reply."


def test_two_classes_are_told_apart_by_name():
    agent = agent_of("OtherClient", "DummyModelClient")
    register_model_clients(agent, DummyModelClient, OtherClient)
    assert [type(client) for client in clients(agent)] == [OtherClient, DummyModelClient]


def test_an_instance_is_used_as_it_is():
    agent = agent_of("DummyModelClient")
    client = DummyModelClient({"model": "mine"}, replies="From my own client.")
    register_model_clients(agent, client)
    assert clients(agent) == [client]
    assert agent.generate_reply(HELLO) == "From my own client."
    assert len(client.calls) == 1


def test_further_arguments_go_to_the_constructor():
    agent = agent_of("DummyModelClient")
    register_model_clients(agent, DummyModelClient, replies=["first", "second"])
    assert [agent.generate_reply(HELLO), agent.generate_reply(HELLO)] == ["first", "second"]


def test_an_argument_that_the_constructor_does_not_take_is_its_own_error():
    with pytest.raises(
        TypeError, match="DummyModelClient takes `replies`, `delay` and `on_text`, not 'answers'"
    ):
        register_model_clients(agent_of("DummyModelClient"), DummyModelClient, answers="x")


def test_the_constructor_gets_the_whole_entry():
    entry = {
        "model": "m",
        "model_client_cls": "DummyModelClient",
        "price": [1, 2],
        "params": {"replies": "p"},
    }
    agent = AssistantAgent("agent", llm_config=LLMConfig(entry))
    register_model_clients(agent, DummyModelClient)
    assert entry.items() <= clients(agent)[0].config.items()


def test_entries_with_autogens_own_client_are_left_to_autogen():
    server = {"model": "served", "base_url": "http://localhost:8000/v1", "api_key": "not-needed"}
    agent = AssistantAgent(
        "agent", llm_config=LLMConfig(server, {"model": "m1", "model_client_cls": "DummyModelClient"})
    )
    own = clients(agent)[0]
    assert repr(register_model_clients(agent, DummyModelClient)) == (
        "agent, entry 1 (m1): DummyModelClient ready"
    )
    assert clients(agent)[0] is own


# Called again


def test_called_again_the_client_that_is_there_stays_with_all_it_knows():
    agent = agent_of("DummyModelClient")
    register_model_clients(agent, DummyModelClient, replies=["first", "second"])
    agent.generate_reply(HELLO)
    before = clients(agent)[0]
    register_model_clients(agent, DummyModelClient)
    assert clients(agent)[0] is before
    assert agent.generate_reply(HELLO) == "second"


def test_new_arguments_make_a_new_client():
    agent = agent_of("DummyModelClient")
    for text in ("old", "new"):
        register_model_clients(agent, DummyModelClient, replies=text)
    assert agent.generate_reply(HELLO) == "new"


def test_a_class_that_was_defined_anew_replaces_the_old_one():
    agent = agent_of("MyClient")
    for text in ("old", "new"):  # as when the cell with the class is edited and run again

        class MyClient(DummyModelClient):
            reply = text

            def _answers(self, messages, n):
                return [self.reply] * n

        register_model_clients(agent, MyClient)
        assert agent.generate_reply(HELLO) == text


def test_after_tools_were_added_and_the_registration_was_lost_it_works_again():
    agent = agent_of("DummyModelClient", "DummyModelClient")
    register_model_clients(agent, DummyModelClient)

    @agent.register_for_llm(description="the time")
    def clock() -> str:
        return "noon"

    with pytest.raises(RuntimeError, match="are not activated"):
        agent.generate_reply(HELLO)
    assert register_model_clients(agent, DummyModelClient).left == []
    assert agent.generate_reply(HELLO) == "This is a dummy reply."
    assert clients(agent)[0].calls[0]["tools"][0]["function"]["name"] == "clock"


# What is left, and what does not fit


def test_entries_that_still_wait_for_their_class_are_told():
    agent = agent_of("DummyModelClient", "OtherClient")
    done = register_model_clients(agent, DummyModelClient)
    assert [item.class_name for item in done.left] == ["OtherClient"]
    assert repr(done).splitlines()[1] == (
        "agent, entry 1 (m1): OtherClient NOT registered: pass this class too, before the chat"
    )
    done = register_model_clients(agent, OtherClient)
    assert done.left == []
    assert len(done) == 2


def test_without_a_class_it_tells_how_things_stand():
    assert len(register_model_clients(agent_of("DummyModelClient")).left) == 1
    assert repr(register_model_clients(UserProxyAgent("user"))) == "no entry names a model_client_cls"


def test_a_class_that_no_entry_names_is_refused_with_agent_entry_and_class():
    with pytest.raises(ValueError) as caught:
        register_model_clients(agent_of("DummyModelclient", name="writer"), DummyModelClient)
    assert str(caught.value) == (
        "No entry of 'writer' names DummyModelClient. Its entries with a \"model_client_cls\":\n"
        "  writer, entry 0 (m0): DummyModelclient\n"
        'Write "model_client_cls": "DummyModelClient" into the entry, or pass the class that it names.'
    )


def test_an_agent_without_a_model_is_refused_too():
    user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    with pytest.raises(ValueError, match="No entry of 'user' names DummyModelClient") as caught:
        register_model_clients(user, DummyModelClient)
    assert "  none\n" in str(caught.value)


@pytest.mark.parametrize("thing", [str, "DummyModelClient", None, {"model": "m"}])
def test_what_is_no_model_client_is_refused_by_what_it_lacks(thing):
    with pytest.raises(
        TypeError, match="isn't a model client: it has no method create, message_retrieval, cost"
    ):
        register_model_clients(agent_of("DummyModelClient"), thing)


def test_a_half_written_class_is_told_which_methods_are_missing():
    class Half:
        def create(self, params): ...
        def cost(self, response): ...

    with pytest.raises(TypeError, match="it has no method message_retrieval, get_usage"):
        register_model_clients(agent_of("Half"), Half)
