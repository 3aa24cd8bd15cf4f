"""What the pages of all widgets share: their files, and what is shown where no widget can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def page(name: str) -> str:
    """Return a widget's own file, `chat.js` or `chat.css`, below what all of them share.

    As a text: of a path, anywidget would watch the file, and keep every widget alive for that.
    """
    shared = HERE / f"page{Path(name).suffix}"
    return f"{shared.read_text(encoding='utf-8')}\n{(HERE / name).read_text(encoding='utf-8')}"


def with_fallback(bundle: Any, text: str, html: str) -> Any:
    """Return what a widget gives the front end, with a text and a page for whoever can't show a widget."""
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    if not isinstance(data, dict):
        return bundle
    return {**data, "text/plain": text, "text/html": html}, metadata
