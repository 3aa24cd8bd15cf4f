"""TemplatePicker: choose a whole program by a button, copy it, or save it with the files that it needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from ipywidgets.widgets.widget_string import TextStyle

from kit.templates import Template, templates
from kit.widgets.parts import CopyableText, StatusLine, close_all

FOLDER = "my_project"


class Program(CopyableText):
    """A program as it is, line by line: a long line is scrolled to, and not broken."""

    _css = f"""
    {CopyableText._css}
    .kit-program pre {{ max-height: 34em; white-space: pre; overflow-wrap: normal; }}
    """

    def __init__(self) -> None:
        super().__init__(label="")
        self.add_class("kit-program")


class TemplatePicker(widgets.VBox):
    """Programs to copy, one for each thing to do. Show it as the last line of a cell.

    `template` is the one that is chosen; `choose(name)` and `save(folder)` do what the buttons do.
    """

    def __init__(self) -> None:
        self.templates = templates()
        self._plain, self._hidden = widgets.Layout(), widgets.Layout(display="none")
        self._wrap = widgets.Layout(flex_flow="row wrap")
        self._button = widgets.Layout(width="auto", align_self="flex-start")
        self._unchosen, self._chosen = widgets.ButtonStyle(), widgets.ButtonStyle(font_weight="bold")
        self._choices = {
            name: self._make_button(template.title, partial(self.choose, name))
            for name, template in self.templates.items()
        }
        self._about, self._code, self._status = StatusLine(), Program(), StatusLine()
        self._folder = widgets.Text(
            description="Folder",
            value=FOLDER,
            continuous_update=False,
            style=TextStyle(description_width="60px"),
            layout=widgets.Layout(flex="1 1 280px", max_width="440px"),
        )
        self._save = self._make_button("Save", self._do_save)
        self._replace = self._make_button("Replace what is there", self._do_replace)
        super().__init__(
            [
                widgets.HBox([*self._choices.values()], layout=self._wrap),
                self._about,
                self._code,
                widgets.HBox([self._folder, self._save], layout=self._wrap),
                self._status,
                self._replace,
            ],
            layout=widgets.Layout(max_width="880px"),  # 110 columns
        )
        self.add_class("kit-form")
        self._folder.observe(lambda _: self._say(""), names="value")
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
        for other, button in self._choices.items():
            chosen = other == name
            button.description = f"{'✔ ' if chosen else ''}{self.templates[other].title}"
            button.style = self._chosen if chosen else self._unchosen
        self._about.text = self.template.facts
        self._code.label, self._code.text = f"{name}.py", self.template.text
        self._say("")

    def save(self, folder: str | Path | None = None, overwrite: bool = False) -> None:
        """Save the program and its client files, to the folder that the form names or to another.

        Raises:
            FileExistsError: a file there holds something else; `overwrite=True` replaces it.
            OSError, ValueError: there can't be such a folder, or it can't be written to.
        """
        if folder is not None:
            self._folder.value = str(folder)
        program = self.template.save(self._folder.value, overwrite)[0]
        files = " and ".join(self.template.files)
        beside = f", and beside it {files}" if files else ""
        self._say(
            f"✔ Saved {program.name} in {program.parent.resolve()}{beside}. Run it in that folder: "
            f"python {program.name}"
        )

    def close(self) -> None:
        """Close the form and every widget in it."""
        close_all(self, self._plain, self._hidden, self._button, self._unchosen, self._chosen)

    def __repr__(self) -> str:
        lines = [
            f"  {'✔' if template is self.template else ' '} {line}"
            for template, line in zip(self.templates.values(), repr(self.templates).splitlines(), strict=True)
        ]
        return "\n".join(["TemplatePicker:", *lines, self.template.facts, *filter(None, [self._status.text])])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Give the front end the form, and whoever can't show it the text; ipywidgets would cut that."""
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": repr(self)} if isinstance(bundle, dict) else bundle

    def _make_button(self, text: str, action: Callable[[], None]) -> widgets.Button:
        button = widgets.Button(description=text, tooltip=text, layout=self._button, style=self._unchosen)
        button.on_click(lambda _: self._attempt(action))
        return button

    def _attempt(self, action: Callable[[], None]) -> None:
        """Do what was asked; an error becomes a message, since Jupyter hides those of callbacks."""
        try:
            action()
        except Exception as error:
            self._say(f"✖ {error}", to_replace=isinstance(error, FileExistsError))

    def _do_save(self) -> None:
        self.save()

    def _do_replace(self) -> None:
        asked = self._replace.layout is self._button  # another folder, typed meanwhile, is another question
        self._save.focus()  # the button that was pressed disappears
        self.save(overwrite=asked)

    def _say(self, text: str, to_replace: bool = False) -> None:
        """Show what became of it, and the button to replace files where that is an answer."""
        self._status.text = text
        self._replace.layout = self._button if to_replace else self._hidden
