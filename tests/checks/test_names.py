"""Names that do not fit: which one is nearly the same, and what is not."""

import pytest

from kit.checks.names import extra_of, lacking, misspelt, names_of, near

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


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ('params["mesages"][-1]', {"near": "messages", "lacking": "params", "deeper": ""}),
        ('self.config["mesages"]', {"near": "", "lacking": "entry", "deeper": ""}),
        ('rows[0]["mesages"]', {"near": "messages", "lacking": "", "deeper": ""}),
        ('rows[1]["mesages"]', {"near": "", "lacking": "", "deeper": "rows[1]['a']['b']['mesages']"}),
        ("rows[index]['mesages']", {}),  # what is not written there is not known
        ("print(mesages)", {}),
    ],
)
def test_the_dict_that_lacks_a_key_is_found_by_the_line_that_read_it(line, facts):
    class Mine:
        config = None

    mine = Mine()
    mine.config = {"model": "m", "model_client_cls": "Mine"}
    names = {
        "params": {"messages": [], "model_client_cls": "Mine"},
        "self": mine,
        "rows": [{"messages": 1}, {"a": {"b": {"mesages": 1}}}],
    }
    assert lacking(line, names, "mesages") == facts


def test_what_is_near_among_arguments():
    assert near("request_timeout", ["timeout", "model"]) == "timeout"
    assert near("max_newtokens", ["max_new_tokens"]) == "max_new_tokens"
    assert near("colour", ["model", ""]) == ""
    assert names_of(lambda a, *b, c=1, **d: None) == ["a", "c", ""]


def test_the_extra_of_autogen_that_brings_a_package():
    assert extra_of("Please install `google-genai` and 'vertexai' to use it.") == "gemini"
    assert extra_of("'openai' is not installed.") == ""  # it is: something else is wrong
    assert extra_of("No module named `no_such_package`") == ""
