"""The pictures of the lessons: each is there, is described, and the diagrams are what their source draws."""

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
IMAGES = NOTEBOOKS / "images"
SOURCE = runpy.run_path(str(IMAGES / "diagrams.py"))
DIAGRAMS = {diagram.__name__: diagram for diagram in SOURCE["DIAGRAMS"]}


def shown():
    """Return the images in the cells of all lessons: their descriptions and their files."""
    cells = [cell for path in NOTEBOOKS.glob("*.ipynb") for cell in nbformat.read(path, as_version=4).cells]
    return [image for cell in cells for image in re.findall(r"!\[(.*?)\]\((.+?)\)", cell.source)]


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_what_its_source_draws_and_all_of_it_is_on_the_card(name):
    """python notebooks/images/diagrams.py writes them."""
    text = (IMAGES / f"{name}.svg").read_text(encoding="utf-8")
    assert text == SOURCE["svg"](DIAGRAMS[name])
    width, height, _ = DIAGRAMS[name]()
    for element in ElementTree.fromstring(text).iter():
        x, y = (float(element.get(side, 0)) for side in "xy")
        assert 0 <= x <= width and 0 <= y <= height
        if element.tag.endswith("text"):  # a letter takes about 7.6 pixels
            length, anchor = 7.6 * len(element.text), element.get("text-anchor")
            left = x - length * {"start": 0, "middle": 0.5, "end": 1}[anchor]
            assert left >= 0 and left + length <= width


def test_every_image_of_a_lesson_is_there_and_described_and_no_diagram_is_left_over():
    files = [file for _, file in shown()]
    assert {Path(file).stem for file in files} >= {*DIAGRAMS}
    for words, file in shown():
        assert (NOTEBOOKS / file).is_file()
        assert len(words) > 40
