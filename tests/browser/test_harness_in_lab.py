"""The harness itself: what it shows is real, and its checks can fail."""

import json
import urllib.request

import pytest
from lab import DARK, LIGHT, expect

pytestmark = pytest.mark.slow  # what it proves changes with the harness, and takes a page for each test
GREETER = """
import ipywidgets as w
name, button, answer = w.Text(description="Name"), w.Button(description="Greet"), w.Label()
button.on_click(lambda _: setattr(answer, "value", f"Hello {name.value}!"))
w.VBox([name, button, answer])
"""


def greet(lab, name):
    lab.output(0).get_by_label("Name").fill(name)
    lab.output(0).get_by_role("button", name="Greet").click()
    expect(lab.output(0)).to_contain_text(f"Hello {name}!")


def test_a_widget_is_typed_in_and_clicked_and_the_kernel_answers(lab):
    lab.open([GREETER, "print(6 * 7)"])
    assert lab.text(1).strip() == "42"
    greet(lab, "Ada")
    assert lab.errors == lab.dialogs == []


def test_a_cell_can_be_run_later_and_sees_what_was_typed(lab):
    lab.open([GREETER, "print(name.value)", "1 / 0", "print('not run')"], run=False)
    assert lab.text(0) == ""
    lab.run(0)
    greet(lab, "Grace")
    lab.run(1)
    assert lab.text(1).strip() == "Grace"
    lab.run(2)
    assert "ZeroDivisionError" in lab.text(2)
    assert lab.text(3) == ""


def test_running_all_cells_ends_at_one_that_fails(lab):
    lab.open(["1 / 0", "print('not run')"])
    assert "ZeroDivisionError" in lab.text(0)
    assert lab.text(1) == ""


def test_a_saved_notebook_holds_what_was_typed_into_a_widget(lab):
    lab.open([GREETER])
    greet(lab, "Tell-tale")
    saved = lab.save()
    assert saved == (lab.folder / "notebook.ipynb").read_text(encoding="utf-8")
    assert "Tell-tale" in json.dumps(json.loads(saved)["metadata"]["widgets"])


def test_axe_finds_an_input_without_a_name_and_looks_nowhere_else(lab):
    lab.open(["import ipywidgets as w\nw.IntSlider()", "w.Text(description='Name')"])
    slider = lab.output(0).locator(".widget-slider")
    expect(slider).to_be_visible()
    assert "aria-input-field-name" in [violation["rule"] for violation in lab.axe(slider)]
    text = lab.output(1).locator(".widget-text")
    expect(text).to_be_visible()
    assert lab.axe(text) == []
    assert lab.axe(".widget-slider") == lab.axe(slider)


def test_errors_and_dialogs_of_the_page_are_collected(lab):
    lab.open(["from IPython.display import Javascript\nJavascript('alert(1); setTimeout(() => nothing())')"])
    expect(lab.output(0)).to_be_attached()
    lab.page.wait_for_timeout(100)
    assert lab.dialogs == ["1"]
    assert lab.errors == ["nothing is not defined"]


@pytest.mark.parametrize(("lab", "light"), [(LIGHT, "true"), (DARK, "false")], indirect=["lab"])
def test_a_test_can_ask_for_a_theme(lab, light):
    lab.open([])
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-light", light)


def test_no_kernel_outlives_its_test(lab):
    def kernels():
        with urllib.request.urlopen(lab.address.removesuffix("lab") + "api/kernels") as reply:
            return len(json.load(reply))

    lab.open([])
    assert kernels() == 1
    lab.close()
    assert kernels() == 0
