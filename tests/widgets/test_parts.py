"""The two pieces of our own, and what closing leaves behind."""

import pytest
import traitlets
from ipywidgets import HTML, Button, Layout, VBox
from ipywidgets.widgets.widget import _instances

from kit.widgets.parts import CopyableText, StatusLine, close_all

PIECES = pytest.mark.parametrize("make", [StatusLine, lambda text: CopyableText("JSON", text)])
PAGE = '<img src=x onerror="alert(1)">&amp; größer\n日本'


@PIECES
def test_a_text_goes_to_the_page_as_it_is(make):
    piece = make(PAGE)
    assert piece.get_state()["text"] == repr(piece) == PAGE
    assert "innerHTML" not in piece._esm and 'textContent = model.get("text")' in piece._esm


@PIECES
@pytest.mark.parametrize("wrong", [None, 5, ["a"]])
def test_what_is_no_text_is_refused_and_the_old_one_stays(make, wrong):
    piece = make("before")
    with pytest.raises(traitlets.TraitError, match="'text' trait"):
        piece.text = wrong
    assert repr(piece) == "before"


def test_each_piece_has_the_class_that_its_style_is_for():
    for piece, name in ((StatusLine(), "kit-status"), (CopyableText("JSON"), "kit-text")):
        assert name in piece.get_state()["_dom_classes"]
        assert f".{name}" in piece._css


def test_the_line_is_announced_and_the_text_is_named_for_those_who_do_not_see_it():
    assert 'setAttribute("role", "status")' in StatusLine._esm
    copyable = CopyableText("JSON")
    assert copyable.get_state()["label"] == "JSON"
    assert 'setAttribute("aria-label", model.get("label"))' in copyable._esm


# close_all


@pytest.fixture
def new():
    """Return the open widgets that the test has made."""
    before = set(_instances)
    yield lambda: [widget for key, widget in _instances.items() if key not in before]
    for key in set(_instances) - before:
        _instances[key].close()


def test_a_box_is_closed_with_all_that_is_in_it(new):
    inner = VBox([Button(description="a"), StatusLine("b")])
    box = VBox([inner, CopyableText("JSON", "c")], layout=Layout(width="50%"))
    assert len(new()) > 8  # layouts and styles, too
    close_all(box)
    assert new() == []


def test_closing_a_box_alone_leaves_its_parts(new):
    box = VBox([HTML("a")])
    box.close()
    assert new(), "if ipywidgets closed them itself, close_all were not needed"


def test_what_is_to_be_kept_stays_open_with_what_is_in_it(new):
    layout, button = Layout(), Button(description="kept")
    box = VBox([button, HTML("closed", layout=layout)])
    close_all(box, keep=[layout, button])
    assert set(new()) == {layout, button, button.layout, button.style}
    assert button.comm is not None


def test_several_roots_and_a_part_of_both_are_closed_once(new):
    shared = HTML("shared")
    closed = []
    one, two = VBox([shared]), VBox([shared])
    shared.observe(lambda change: closed.append(change["new"]), names="comm")
    close_all(one, two)
    assert new() == []
    assert closed == [None]


def test_a_widget_that_holds_itself_is_closed_too(new):
    box = VBox()
    box.children = [box]
    close_all(box)
    assert new() == []


def test_closing_twice_or_nothing_is_no_error(new):
    box = VBox([HTML("a")])
    close_all(box)
    close_all(box)
    close_all()
    assert new() == []


def test_a_widget_with_a_close_of_its_own_is_not_asked_to(new):
    class Form(VBox):
        def close(self):
            close_all(self)

    form = Form([HTML("a")])
    form.close()  # else this would never end
    assert new() == []
    assert form.comm is None
