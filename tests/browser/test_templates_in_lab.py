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
    expect(picker.get_by_role("button", name="✔ Dummy model")).to_be_visible()
    expect(picker.get_by_role("region", name="dummy_model.py")).to_be_visible()
    return picker


def about(picker):
    return picker.get_by_role("status").nth(0)


def status(picker):
    return picker.get_by_role("status").nth(1)


def choose(picker, title):
    picker.get_by_role("button", name=title).click()
    expect(picker.get_by_role("button", name=f"✔ {title}")).to_be_visible()


def press(lab, *keys):
    for key in keys:
        lab.page.keyboard.press(key)


def test_choose_and_save_and_the_program_runs(lab):
    picker = open_picker(lab)
    choose(picker, "A client of your own")
    expect(about(picker)).to_contain_text('pip install "autogen[openai]')
    expect(picker.get_by_role("region", name="own_client.py")).to_contain_text("class MyModelClient:")
    choose(picker, "Tool calls by a script")
    picker.get_by_label("Folder").fill("mine")
    picker.get_by_role("button", name="Save").click()
    expect(status(picker)).to_contain_text("✔ Saved tools.py in ")
    program = lab.folder / "mine" / "tools.py"
    assert program.read_text(encoding="utf-8") == templates()["tools"].text
    assert (program.parent / "dummy.py").read_bytes() == (CLIENTS / "dummy.py").read_bytes()
    done = subprocess.run(
        [sys.executable, "tools.py"], cwd=program.parent, capture_output=True, encoding="utf-8"
    )
    assert "It is 21 degrees in Paris." in done.stdout, done.stderr
    assert lab.errors == []


def test_by_keyboard_alone(lab):
    picker = open_picker(lab)
    picker.get_by_role("button", name="✔ Dummy model").focus()
    press(lab, "Tab", "Enter")
    chosen = picker.get_by_role("button", name="✔ Hugging Face model by its name")
    expect(chosen).to_be_focused()
    press(lab, *["Tab"] * 7, "Space")
    expect(picker.get_by_role("button", name="✔ A client of your own")).to_be_focused()
    press(lab, "Tab")
    expect(picker.get_by_role("button", name="Copy own_client.py")).to_be_focused()
    press(lab, "Tab")
    expect(picker.get_by_role("region", name="own_client.py")).to_be_focused()
    before = lab.page.locator(".jp-Cell").count()
    press(lab, "ArrowDown", "ArrowDown", "x")  # they scroll, and are no shortcuts of the notebook
    expect(picker.get_by_role("region", name="own_client.py")).to_be_focused()
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
    picker.get_by_role("button", name="Copy openai_server.py").click()
    expect(picker.get_by_role("button", name="Copied")).to_be_visible()
    assert lab.page.evaluate("navigator.clipboard.readText()") == templates()["openai_server"].text
    lab.run(2)
    expect(picker.get_by_role("button")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize("lab", [LIGHT, DARK], indirect=True)
def test_axe_finds_nothing_serious_and_480_pixels_are_enough(lab, tmp_path):
    picker = open_picker(lab)
    choose(picker, "Tool calls by a small local model")
    (lab.folder / "my_project").mkdir()
    (lab.folder / "my_project" / "huggingface.py").write_text("mine")
    picker.get_by_role("button", name="Save").click()
    expect(picker.get_by_role("button", name="Replace what is there")).to_be_visible()
    form = picker.locator(".kit-form")
    assert lab.axe(form) == []
    assert form.locator("pre").evaluate("program => program.scrollWidth - program.clientWidth") < 150
    lab.page.screenshot(path=tmp_path / "wide.png")
    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    lab.page.set_viewport_size({"width": 480, "height": 1100})
    form.scroll_into_view_if_needed()
    too_wide = """form => [form, ...form.querySelectorAll('*:not(pre)')]  // a program scrolls by itself
        .filter(node => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
        .map(node => node.className)"""
    form.locator("pre").evaluate("program => { program.scrollTop = 300; }")
    assert form.evaluate(too_wide) == []
    assert 200 < form.bounding_box()["width"] < 480
    lab.page.screenshot(path=tmp_path / "narrow.png")
