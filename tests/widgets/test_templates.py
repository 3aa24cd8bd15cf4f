"""The template picker without a browser: buttons are clicked, values set as the front end sets them."""

import ipywidgets
import pytest
from ipywidgets import HTML, Button, HTMLMath, Text
from ipywidgets.widgets.widget import _instances

from kit import TemplatePicker
from kit.templates import templates
from kit.widgets.parts import CopyableText, StatusLine

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def picker():
    picker = TemplatePicker()
    yield picker
    picker.close()


def everything_in(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything_in(child)


def only(picker, kind):
    (widget,) = [widget for widget in everything_in(picker) if isinstance(widget, kind)]
    return widget


def button(picker, text):
    buttons = [widget for widget in everything_in(picker) if isinstance(widget, Button)]
    (found,) = [button for button in buttons if button.description == text]
    return found


def marked(picker):
    buttons = [widget for widget in everything_in(picker) if isinstance(widget, Button)]
    return [
        (button.description, button.style.font_weight)
        for button in buttons
        if button.description.startswith("✔") or button.style.font_weight
    ]


def about(picker):
    return [widget for widget in everything_in(picker) if isinstance(widget, StatusLine)][0].text


def status(picker):
    return [widget for widget in everything_in(picker) if isinstance(widget, StatusLine)][1].text


def may_replace(picker):
    return button(picker, "Replace what is there").layout.display != "none"


def test_it_opens_on_the_first_template(picker):
    first = next(iter(templates().values()))
    assert picker.template == first
    assert marked(picker) == [(f"✔ {first.title}", "bold")]
    assert only(picker, CopyableText).text == first.text


@pytest.mark.parametrize("template", templates().values(), ids=templates())
def test_a_button_shows_the_program_and_what_it_needs(picker, template):
    if template != picker.template:
        button(picker, template.title).click()
    assert picker.template == template
    assert marked(picker) == [(f"✔ {template.title}", "bold")]
    assert only(picker, CopyableText).text == template.text
    assert only(picker, CopyableText).label == f"{template.name}.py"
    needed = (template.purpose, *template.files, template.install)
    assert all(what in about(picker) for what in needed)


def test_save_writes_the_files_and_says_which_and_where(picker, folder):
    button(picker, "Tool calls by a script").click()
    only(picker, Text).value = "mine"
    button(picker, "Save").click()
    assert {path.name for path in (folder / "mine").iterdir()} == {"tools.py", "dummy.py"}
    saved = status(picker)
    assert saved.startswith(f"✔ Saved tools.py in {(folder / 'mine').resolve()}")
    assert "beside it dummy.py" in saved and saved.endswith("python tools.py")
    button(picker, "Tool calls by a small local model").click()
    button(picker, "Save").click()
    assert "beside it huggingface.py and huggingface_fast/. Run" in status(picker)
    assert (folder / "mine" / "huggingface_fast" / "__init__.py").is_file()
    button(picker, "OpenAI-compatible server").click()
    assert status(picker) == ""
    button(picker, "Save").click()
    assert status(picker).startswith("✔ Saved openai_server.py in ") and "beside" not in status(picker)


def test_a_file_of_ones_own_is_replaced_only_by_the_button_that_says_so(picker, folder):
    mine = folder / "my_project" / "dummy.py"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert not may_replace(picker)
    button(picker, "Save").click()
    assert status(picker).startswith("✖ Nothing was written") and "dummy.py" in status(picker)
    assert may_replace(picker) and mine.read_text() == "mine"
    button(picker, "Replace what is there").click()
    assert status(picker).startswith("✔ Saved") and not may_replace(picker)
    assert "DummyModelClient" in mine.read_text(encoding="utf-8")


def test_to_replace_is_asked_anew_for_another_folder_or_another_template(picker, folder):
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "dummy.py").write_text("mine")
    only(picker, Text).value = "one"
    button(picker, "Save").click()
    assert may_replace(picker)
    only(picker, Text).value = "two"
    assert not may_replace(picker)
    button(picker, "Replace what is there").click()  # pressed before the page had heard of it
    assert (folder / "two" / "dummy.py").read_text() == "mine"
    assert may_replace(picker)
    button(picker, "Group chat with a speaker selector").click()
    assert not may_replace(picker)


@pytest.mark.parametrize("typed, reason", [("", "✖ Name a folder"), ("file/below", "✖ "), ("\0", "✖ ")])
def test_a_folder_that_can_not_be_is_refused_and_nothing_raised(picker, folder, typed, reason):
    (folder / "file").write_text("")
    only(picker, Text).value = typed
    button(picker, "Save").click()
    assert status(picker).startswith(reason)
    assert not may_replace(picker)


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
    text = picker._repr_mimebundle_()["text/plain"]
    assert text == repr(picker)
    assert "  ✔ tools_local         Tool calls by a small local model" in text.splitlines()
    assert text.count("✔") == 1
    assert all(template.title in text for template in templates().values())
    assert picker.template.facts in text


def test_every_control_has_a_name_and_nothing_is_drawn_as_html(picker):
    for widget in everything_in(picker):
        assert not isinstance(widget, (HTML, HTMLMath, ipywidgets.ToggleButtons))
        if isinstance(widget, (Button, Text)):
            assert widget.description
        if isinstance(widget, Button):
            assert widget.tooltip and widget.layout.width in ("auto", None)


def test_close_leaves_no_widget():
    before = set(_instances)
    picker = TemplatePicker()
    made = len(set(_instances) - before)
    picker.choose("tools")
    picker.save("mine")
    assert 0 < made < 40 and len(set(_instances) - before) == made, "a choice costs no widget"
    picker.close()
    assert set(_instances) == before
