"""The template picker in a real JupyterLab, as a person uses it, in both themes and in little room."""

import subprocess
import sys
from pathlib import Path

import pytest
from lab import DARK, LIGHT, expect

from kit.templates import templates

PICKER = "from kit import TemplatePicker\npicker = TemplatePicker()\npicker"
CLIENTS = Path(__file__).parents[2] / "kit" / "clients"


def open_picker(lab):
    lab.open([PICKER, "print(picker)", "picker.close()"], run=False)
    lab.run(0)
    picker = lab.output(0)
    expect(chosen(picker, "Dummy model")).to_be_visible()
    expect(program(picker, "dummy_model.py")).to_be_visible()
    return picker


def chosen(picker, title):
    return picker.get_by_role("button", name=title, pressed=True)


def program(picker, file):
    return picker.get_by_role("group", name=file)


def about(picker):
    return picker.get_by_role("status").nth(0)


def status(picker):
    return picker.get_by_role("status").nth(1)


def choose(picker, title):
    picker.get_by_role("button", name=title).click()
    expect(chosen(picker, title)).to_be_visible()


def press(lab, *keys):
    for key in keys:
        lab.page.keyboard.press(key)


def test_choose_and_save_and_the_program_runs(lab):
    picker = open_picker(lab)
    choose(picker, "A client of your own")
    expect(about(picker)).to_contain_text('pip install "autogen[openai]')
    expect(program(picker, "own_client.py")).to_contain_text("class MyModelClient:")
    expect(program(picker, "own_client.py").locator(".kit-code-keyword").first).to_be_visible()
    choose(picker, "Tool calls by a script")
    picker.get_by_label("Folder").fill("mine")
    picker.get_by_role("button", name="Save").click()
    expect(status(picker)).to_contain_text("✔ Saved tools.py in ")
    saved = lab.folder / "mine" / "tools.py"
    assert saved.read_text(encoding="utf-8") == templates()["tools"].text
    assert (saved.parent / "dummy.py").read_bytes() == (CLIENTS / "dummy.py").read_bytes()
    done = subprocess.run(
        [sys.executable, "tools.py"], cwd=saved.parent, capture_output=True, encoding="utf-8"
    )
    assert "It is 21 degrees in Paris." in done.stdout, done.stderr
    assert lab.errors == []


def test_by_keyboard_alone(lab):
    picker = open_picker(lab)
    chosen(picker, "Dummy model").focus()
    press(lab, "Tab", "Enter")
    expect(chosen(picker, "Hugging Face model by its name")).to_be_focused()
    press(lab, *["Tab"] * 7, "Space")
    expect(chosen(picker, "A client of your own")).to_be_focused()
    press(lab, "Tab")
    expect(picker.get_by_role("button", name="Copy")).to_be_focused()
    press(lab, "Tab")
    expect(program(picker, "own_client.py")).to_be_focused()
    before = lab.page.locator(".jp-Cell").count()
    press(lab, "ArrowDown", "ArrowDown", "x")  # they scroll, and are no shortcuts of the notebook
    expect(program(picker, "own_client.py")).to_be_focused()
    press(lab, "Tab")
    expect(picker.get_by_label("Folder")).to_be_focused()
    press(lab, "Control+a")
    lab.page.keyboard.type("dd")
    (lab.folder / "dd").mkdir()
    (lab.folder / "dd" / "own_client.py").write_text("mine")
    press(lab, "Tab", "Enter")
    expect(status(picker)).to_contain_text("✖ Nothing was written")
    replace = picker.get_by_role("button", name="Replace what is there")
    expect(replace).to_be_visible()
    press(lab, "Tab")
    expect(replace).to_be_focused()
    press(lab, "Enter")
    expect(status(picker)).to_contain_text("✔ Saved own_client.py in ")
    expect(picker.get_by_role("button", name="Save")).to_be_focused()
    assert (lab.folder / "dd" / "own_client.py").read_text("utf-8") == templates()["own_client"].text
    assert lab.page.locator(".jp-Cell").count() == before
    lab.run(1)
    assert "  ✔ own_client          A client of your own" in lab.text(1)
    assert lab.errors == []


@pytest.mark.slow
def test_the_program_is_copied_as_it_is_and_close_takes_the_picker_off_the_page(lab):
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    picker = open_picker(lab)
    choose(picker, "OpenAI-compatible server")
    picker.get_by_role("button", name="Copy").click()
    expect(picker.get_by_role("button", name="Copied")).to_be_visible()
    assert lab.page.evaluate("navigator.clipboard.readText()") == templates()["openai_server"].text
    lab.run(2)
    expect(picker.get_by_role("button")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize("lab", [LIGHT, DARK], indirect=True)
def test_axe_finds_nothing_and_480_pixels_are_enough(lab, tmp_path):
    picker = open_picker(lab)
    choose(picker, "Tool calls by a small local model")
    (lab.folder / "my_project").mkdir()
    (lab.folder / "my_project" / "huggingface.py").write_text("mine")
    picker.get_by_role("button", name="Save").click()
    expect(picker.get_by_role("button", name="Replace what is there")).to_be_visible()
    form = picker.locator(".kit-templates")
    assert lab.axe(form, everything=True) == []
    assert form.locator("pre").evaluate("program => program.scrollWidth - program.clientWidth") < 150
    lab.page.screenshot(path=tmp_path / "wide.png")
    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    lab.page.set_viewport_size({"width": 480, "height": 1100})
    form.scroll_into_view_if_needed()
    too_wide = """form => [form, ...form.querySelectorAll(':not(pre, pre *)')]  // a program scrolls by itself
        .filter(node => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
        .map(node => node.className)"""
    form.locator("pre").evaluate("program => { program.scrollTop = 300; }")
    assert form.evaluate(too_wide) == []
    assert 200 < form.bounding_box()["width"] < 480
    lab.page.screenshot(path=tmp_path / "narrow.png")


REPORT = """
from kit import Finding, Report
report = Report()
report.add(0, "the packages fit together", [])
report.add(2, "the list", [Finding("w", "a_long_word" * 12, "Take it out.", 2, warning=True)])
report.add(3, "every entry has its client", [Finding("e", "There is none.", "Register " + "it_" * 60, 3)])
report
"""


@pytest.mark.slow
@pytest.mark.parametrize("lab", [LIGHT, DARK], indirect=True)
def test_a_report_is_cards_without_a_finding_of_axe_at_480_pixels(lab, tmp_path):
    lab.open([REPORT])
    report = lab.output(0).locator(".kit-report")
    cards = report.locator(".kit-finding")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("There is none.")  # an error before the warning
    expect(report.get_by_text("the packages fit together")).to_be_hidden()
    report.get_by_text("1 check passed").click()
    expect(report.get_by_text("the packages fit together")).to_be_visible()
    assert lab.axe(report, everything=True) == []
    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    lab.page.set_viewport_size({"width": 480, "height": 900})
    assert report.evaluate("report => report.scrollWidth - report.clientWidth") <= 1
    assert 200 < report.bounding_box()["width"] < 480
    lab.page.screenshot(path=tmp_path / "report.png")
