"""Where an exception comes from: the line of one's own, and whose reply it was raised in."""

import re

import pytest
from autogen import LLMConfig
from set_ups import DUMMY, MINE, QUESTION, agent, client, raised, ready, user

from kit import diagnose
from kit.checks.explain import explain
from kit.checks.frames import agent_of

pytestmark = pytest.mark.usefixtures("folder")


def test_the_place_in_the_class_is_named():
    def create(self, params):
        return params["nothing of this name"]

    made = agent(MINE, register=[client(create=create)])
    error = raised(lambda: made.generate_reply(messages=QUESTION))
    finding = explain(error)
    assert re.match(r'Mine\.create, line \d+, `return params\["nothing of this name"\]`: ', finding.message)
    assert finding.step == 1
    assert agent_of(error) is made


def test_the_hidden_agent_of_a_pattern_is_named():
    from autogen.agentchat import initiate_group_chat
    from autogen.agentchat.group.patterns import AutoPattern

    pair = [ready("a"), ready("b")]
    settings = {"llm_config": LLMConfig(dict(DUMMY))}
    pattern = AutoPattern(initial_agent=pair[0], agents=pair, user_agent=user(), group_manager_args=settings)
    error = raised(lambda: initiate_group_chat(pattern=pattern, messages="Hi", max_rounds=3))
    assert explain(error).code == "selector"
    assert diagnose(agent_of(error), error=error).findings[0].code == "selector"


def test_an_error_of_no_agent_has_none():
    assert agent_of(raised(lambda: 1 / 0)) is None
    assert agent_of(raised(lambda: agent(DUMMY).generate_reply(messages=QUESTION))).name == "helper"
