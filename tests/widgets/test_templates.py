"""The template picker without a browser: it gets the messages that the front end sends."""

import pytest
from ipywidgets.widgets.widget import _instances

from kit import TemplatePicker
from kit.templates import templates

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def picker():
    picker = TemplatePicker()
    yield picker
    picker.close()


def ask(picker, **what):
    """Do what a button does."""
    picker._handle_custom_msg(what, [])


def shown(picker):
    """The program, as the page shows it."""
    return "".join(piece for _, piece in picker.view["code"])


def status(picker):
    return picker.view["status"]


def test_it_opens_on_the_first_template(picker):
    first = next(iter(templates().values()))
    assert picker.template == first
    assert picker.view["chosen"] == first.name
    assert list(picker.view["titles"]) == list(templates())


@pytest.mark.parametrize("template", templates().values(), ids=templates())
def test_a_button_shows_the_program_in_colours_and_what_it_needs(picker, template):
    ask(picker, choose=template.name)
    assert picker.template == template
    assert picker.view["chosen"] == template.name
    assert shown(picker) == template.text
    assert {"keyword", "string"} <= {kind for kind, _ in picker.view["code"]}
    about = " ".join([picker.view["purpose"], *picker.view["facts"]])
    assert all(what in about for what in (template.purpose, *template.files, template.install))


def test_save_writes_the_files_and_says_which_and_where(picker, folder):
    ask(picker, choose="tools")
    ask(picker, save="mine", replace=False)
    assert {path.name for path in (folder / "mine").iterdir()} == {"tools.py", "dummy.py"}
    saved = status(picker)
    assert saved.startswith(f"✔ Saved tools.py in {(folder / 'mine').resolve()}")
    assert "beside it dummy.py" in saved and saved.endswith("python tools.py")
    ask(picker, choose="tools_local")
    ask(picker, save="mine", replace=False)
    assert "beside it huggingface.py and huggingface_fast/. Run" in status(picker)
    assert (folder / "mine" / "huggingface_fast" / "__init__.py").is_file()
    ask(picker, choose="openai_server")
    assert (status(picker), picker.view["folder"]) == ("", "mine")
    ask(picker, save="mine", replace=False)
    assert status(picker).startswith("✔ Saved openai_server.py in ") and "beside" not in status(picker)


def test_a_file_of_ones_own_is_replaced_only_by_the_button_that_says_so(picker, folder):
    mine = folder / "my_project" / "dummy.py"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert not picker.view["replace"]
    ask(picker, save="my_project", replace=False)
    assert status(picker).startswith("✖ Nothing was written") and "dummy.py" in status(picker)
    assert picker.view["replace"] and mine.read_text() == "mine"
    ask(picker, save="my_project", replace=True)
    assert status(picker).startswith("✔ Saved") and not picker.view["replace"]
    assert "DummyModelClient" in mine.read_text(encoding="utf-8")


@pytest.mark.parametrize("between", [{"folder": "two"}, {}], ids=["the page told the folder", "it did not"])
def test_to_replace_is_asked_anew_for_another_folder(picker, folder, between):
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "dummy.py").write_text("mine")
    ask(picker, save="one", replace=False)
    assert picker.view["replace"]
    if between:
        ask(picker, **between)
        assert not picker.view["replace"]
    ask(picker, save="two", replace=True)
    assert (folder / "two" / "dummy.py").read_text() == "mine"
    assert picker.view["replace"]
    ask(picker, choose="group_chat")
    assert not picker.view["replace"]


@pytest.mark.parametrize("typed, reason", [("", "✖ Name a folder"), ("file/below", "✖ "), ("\0", "✖ ")])
def test_a_folder_that_can_not_be_is_refused_and_nothing_raised(picker, folder, typed, reason):
    (folder / "file").write_text("")
    ask(picker, save=typed, replace=False)
    assert status(picker).startswith(reason)
    assert not picker.view["replace"]


def test_all_of_it_from_python(picker, folder):
    picker.choose("tools")
    picker.save("mine")
    assert (folder / "mine" / "tools.py").read_text(encoding="utf-8") == picker.template.text
    (folder / "mine" / "tools.py").write_text("changed")
    with pytest.raises(FileExistsError):
        picker.save()
    picker.save(overwrite=True)
    with pytest.raises(KeyError, match="there are dummy_model"):
        picker.choose("no such")
    assert picker.template.name == "tools"


def test_where_widgets_can_not_be_shown_the_same_facts_are_text(picker):
    picker.choose("tools_local")
    bundle = picker._repr_mimebundle_()[0]
    text = bundle["text/plain"]
    assert text == repr(picker)
    assert "  ✔ tools_local         Tool calls by a small local model" in text.splitlines()
    assert text.count("✔") == 1
    assert all(template.title in text for template in templates().values())
    assert picker.template.facts in text
    assert "def " in bundle["text/html"] and "<b" not in bundle["text/html"]


def test_close_leaves_no_widget():
    before = set(_instances)
    picker = TemplatePicker()
    assert len(set(_instances) - before) == 2  # the form and its layout
    picker.choose("tools")
    picker.save("mine")
    assert len(set(_instances) - before) == 2, "a choice costs no widget"
    picker.close()
    assert set(_instances) == before
