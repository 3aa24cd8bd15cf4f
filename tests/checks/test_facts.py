"""What is known about an exception, as far as the tests of explain do not tell."""

import json

import pytest
import requests
from set_ups import raised

from kit.checks.facts import facts_of


def test_of_a_text_the_type_and_the_status_are_known():
    facts = facts_of("Traceback ...\nopenai.NotFoundError: Error code: 404 - no such model")
    assert (facts["type"], facts["status"]) == ("NotFoundError", "404")
    assert "where" not in facts


def test_the_text_that_was_to_be_read_as_json_is_known():
    assert facts_of(raised(lambda: json.loads("405 not allowed")))["doc"] == "405 not allowed"


def test_who_asked_a_server_is_no_library_that_asks_for_others():
    assert facts_of(raised(lambda: requests.get("http://127.0.0.1:9")))["asker"] == "own"


@pytest.mark.parametrize(
    ("name", "modules", "inside"),
    [
        ("huggingface-hub", "huggingface_hub", None),
        ("requests.no_such", "", f"requests {requests.__version__}"),
    ],
)
def test_a_module_that_is_not_there_is_looked_for_under_its_other_names(name, modules, inside):
    facts = facts_of(ModuleNotFoundError(f"No module named {name!r}", name=name))
    assert (facts["modules"], facts.get("inside")) == (modules, inside)


def test_what_was_raised_nowhere_is_known_by_itself_alone():
    facts = facts_of(KeyError("choices"))
    assert (facts["type"], facts["where"], facts["by"], facts["statement"]) == ("KeyError", "", "", "")
