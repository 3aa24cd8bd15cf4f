"""Step 2: a config list, or what stands for one, looked at with all that is known of lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kit.agents.inside import has, plain
from kit.checks.catalogue import found
from kit.checks.names import misspelt, names_of, near
from kit.checks.report import Finding, Report
from kit.config_list.lists import ConfigListError, Problem, check_config_list, parse_config_list, read_source
from kit.models import look_into


def look_at_config(report: Report, subject: Any, classes: list[type]) -> None:
    """Report on a config list, or on what stands for one: its name, its text, one entry, an LLMConfig."""
    if isinstance(subject, (str, Path)):
        subject = _source(report, str(subject))
    if isinstance(subject, dict) and "config_list" in subject:  # what an agent takes as its llm_config
        report.add(2, "the fields of llm_config", [*_settings_of(subject)])
        subject = subject["config_list"]
        if isinstance(subject, dict) and "config_list" in subject:
            subject = [subject]
    elif type(subject).__name__ == "LLMConfig":
        subject = subject.config_list
    if isinstance(subject, dict):
        subject = _listed(report, subject)
    if isinstance(subject, (list, tuple)):
        entries = [plain(entry) if has(entry, "model_dump") else entry for entry in subject]
        look_at_list(report, entries, classes)
    elif subject is not None:
        code = "group-without-manager" if has(subject, "speaker_selection_method") else "unknown-subject"
        report.add(2, "what was passed", [found(code, kind=type(subject).__name__)])


def _listed(report: Report, subject: dict[Any, Any]) -> list[Any] | None:
    """Return the entries of a dict that stands for a list, None if it has none; report what it is."""
    names, wrong, entries = ", ".join(map(str, subject)), misspelt("config_list", subject), None
    if wrong:
        what = found("llm-config-field", argument=wrong, near="config_list")
    elif subject and all(isinstance(value, dict) for value in subject.values()):
        what, entries = found("named-entries", names=names), [*subject.values()]
    elif subject.keys() & {"model", "model_client_cls", "base_url", "api_key"}:
        what, entries = found("single-entry"), [subject]
    else:
        what = found("no-list", names=names or "nothing")
    report.add(2, "it is a list", [what])
    return entries


def _settings_of(config: dict[str, Any]) -> Iterator[Finding]:
    """Yield the fields of an llm_config, besides its list, that AutoGen would refuse."""
    from autogen import LLMConfig

    known = {*names_of(LLMConfig), "config_list"}
    for name in config.keys() - known:
        close = near(str(name), [*known])
        yield found("llm-config-field" if close else "llm-config-unknown", argument=name, near=close)


def _source(report: Report, name: str) -> list[dict[str, Any]] | None:
    """Return the entries of a file, a variable or a text, None after reporting why there are none."""
    findings, entries = [], None
    is_text = name.lstrip()[:1] in ("[", "{")
    shown = "the text" if is_text else name
    variable = os.environ.get(name)
    if variable and os.path.isfile(name) and variable != name:
        findings.append(found("variable-hides-file", name=name))
    try:
        text, source = (name, shown) if is_text else read_source(name)[:2]
        entries = parse_config_list(text, source)
    except ConfigListError as refused:
        findings += map(_of_problem, refused.problems)
    report.add(2, f"{shown} can be read", findings)
    return entries


def look_at_list(
    report: Report, entries: list[Any], classes: list[type], owner: str = "", answers: bool = False
) -> None:
    """Report on entries with all that is known of lists; `owner` is the agent that has them, if one does."""
    objects = {index: entry for index, entry in enumerate(entries) if isinstance(entry, dict)}
    misnamed = {index: field for index, entry in objects.items() if (field := _misnamed(entry))}
    if nested := [index for index, entry in objects.items() if "config_list" in entry]:
        report.add(2, "AutoGen accepts the list", [found("nested-list", entry=index) for index in nested])
        return
    findings = [_wrong_class(index, field, objects[index][field]) for index, field in misnamed.items()]
    findings += [] if misnamed else unnamed(objects.values(), classes)
    for problem in check_config_list(entries):
        field = misnamed.get(problem.entry or 0)
        if answers and problem.warning and problem.field != "price":  # what works is not questioned
            continue
        if not (findings and problem.field in ("api_key", field)):  # its own client wants a key: a symptom
            findings.append(_of_problem(problem))
    if findings or not owner:
        report.add(2, f"{owner}: the list" if owner else "AutoGen accepts the list", findings)
    if classes and not owner:
        report.add(2, "what the entries name", [*names_differ(objects, classes)])
    _local_models(report, f"{owner}: local models" if owner else "local models", objects)


def _wrong_class(index: int, field: str, value: Any) -> Finding:
    facts = {"entry": index, "field": field, "name": getattr(value, "__name__", value)}
    return found("class-itself" if field == "model_client_cls" else "misnamed-class", **facts)


def _misnamed(entry: dict[str, Any]) -> str | None:
    """Return the field of an entry that should name its class and does not, if there is one."""
    if "model_client_cls" in entry:
        return "model_client_cls" if isinstance(entry["model_client_cls"], type) else None
    return next(iter(get_close_matches("model_client_cls", map(str, entry), 1, 0.7)), None)


def _local_models(report: Report, checked: str, entries: dict[int, dict[str, Any]]) -> None:
    """Report on the folders of models; whether one can be loaded, its client says when it is registered."""
    folders = {
        index: entry["model"]
        for index, entry in entries.items()
        if entry.get("model_client_cls") == "HuggingFaceModelClient" and isinstance(entry.get("model"), str)
    }
    if folders:
        report.add(2, checked, [f for index, name in folders.items() for f in _model_folder(index, name)])


def _of_problem(problem: Problem) -> Finding:
    """Return a config list's problem as a finding: its first sentence, and what follows as the fix."""
    place = str(problem).removesuffix(problem.message)
    what, _, fix = problem.message.partition(". ")
    if not fix and "read" not in what:  # "what it is: what to do"
        what, _, fix = problem.message.partition(": ")
    code = "no-config-list" if not fix else "lacking-here" if problem.only_here else "config-list"
    return found(code, what=place + what, fix=fix, warning=problem.warning)


