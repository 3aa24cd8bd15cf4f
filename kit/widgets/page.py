"""What the pages of all widgets share: their files, and what is shown where no widget can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def page(name: str) -> str:
    """Return a widget's own file, `chat.js` or `chat.css`, below what all of them share.

    As a text: of a path, anywidget would watch the file, and keep every widget alive for that.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    shared, own = ((HERE / file).read_text(encoding="utf-8") for file in (f"page{suffix}", name))
    if suffix == ".css":  # its own rules count more, wherever another widget's style repeats what is shared
        own = own.replace(f".kit-{stem} ", f".kit-page.kit-{stem} ")
    return f"{shared}\n{own}"


def with_fallback(bundle: Any, text: str, html: str) -> Any:
    """Return what a widget gives the front end, with a text and a page for whoever can't show a widget."""
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    if not isinstance(data, dict):
        return bundle
    return {**data, "text/plain": text, "text/html": html}, metadata
