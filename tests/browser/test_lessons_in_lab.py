"""What a learner does in a lesson's form, in the lesson's own notebook."""

import json
import shutil
from pathlib import Path

from lab import expect

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def visit(lab, name):
    """Open a copy of a lesson; return a function that finds a code cell by a part of its text."""
    shutil.copy(NOTEBOOKS / f"{name}.ipynb", lab.folder)
    shutil.copytree(NOTEBOOKS / "checks", lab.folder / "checks", dirs_exist_ok=True)
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]

    def find(text):
        (index,) = [index for index, source in enumerate(sources) if text in source]
        return index

    lab.visit(f"{name}.ipynb")
    return find


def test_lesson_02_the_form_as_the_text_asks(lab):
    find = visit(lab, "02_add_the_config")
    lab.run_all()
    check = find("check_2d(")
    assert "2d: right" not in lab.text(check)
    form = lab.output(find("\nbuilder = ConfigListBuilder(")).locator(".kit-builder")

    def enter(label, text):
        form.get_by_label(label, exact=True).fill(text)
        lab.page.keyboard.press("Enter")

    form.get_by_role("button", name="+ Add entry").click()
    form.get_by_role("menuitem", name="Dummy").click()
    expect(form.get_by_label("Model", exact=True)).to_have_value("dummy")
    expect(form.get_by_label("Model", exact=True)).to_be_focused()  # else the focus leaves the next input
    enter("Model", "canary")
    enter("Temperature", "1.5")
    expect(form).to_contain_text("1.5 is not allowed")
    lab.run(check)
    assert "2d: right" not in lab.text(check)
    enter("Temperature", "")
    form.locator("summary").filter(has_text="Sampling").click()
    enter("Choices (n)", "2")
    lab.settle()
    lab.run(check)
    assert lab.text(check).strip().startswith("✔ 2d: right!")
    assert lab.errors == lab.dialogs == []
