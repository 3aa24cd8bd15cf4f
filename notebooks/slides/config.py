"""Slides of the lessons: a configuration of nbconvert. In the kit's folder,

    .venv/bin/jupyter nbconvert --to slides --config notebooks/slides/config.py notebooks/[01]*.ipynb

writes notebooks/slides/03_register_and_chat.slides.html and so on: each is one file, and showing it needs no
network. The notebooks hold nothing about slides: what a slide shows of a text is chosen here, by rules that
know no lesson, and the whole text is in the speaker's notes.
"""

import ast
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from nbconvert.filters import strip_ansi
from nbconvert.preprocessors import Preprocessor
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

HERE = Path(__file__).resolve().parent
REVEAL = HERE / "reveal.js"  # a folder that is fetched once
WHEEL = "sphinx_revealjs-3.2.1-py3-none-any.whl"  # which carries reveal.js 5.2.0, under the MIT licence
WHEEL_SHA256 = "805bed3ca459346e0f01967d5ed1c40d6b7b917de1541e1e4566c8341fe7017b"
WORDS = 40  # of prose on a slide
SENTENCE = 25  # words of a sentence that is shown whole, if it can be cut after a clause
SHORT = 20  # words of a paragraph that is shown whole, where there is room
LINES = 12  # of code, and of an output
ROWS = 14  # lines of code and output for which a slide has room below 40 words
WIDTH = 98  # characters of a line of code
KEY = r"\*\*[^*]+ [^*]+ [^*]+\*\*"  # what is bold matters, unless it is the label of a button
CUT = "… (in the notebook)"


class Slides(Preprocessor):
    """Makes the cells of a lesson into those of its slides."""

    def preprocess(self, nb, resources):
        nb.metadata["title"] = nb.cells[0].source.splitlines()[0].lstrip("# ")
        nb.cells = [cell for slide in slides_of(nb.cells) for cell in slide.cells()]
        return nb, resources


class Slide:
    """A title, a few sentences of a text, one thing to look at, and the speaker's notes."""

    def __init__(self, kind, title):
        self.kind = kind  # for reveal.js: a "slide" begins a topic, a "subslide" goes on with it
        self.title = title
        self.texts = []  # paragraphs, of which as much is shown as there is room for
        self.things = []  # a list, a table, a diagram or code; a short piece of code may follow a list
        self.outputs = []
        self.notes = []
        self.rows = 0  # lines of code, or what is as high
        self.full = False

    def has_room(self, kind, source):
        if self.full:
            return False
        if kind == "text":
            return self.asks() or not self.things and not (self.texts and "**Predict" in source)
        if kind in ("code", "output"):
            return (kind == "output" or all(map(is_list, self.things))) and self.rows + rows(source) <= ROWS
        if kind == "list" and is_choice(source) and words("\n".join([*self.said(source), source])) > WORDS:
            return not self.texts and not self.things  # the question first, and once more with the choices
        return not self.things and not (kind == "image" and words("\n".join(self.texts)) > 15)

    def said(self, *things):
        """Return what is said of the texts, above some things."""
        lists = sum(words(thing) for thing in things if is_list(thing))
        return choose(self.texts, WORDS - words(self.title) - lists, leads=bool(things))

    def begun(self):
        return bool(self.texts or self.things or self.outputs)

    def asks(self):
        return any(map(is_choice, self.things))

    def add(self, kind, source, least):
        """Take a part of a cell; return what of a list has to go on the next slide."""
        rest = ""
        if kind == "text" and not self.asks():  # what follows choices says where to write the answer
            self.texts.append(source)
        elif kind == "list":
            room = WORDS - words(self.title) - 14 * bool(self.texts)
            voted = is_choice(source) and (words(source) <= WORDS or not self.title.startswith("## Exercise"))
            shown, source, rest = (source, source, "") if voted else fit_list(source, room, least)
            self.things.append(shown)
        elif kind == "code":
            self.things.append(cut_code(source))
        elif kind == "output":
            self.outputs = source
        elif kind == "image" or kind == "table" and is_small(source):
            self.things.append(source)
        if kind in ("text", "list") or kind in ("table", "code") and source not in self.things:
            self.notes.append(source)
        self.rows += rows(source)
        return rest

    def cells(self):
        shown = [self.title, *self.said(*self.things), *self.things]
        lists = "\n".join(part for part in shown if not part.startswith(("```", "|", "![")))
        if self.asks() and words(lists) > WORDS >= words(lists) - words(self.title):
            shown.pop(0)  # rather than a part of a question
        shown = "\n\n".join(shown)
        yield new_markdown_cell(shown, metadata={"slideshow": {"slide_type": self.kind}})
        if self.notes:  # before the outputs: reveal.js reads no notes in what waits for a key
            yield new_markdown_cell("\n\n".join(self.notes), metadata={"slideshow": {"slide_type": "notes"}})
        if self.outputs:
            # It waits for a key below its code, so that a class can say what it expects.
            kind = "fragment" if self.things else "-"
            metadata = {"slideshow": {"slide_type": kind}, "transient": {"remove_source": True}}
            yield new_code_cell("", outputs=self.outputs, metadata=metadata)


