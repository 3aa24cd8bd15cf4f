"""The slides of every lesson as a class sees them: a file in a browser, without a network."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # twelve decks, each walked to its end; tests/notebooks has what is on them
ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
WALK = """() => {
    // Go through all slides as with the space bar; return what each looks like when all of it is shown.
    const seen = [];
    for (let steps = 0; steps < 1000; steps++) {
        if (!Reveal.availableFragments().next) {
            const slide = Reveal.getCurrentSlide(), frame = slide.getBoundingClientRect();
            const parts = [...slide.querySelectorAll("pre, p, li, td, img, h1, h2, h3, summary")]
                .filter(part => !part.closest("aside"));
            const prose = [...slide.querySelectorAll(".jp-MarkdownCell :is(h1, h2, p, li)")]
                .filter(part => !part.closest("aside, table"));
            const boxes = parts.map(part => part.getBoundingClientRect()).filter(box => box.width);
            seen.push({
                place: Object.values(Reveal.getIndices()).slice(0, 2).join("."),
                text: slide.innerText.trim(),
                size: Math.min(...prose.map(part => parseFloat(getComputedStyle(part).fontSize))),
                scrolls: slide.scrollHeight > slide.clientHeight,
                hidden: boxes.filter(box => box.bottom > frame.bottom).length,
                wide: parts.filter(part => part.scrollWidth > part.clientWidth + 1 && part.clientWidth).length
                    + boxes.filter(box => box.right > frame.right + 1 || box.left < frame.left - 1).length,
                frame: [frame.left, frame.top, frame.right, frame.bottom].map(Math.round).join(" "),
                pictures: [...slide.querySelectorAll("img")].every(image => image.naturalWidth > 0),
            });
        }
        if (Reveal.isLastSlide() && !Reveal.availableFragments().next) return seen;
        Reveal.next();
    }
}"""


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """The folder with the slides of all lessons."""
    folder = tmp_path_factory.mktemp("slides")
    command = [sys.executable, "-m", "nbconvert", "--to", "slides", "--config", "notebooks/slides/config.py"]
    command += ["--output-dir", str(folder), *map(str, LESSONS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def page(browser):
    """A page of the size of a small projector, without a network, that notes whatever it asks for."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.context.set_offline(True)
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    page.close()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_slide_is_whole(page, slides, lesson):
    file = slides / f"{lesson.stem}.slides.html"
    page.goto(file.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    seen = page.evaluate(WALK)
    assert not page.errors
    assert [url for url in page.asked if not url.startswith("data:")] == [file.as_uri()]
    assert len(seen) == page.evaluate("Reveal.getTotalSlides()")
    assert all(slide["text"] for slide in seen)
    assert {slide["frame"] for slide in seen} == {"0 0 1280 720"}
    assert not [slide for slide in seen if slide["hidden"] or slide["wide"] or not slide["pictures"]]
    assert not [slide["place"] for slide in seen if slide["scrolls"]]
    assert min(slide["size"] for slide in seen) >= 28


def test_s_opens_the_notes_beside_the_slides(page, slides):
    page.goto((slides / f"{LESSONS[0].stem}.slides.html").as_uri() + "#/1")
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    speaker.wait_for_function(
        "text => document.querySelector('.speaker-controls-notes:not(.hidden)')?.innerText.includes(text)",
        arg=page.evaluate(
            "document.querySelector('section.present section.present aside p, "
            "section.present section.present aside li').textContent"
        ),
    )
    speaker.keyboard.press("ArrowRight")  # which moves the slides, too
    page.wait_for_function("JSON.stringify(Reveal.getIndices()) !== JSON.stringify({h: 1, v: 0})")
    assert not page.errors
