"""Run lessons in a real JupyterLab and take pictures of them: `python tests/browser/screenshots.py`.

Needs tests/requirements.txt and a Chromium on the PATH. Pictures go to the folder given, one for
each lesson, theme and place; name them after `LESSON:TEXT` to scroll to the heading TEXT.

    python tests/browser/screenshots.py /tmp/pictures "02_add_the_config:The form" 04_hugging_face_model
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from lab import DARK, LIGHT, Lab, browser, jupyterlab

ROOT = Path(__file__).resolve().parents[2]


def main(target, places):
    """Take a picture of each place in the light and the dark theme."""
    Path(target).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, browser() as chromium:
        shutil.copytree(ROOT / "notebooks", Path(root, "notebooks"))  # the lessons stay as they are
        shutil.copy(ROOT / "requirements.txt", root)  # which lesson 00 reads
        for theme in (LIGHT, DARK):
            with jupyterlab(root, theme) as address:
                size = {"width": 1280, "height": 1500}
                lab = Lab(chromium, address, Path(root, "notebooks"), viewport=size)
                lab.page.set_default_timeout(120_000)  # the first reply of a model takes its time
                for place in places:
                    lesson, _, heading = place.partition(":")
                    lab.visit(f"{lesson}.ipynb")
                    lab.run_all()
                    if heading:
                        found = lab.page.get_by_role("heading", name=heading, exact=True)
                        found.evaluate("heading => heading.scrollIntoView({block: 'start'})")
                    lab.page.wait_for_timeout(1500)
                    name = re.sub(r"\W+", "_", f"{lesson} {heading} {theme.split()[-1]}").lower()
                    lab.page.screenshot(path=f"{target}/{name}.png")
                    print(f"{target}/{name}.png", flush=True)
                lab.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["02_add_the_config:The form", "04_hugging_face_model"])