def slides_of(cells):
    """Return the slides of a notebook's cells."""
    slides = []
    for cell in for_the_wall(cells):
        if slides and is_text(cell):
            slides[-1].full = slides[-1].begun()  # another text is another thought
        for kind, source in parts(cell):
            if kind == "heading":
                bold = source.startswith("*")  # "**Key points**"
                slides.append(
                    Slide(*(("subslide", f"## {source.strip('*:')}") if bold else ("slide", source)))
                )
                continue
            while source:
                if not slides[-1].has_room(kind, source):
                    before = slides[-1]
                    slides.append(Slide("subslide", before.title))
                    if kind == "list" and is_choice(source):
                        said = [sentence for text in before.texts for sentence in sentences(text)]
                        slides[-1].texts = [sentence for sentence in said if sentence.endswith("?")][-1:]
                header = not any(slide.kind == "slide" for slide in slides[1:])
                source = slides[-1].add(kind, source, least=6 if header else 12)
    return slides


def for_the_wall(cells):
    """Return the cells that are shown: not what a learner does alone, nor what leads to it."""
    cells = [cell for cell in cells if cell.source.strip() and slide_type(cell) != "skip"]
    topics = 0
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        topics += is_text(cell) and cell.source.startswith("#")
        leads_on = len(cell.source) < 120 and not re.search(r"\*\*Predict|^#", cell.source, re.M)
        if is_private(cell) or is_text(cell) and following and is_private(following) and leads_on:
            continue  # "Your guess, against what happened:"
        if topics > 1 or cell is cells[0]:  # between them: "Housekeeping, as before:"
            yield cell


def parts(cell):
    """Yield the parts of a cell, each with its kind."""
    if not is_text(cell):
        yield "code", f"````ipython3\n{cell.source}\n````"
        if cell.outputs:
            yield "output", cut_outputs(cell.outputs)
        return
    source = re.sub(r"<details>.*?</details>", "", cell.source, flags=re.S)
    for part in re.findall(r"^```[\s\S]*?^```|^#.*|(?:^(?!```|#).*\S.*\n?)+", source, re.M):
        part = part.strip()
        if re.fullmatch(r"#.*|\*\*[^*]+\*\*", part):
            yield "heading", part
        elif not re.match(r"(Next|Solutions?)\b.*\.ipynb\)", part):
            kinds = {"```": "code", "|": "table", "![": "image"}
            kind = next((kinds[mark] for mark in kinds if part.startswith(mark)), "text")
            yield "list" if is_list(part) else kind, part


def is_text(cell):
    return cell.cell_type == "markdown"


def slide_type(cell):
    return cell.metadata.get("slideshow", {}).get("slide_type")


def is_private(cell):
    """Return whether a cell is a learner's own: a guess, or a check of an answer."""
    private = r"\b(check_\d\w*|predicted_\w+)\(|^guess\w* = \.\.\."
    return not is_text(cell) and bool(re.search(private, cell.source, re.M))


def is_list(part):
    return bool(re.match(r"([-*]|\d+\.) ", part))


