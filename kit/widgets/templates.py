"""TemplatePicker: choose a whole program by a button, copy it, or save it with the files that it needs."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from kit.templates import Template, templates
from kit.widgets.form import highlighted
from kit.widgets.page import page, with_fallback

FOLDER = "my_project"


class TemplatePicker(anywidget.AnyWidget):
    """Programs to copy, one for each thing to do. Show it as the last line of a cell.

    `template` is the one that is chosen; `choose(name)` and `save(folder)` do what the buttons do.
    """

    _esm = page("templates.js")
    _css = page("templates.css")
    view = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        self.templates = templates()
        self._folder = FOLDER
        super().__init__()
        self.add_class("kit-page").add_class("kit-templates")
        self.on_msg(lambda _, content, buffers: self._do(content))
        self.choose(next(iter(self.templates)))

    @property
    def template(self) -> Template:
        """The template that is chosen."""
        return self._template

    def choose(self, name: str) -> None:
        """Show the template of this name.

        Raises:
            KeyError: there is none.
        """
        self._template = self.templates[name]
        self._draw()

    def save(self, folder: str | Path | None = None, overwrite: bool = False) -> None:
        """Save the program and its client files, to the folder that the form names or to another.

        Raises:
            FileExistsError: a file there holds something else; `overwrite=True` replaces it.
            OSError, ValueError: there can't be such a folder, or it can't be written to.
        """
        if folder is not None:
            self._folder = str(folder)
        program = self.template.save(self._folder, overwrite)[0]
        files = " and ".join(self.template.files)
        beside = f", and beside it {files}" if files else ""
        self._draw(
            f"✔ Saved {program.name} in {program.parent.resolve()}{beside}. Run it in that folder: "
            f"python {program.name}"
        )

    def close(self) -> None:
        """Take the form off the page."""
        self.layout.close()
        super().close()

    def __repr__(self) -> str:
        lines = [
            f"  {'✔' if template is self.template else ' '} {line}"
            for template, line in zip(self.templates.values(), repr(self.templates).splitlines(), strict=True)
        ]
        status = self.view["status"]
        return "\n".join(["TemplatePicker:", *lines, self.template.facts, *filter(None, [status])])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Give the front end the form, and whoever can't show it the text and the program."""
        html = "".join(f"<pre>{escape(text)}</pre>" for text in (repr(self), self.template.text))
        return with_fallback(super()._repr_mimebundle_(**kwargs), repr(self), html)

    def _do(self, content: dict[str, Any]) -> None:
        """Do what a person asks for; an error becomes the status, since Jupyter hides those of callbacks."""
        try:
            if "choose" in content:
                self.choose(content["choose"])
            elif "folder" in content:  # another folder is another question: what was said of one is over
                self._folder = content["folder"]
                self._draw()
            elif "save" in content:  # to replace files is an answer, and was asked for this folder
                asked = content.get("replace") and self.view["replace"]
                self.save(content["save"], overwrite=bool(asked and content["save"] == self._folder))
        except Exception as error:
            self._draw(f"✖ {error}", replace=isinstance(error, FileExistsError))

    def _draw(self, status: str = "", replace: bool = False) -> None:
        """Show the template, and what became of saving it."""
        self.view = {
            "titles": {name: template.title for name, template in self.templates.items()},
            "chosen": self.template.name,
            "purpose": self.template.purpose,
            "facts": self.template.facts.split("\n")[1:],
            "code": highlighted(self.template.text, "python"),
            "folder": self._folder,
            "status": status,
            "replace": replace,
        }
