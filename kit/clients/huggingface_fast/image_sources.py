"""Where images come from: data URLs and files, and addresses on the net if the entry allows it.

Others write messages, so what a message may make this machine read is little: images in the working folder
or below it (`image_folder` in the entry names another), and addresses only with `"fetch_images": true`.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname, urlopen

from transformers.image_utils import load_image
from transformers.utils import is_vision_available

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # for some others Pillow starts a program


def image_of(part: dict[str, Any], settings: dict[str, Any]) -> Any:
    """Return the image of an `image_url` part, upright and in RGB.

    Raises:
        ValueError: it isn't an image, or one that a message may not make this machine read.
        ImportError: without Pillow.
    """
    if not is_vision_available():
        raise ImportError("A message holds an image, and images need pillow: pip install pillow")
    from PIL import Image

    image_url = part.get("image_url")
    url = image_url.get("url") if isinstance(image_url, dict) else None
    if not isinstance(url, str):
        raise ValueError(
            'A part with an image must read {"type": "image_url", "image_url": {"url": ...}}, with a data '
            f"URL or the path of a file, not {str(part)[:100]}."
        )
    scheme = url.partition(":")[0].lower() if re.match("[A-Za-z][A-Za-z0-9+.-]+:", url) else ""  # not C:\
    read = {"": _file, "file": _file, "data": _data, "http": _fetched, "https": _fetched}.get(scheme)
    shown = repr(url if len(url) <= 100 else url[:100] + "...")
    if read is None:
        raise ValueError(f"The image {shown} is no data URL, no file, and no http address.")
    data = read(url, shown, settings)
    try:
        return load_image(Image.open(io.BytesIO(data), formats=FORMATS))
    except Exception as error:  # Pillow has many kinds of them for what is broken, huge or something else
        raise ValueError(f"The image {shown} is broken, or none of {', '.join(FORMATS)}.") from error


def _data(url: str, shown: str, settings: dict[str, Any]) -> bytes:
    header, _, data = url.partition(",")
    if re.fullmatch("data:image/[^;,]+;base64", header, re.IGNORECASE):
        with contextlib.suppress(ValueError):
            return base64.b64decode(data, validate=True)
    raise ValueError(
        f"{shown} is not the data URL of an image: data:image/png;base64, and its bytes in base64."
    )


def _file(url: str, shown: str, settings: dict[str, Any]) -> bytes:
    folder = Path(settings.get("image_folder") or ".").expanduser()
    parsed = urlsplit(url) if url[:5].lower() == "file:" else None
    path = folder / (url2pathname(parsed.path) if parsed else url)
    # By its name first: on Windows, to look where \\server\share leads would already call that server.
    inside = all(Path(way(path)).is_relative_to(way(folder)) for way in (os.path.abspath, os.path.realpath))
    if not inside or (parsed and parsed.netloc not in ("", "localhost")):
        raise ValueError(
            f"The image {shown} is not in the folder whose images messages may name, {folder.absolute()}. "
            'Copy it there, or name its folder as "image_folder" in the entry.'
        )
    if not path.is_file():  # neither a folder nor a pipe, which would wait forever
        raise ValueError(f"There is no image {shown} in {folder.absolute()}.")
    return path.read_bytes()


def _fetched(url: str, shown: str, settings: dict[str, Any]) -> bytes:
    if not settings.get("fetch_images"):
        raise ValueError(
            f"A message names the image {shown}, and nothing is fetched from addresses in messages. Download "
            'it and name the file, or allow it in the entry: "fetch_images": true.'
        )
    try:
        with urlopen(url, timeout=30) as answer:
            return answer.read()
    except (OSError, HTTPException, ValueError) as error:
        raise ValueError(f"The image {shown} can't be fetched: {error}") from None
