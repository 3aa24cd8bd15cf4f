"""Slides of the lessons: a configuration of nbconvert. In the kit's folder,

    .venv/bin/jupyter nbconvert --to slides --config notebooks/slides/config.py notebooks/[01]*.ipynb

writes notebooks/slides/03_register_and_chat.slides.html and so on: each is one file, and showing it needs no
network. The notebooks hold nothing about slides, so nothing can drift; a slide type in one is kept.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
REVEAL = HERE / "reveal.js"  # a folder that is fetched once
WHEEL = "sphinx_revealjs-3.2.1-py3-none-any.whl"  # which carries reveal.js 5.2.0, under the MIT licence
WHEEL_SHA256 = "805bed3ca459346e0f01967d5ed1c40d6b7b917de1541e1e4566c8341fe7017b"
ROOM = 656  # pixels of height on a slide; one that needs more is drawn smaller, see slides.html.j2
TIGHT = 1.3 * ROOM  # what a text and the code that it leads to may take, rather than stand on two slides


class SlideTypes(Preprocessor):
    """Gives each cell its slide type, and leaves out what a class does in its own notebooks."""

    def preprocess(self, nb, resources):
        nb.cells = list(for_the_wall(nb.cells))
        nb.metadata["title"] = nb.cells[0].source.splitlines()[0].lstrip("# ")
        used = 0  # pixels of this slide so far
        leading = False  # whether all of this slide so far is one text
        prediction = ""  # "asked", then "seen": an outcome waits for a key, and so does what explains it
        for cell, following in zip(nb.cells, [*nb.cells[1:], None], strict=True):
            size = needed = height(cell)
            if is_text(cell) and following and not is_text(following) and size + height(following) < TIGHT:
                needed += height(following)
            if is_text(cell) and cell.source.startswith("#"):
                kind, used, prediction = "slide", 0, ""
            elif used and used + needed > (TIGHT if leading and not is_text(cell) else ROOM):
                kind, used, prediction = "subslide", 0, "asked" if prediction == "asked" else ""
            elif is_text(cell) and prediction == "seen":
                kind, prediction = "fragment", ""
            else:
                kind = "-"
            leading = is_text(cell) and used == 0
            used += size
            if "**Predict" in cell.source:
                prediction = "asked"
            elif prediction and cell.get("outputs"):
                prediction = "seen"
                cell.metadata["tags"] = [*cell.metadata.get("tags", []), "predicted"]  # see slides.html.j2
            cell.metadata.setdefault("slideshow", {}).setdefault("slide_type", kind)
        return nb, resources


def for_the_wall(cells):
    """Return the cells that are shown, a text with several headings as several."""
    cells = [cell for cell in cells if cell.source.strip()]
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if is_text(cell):
            leads_on = len(cell.source) < 120 and not re.search(r"\*\*Predict|^#", cell.source, re.M)
            if following and is_private(following) and leads_on:
                continue  # "Your guess, against what happened:"
            source = re.sub(r"<details>.*?</details>", "", cell.source, flags=re.S).strip()
            for number, part in enumerate(re.split(r"\n(?=## |\*\*Key points)", source)):
                if part and not re.match(r"Solutions?\b.*\]\(solutions/", part):
                    own = {"id": f"{cell.id}-{number}", "metadata": NotebookNode(cell.metadata)}
                    yield NotebookNode(cell, source=part, **own)
        elif not is_private(cell):
            yield cell


def is_text(cell):
    return cell.cell_type == "markdown"


def is_private(cell):
    """Return whether a cell is a learner's own: a guess, or a check of an answer."""
    private = r"\b(check_\d\w*|predicted_\w+)\(|^guess\w* = \.\.\."
    return not is_text(cell) and bool(re.search(private, cell.source, re.M))


def height(cell):
    """Return about how many pixels of height a cell takes with the fonts of slides.css."""
    if is_text(cell):
        return text_height(cell.source)
    pixels = 26 * len(cell.source.splitlines()) + 30
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            pixels += 420
        elif "text/html" in data:
            pixels += 42 * (data["text/html"].count("<tr") + 1)
        else:
            shown = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", []))
            pixels += 26 * sum(len(line) // 95 + 1 for line in shown.splitlines()) + 12
    return pixels


def text_height(source):
    pixels = 0
    for paragraph in re.split(r"\n\n+", source):
        for line in paragraph.splitlines():
            if line.startswith("#"):
                pixels += 60
            elif line.startswith("|"):
                pixels += 42 * (len(line) // 110 + 1)
            elif line.startswith("!["):
                pixels += 420
            else:
                pixels += 34 * (len(line) // 100 + 1)
        pixels += 24
    return pixels


def fetch_reveal():
    """Put reveal.js beside this file, unless it is there: 2.4 MB from the Python package index."""
    if REVEAL.is_dir():
        return
    with tempfile.TemporaryDirectory(dir=HERE, prefix="reveal.js-") as work:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--dest", work, "sphinx-revealjs==3.2.1"]
        subprocess.run(command, check=True)
        wheel = Path(work, WHEEL)
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
            raise RuntimeError(f"{WHEEL} is not the expected file. Fetch it from the package index itself.")
        folder = Path(work, "folder")
        folder.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for name in ("dist/reveal.js", "dist/reveal.css", "LICENSE"):
                member = f"sphinx_revealjs/_static/revealjs/{name}"
                (folder / Path(name).name).write_bytes(archive.read(member))
        folder.rename(REVEAL)  # in one step: the folder is complete or not there


fetch_reveal()
c = get_config()  # noqa: F821 - nbconvert brings it
c.SlidesExporter.preprocessors = [SlideTypes]
c.SlidesExporter.template_file = str(HERE / "slides.html.j2")
c.SlidesExporter.extra_template_paths = [str(HERE), str(REVEAL)]
c.SlidesExporter.embed_images = True
c.FilesWriter.build_directory = str(HERE)