def is_choice(part):
    """Return whether a class votes on the items of a list: `- **a** Paris`."""
    return bool(re.match(r"- \*\*\w\*\* ", part))


def is_small(table):
    return len(table.splitlines()) <= 2 + 6 and words(table) <= 90


def words(text):
    """Return how many words of a text are seen."""
    text = re.sub(r"\]\([^)]*\)|^(#+|[-*]|\d+\.) |[*|`]", " ", text, flags=re.M)
    return len(text.split())


def rows(part):
    """Return how many lines of code are as high as a part."""
    if isinstance(part, list):
        return sum(
            ROWS if "image/png" in output.get("data", {}) else len(chunks(text_of(output))) for output in part
        )
    if part.startswith("```"):
        return len(chunks(cut_code(part))) - 2
    return sum(1.7 * (len(line) // 75 + 1) for line in part.splitlines()) if is_list(part) else 0


def chunks(text):
    """Return the lines of a text as they are broken on a slide."""
    lines = strip_ansi(text).rstrip("\n").split("\n")
    return [line[start : start + WIDTH] for line in lines for start in range(0, max(len(line), 1), WIDTH)]


def sentences(paragraph):
    """Return the sentences of a paragraph; what is bold, code or in brackets stays whole."""
    found = [""]
    end = r"(?:(?<=[.?!])|(?<=[.?!][*)\"”])|(?<=[.?!]\*\*))(?<!e\.g\.)(?<!i\.e\.)\s+(?=[A-Z`*(\[\"“\d])"
    for piece in re.split(end, " ".join(paragraph.split())):
        if is_whole(found[-1]):
            found.append(piece)
        else:
            found[-1] += " " + piece
    return found[1:]


def is_whole(text):
    plain = re.sub(r"`[^`]*`", "", text)
    return "`" not in plain and plain.count("*") % 2 == 0 and plain.count("(") == plain.count(")")


def shorten(sentence, limit, tight=False):
    """Return a sentence without what is in brackets, up to a clause if it is too long; "" if it still is."""
    text = re.sub(r"\s\((?:`[^`]*`|[^()`])*\)", "", sentence)
    if words(text) <= limit:
        return text
    for clause in (
        r"[:;] |, (?=(?:and|or|but|so|which|who|because|unless|if|as|where|when|until|not|with) )",
        r",? (?=(?:before|after|when|where|while|without|until|because|with|that) )",
        r",? (?=(?:in|for|from|by|to|and) )" if tight else "$.",  # which ends no sentence, but an objective
    ):
        heads = [text[: match.start()] for match in re.finditer(clause, text)]
        heads = [
            head.rstrip(",") for head in heads if is_whole(head) and 4 - 2 * tight < words(head) <= limit
        ]
        if heads:
            return heads[-1] + "…"
    return ""


def choose(paragraphs, room, leads):
    """Return what is said of some paragraphs in so many words. A prediction is always whole."""
    ranked = []
    for number, paragraph in enumerate(paragraphs):
        asked = False
        said = sentences(paragraph)
        for place, sentence in enumerate(said):
            asked = asked or "**Predict" in sentence
            last = (number, place) == (len(paragraphs) - 1, len(said) - 1)
            follows = place == 1 and (said[0].endswith(("?", "?**")) or words(said[0]) < 5)
            lead = leads and last and sentence.endswith(":")
            order = [asked, lead, re.search(KEY, sentence), place == 0, follows or words(paragraph) <= SHORT]
            if any(order) and not (sentence.startswith("(") and not asked):
                ranked.append((next(filter(order.__getitem__, range(5))), number, place, sentence))
    taken = {}
    for rank, number, place, sentence in sorted(ranked):
        short = sentence if rank == 0 else shorten(sentence, min(room, SENTENCE)) or shorten(sentence, room)
        if short:
            taken[number, place] = short
            room -= words(short)
    if ranked and not taken and room > 5:
        plain = re.sub(r"[*`]", "", min(ranked)[-1])
        return [" ".join(plain.split()[:room]) + "…"]
    said = {}
    for number, place in sorted(taken):
        said.setdefault(number, []).append(taken[number, place])
    return [" ".join(parts) for parts in said.values()]


def fit_list(source, room, least):
    """Return the items of a list that fit in so many words, what they are in full, and the other items."""
    items = [re.match(r"(\S+ +)([\s\S]*)", item).groups() for item in re.split(r"\n(?=[-*] |\d+\. )", source)]
    ends = ",;." if items[0][1].endswith((",", ";")) else ""
    for pages in range(1, len(items) + 1):
        count = -(-len(items) // pages)  # on the first page, of pages of about the same length
        full, rest = (
            "\n".join(mark + item for mark, item in part) for part in (items[:count], items[count:])
        )
        for limit in range(SENTENCE, least - 1, -1):
            short = [
                (mark, shorten(sentences(item)[0].rstrip(ends), limit, least < 12))
                for mark, item in items[:count]
            ]
            shown = "\n".join(mark + item for mark, item in short)
            if all(item for mark, item in short) and words(shown) <= room:
                return shown, full, rest
    return items[0][0] + " ".join(re.sub(r"[*`]", "", items[0][1]).split()[:room]) + "…", full, rest


def cut_code(fence):
    """Return a piece of code; if it is too long, without its imports, and up to a statement."""
    first, *lines, last = fence.splitlines()
    if len(chunks("\n".join(lines))) <= LINES:
        return fence
    begin, starts = statements(lines)
    lines = [*lines[begin:], ""]
    ends = [number - begin for number in starts if begin + LINES // 2 <= number] + [len(lines) - 1]
    ends = [end for end in ends if len(chunks("\n".join(lines[:end]))) < LINES] or [LINES - 1]
    indent = {end: len(lines[end]) - len(lines[end].lstrip()) for end in ends}
    end = min(ends, key=lambda end: (indent[end], -end))
    return "\n".join([first, "\n".join(lines[:end]).rstrip(), " " * indent[end] + "# " + CUT, last])


def statements(lines):
    """Return on which line a program begins, after its imports, and on which lines a statement does."""
    try:
        tree = ast.parse("\n".join("pass" if line.startswith(("%", "!")) else line for line in lines))
    except SyntaxError:  # not Python
        return 0, range(len(lines))

    def line(node):
        return min(part.lineno for part in [node, *getattr(node, "decorator_list", [])]) - 1

    starts = sorted(line(node) for node in ast.walk(tree) if isinstance(node, ast.stmt))
    ahead = (ast.Import, ast.ImportFrom, ast.Pass)
    body = [node for node in tree.body if not isinstance(node, ahead) and not is_docstring(node)]
    return line(body[0]) if body else 0, starts


def is_docstring(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def text_of(output):
    return (
        output.get("text")
        or output.get("data", {}).get("text/plain")
        or "\n".join(output.get("traceback", []))
    )


def cut_outputs(outputs):
    """Return the first lines of some outputs."""
    kept, room = [], LINES
    for output in outputs:
        lines = chunks(text_of(output))
        if len(lines) > room:
            return [*kept, new_output("stream", text="\n".join([*lines[: max(room - 1, 0)], CUT]))]
        kept.append(output)
        room -= len(lines)
    return kept


def fetch_reveal():
    """Put reveal.js beside this file, unless it is there: 2.4 MB from the Python package index."""
    if Path(REVEAL, "notes.js").is_file():
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
            for name in ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js", "LICENSE"):
                content = archive.read(f"sphinx_revealjs/_static/revealjs/{name}")
                if name.endswith(".js"):  # it will stand in an HTML file, where "<!--" would begin a comment
                    content = content.replace(b"<!--", rb"\x3C!--")
                (folder / Path(name).name).write_bytes(content)
        shutil.rmtree(REVEAL, ignore_errors=True)  # as it was without the notes
        folder.rename(REVEAL)  # in one step: the folder is complete or not there


fetch_reveal()
c = get_config()  # noqa: F821 - nbconvert brings it
c.SlidesExporter.preprocessors = [Slides]
c.SlidesExporter.template_file = str(HERE / "slides.html.j2")
c.SlidesExporter.extra_template_paths = [str(HERE), str(REVEAL)]
c.SlidesExporter.embed_images = True
c.FilesWriter.build_directory = str(HERE)