def names_differ(entries: dict[int, dict[str, Any]], classes: list[type]) -> Iterator[Finding]:
    """Yield where the names in the entries and those of the classes differ."""
    names = [cls.__name__ for cls in classes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield found("same-name", name=name)
    for index, entry in entries.items():
        named = entry.get("model_client_cls")
        if isinstance(named, str) and named not in names:
            close = [*get_close_matches(named, names, 1, 0.5), names[0]][0]
            facts = {"where": f"entry {index}", "named": repr(named), "names": ", ".join(names)}
            yield found("name-differs", **facts, close=close)


def unnamed(entries: Iterable[dict[str, Any]], classes: list[type]) -> list[Finding]:
    """Return that there are classes, and no entry that names any."""
    named = [entry.get("model_client_cls") for entry in entries]
    if not classes or not named or any(named):
        return []
    return [found("no-entry-for-class", name=classes[0].__name__)]


def _model_folder(entry: int, name: str) -> Iterator[Finding]:
    folder, facts = Path(os.path.expanduser(name)), {"entry": entry, "name": name}
    if not os.path.exists(folder):
        looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") != 1 or "\\" in name
        if looks_like_a_path or folder.parent.is_dir() and folder.parent != Path():
            yield found("no-model-folder", **facts, here=Path.cwd().name)
        return  # else a name on the model hub: only a network could tell
    place = f"entry {entry}, {name!r}: "
    files = look_into(folder) if folder.is_dir() else None
    if files is None or not (folder / "config.json").is_file():
        gguf = files is not None and files.has_gguf
        kind = "a file" if files is None else "a folder with GGUF files" if gguf else "a folder without"
        yield found("no-config", folder=place, kind=kind)
        return
    if not files.weights:
        yield found("no-weights", folder=place)
    if not files.has_tokenizer:
        yield found("tokenizer-files", folder=place)
    elif not files.has_chat_template:
        yield found("no-chat-template", folder=place)
