"""Names that do not fit: which one is nearly the same, and what is not."""

import openai
import pytest

from kit.checks.explain import explain
from kit.checks.names import extra_of, misspelt, modules_of, names_of, near

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


def test_the_extra_of_autogen_that_brings_a_package():
    assert extra_of("Please install `google-genai` and 'vertexai' to use it.") == "gemini"
    assert extra_of("'openai' is not installed.") == ""  # it is: something else is wrong
    assert extra_of("No module named `no_such_package`") == ""
    # Other extras bring it, too; the one that is named counts.
    assert extra_of("'docker' is not installed.\n'pip install ag2[docker]'") == "docker"


def test_what_the_modules_of_a_distribution_are_called():
    assert modules_of("pyautogen") == "autogen"
    assert modules_of("huggingface-hub") == modules_of("Huggingface.Hub") == "huggingface_hub"
    assert modules_of("openai") == modules_of("no-such-package") == modules_of("odd(name") == ""


def test_a_distribution_that_is_imported_by_its_own_name():
    error = ModuleNotFoundError("No module named 'pyautogen'", name="pyautogen")
    finding = explain(error)
    assert finding.code == "imported-as"
    exec(finding.fix)  # as it stands
    assert explain(ModuleNotFoundError("No module named 'no_such'", name="no_such")).code == "missing-package"


def test_a_module_that_a_package_of_this_version_lacks():
    with pytest.raises(ImportError) as raised:
        exec("import openai.error")
    finding = explain(raised.value)
    assert finding.code == "module-gone" and openai.__version__ in finding.message
    assert openai.RateLimitError


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
