"""Paths in a line of code: what they lead to is found, and what is not written there is not guessed."""

from types import SimpleNamespace

import pytest

from kit import DummyModelClient
from kit.checks.paths import class_asked, emptied, lacking, text_path


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


def test_the_list_that_has_no_items():
    names = {"chunk": {"choices": []}, "answer": SimpleNamespace(choices=[], texts=["Hi"]), "rows": [[]]}
    assert emptied('chunk["choices"][0]["delta"]', names) == 'chunk["choices"]'
    assert emptied("answer.choices[-1].message", names) == "answer.choices"
    assert (
        emptied("answer.texts[3]", names)
        == emptied("nothing[0]", names)
        == emptied("rows[0][0]", names)
        == ""
    )


def test_the_class_that_a_method_of_objects_is_called_on():
    names = {
        "Mine": DummyModelClient,
        "mine": DummyModelClient({}),
        "here": SimpleNamespace(cls=DummyModelClient),
    }
    assert class_asked("Mine.create(params)", names, "create") == "Mine"
    assert class_asked("here.cls.create(params)", names, "create") == "here.cls"
    assert class_asked("mine.create(params)", names, "create") == ""
    assert class_asked("Mine.get_usage()", names, "get_usage") == ""  # which is static


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"choices": [{"message": {"content": "Hi"}}]}, "['choices'][0]['message']['content']"),
        ({"response": "Hi"}, "['response']"),
        ([{"generated_text": "Hi"}], "[0]['generated_text']"),
        ({"role": "user", "content": "Hi"}, ""),  # that is what was asked
        ({"error": "busy"}, ""),
    ],
)
def test_where_in_an_answer_the_text_stands(answer, path):
    assert text_path(answer) == path
