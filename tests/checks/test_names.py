"""Names that do not fit: which one is nearly the same, and what is not."""

import pytest

from kit.checks.explain import explain
from kit.checks.names import misspelt, names_of, near

SAME = [
    ("conent", "content"),  # a letter less
    ("contentt", "content"),  # one more
    ("contemt", "content"),  # another one
    ("cotnent", "content"),  # two that changed places
    ("chathistory", "chat_history"),
    ("modelClientCls", "model_client_cls"),
    ("choice", "choices"),
    ("ul", "url"),
]
OTHERS = [
    ("chat_history", "clear_history"),
    ("GPTAssistantAgent", "AssistantAgent"),
    ("id", "n"),
    ("post", "host"),
    ("content", "text"),
    ("n", "i"),
    ("pad_token", "pad_token_id"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_slip_is_seen_in_both_directions(one, other):
    assert misspelt(one, ["somewhat", other]) == other
    assert misspelt(other, [one]) == one


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_another_name_is_no_slip(one, other):
    assert misspelt(one, [other]) == misspelt(other, [one]) == ""


def test_names_that_are_none_are_passed_over():
    assert misspelt("conent", [None, 7, "_content", ("content",)]) == ""
    assert misspelt(None, ["content"]) == ""


def test_what_is_near_among_arguments():
    assert near("request_timeout", ["timeout", "model"]) == "timeout"
    assert near("max_newtokens", ["max_new_tokens"]) == "max_new_tokens"
    assert near("colour", ["model", ""]) == ""
    assert names_of(lambda a, *b, c=1, **d: None) == ["a", "c", ""]


@pytest.mark.parametrize(
    "code", ["from autogen import SwarmAgent", "from autogen.oai import config_list_from_json"]
)
def test_what_other_versions_of_autogen_had_is_told_as_it_is_now(code):
    with pytest.raises(ImportError) as raised:
        exec(code)
    finding = explain(raised.value)
    assert finding.code == "moved"
    assert "documentation" not in finding.fix
    if "Swarm" in code:
        exec(finding.fix.partition(". ")[0])  # as it stands
