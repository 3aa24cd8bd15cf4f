"""Checks of lesson 02: the config list."""

from checks.exercise import exercise


@exercise("2a")
def check_2a(text):
    from kit.config_list import ConfigListError, check_config_list, parse_config_list

    if "'DummyModelClient'" in text and "1.5" in text and "[" not in text:
        return ...
    try:
        entries = parse_config_list(text, "your text")
    except ConfigListError as error:
        return str(error)
    if [entry.get("model") for entry in entries] != ["parrot", "owl"]:
        return "both entries should still be there: parrot, then owl."
    if any(entry.get("model_client_cls") != "DummyModelClient" for entry in entries):
        return "both entries should still name the class DummyModelClient."
    problems = check_config_list(entries)
    return str(problems[0]) if problems else None


@exercise("2b")
def check_2b(entry):
    from kit.config_list import check_config_list

    wanted = {"model": "my-llama", "model_client_cls": "MyModelClient", "device": "cpu"}
    if not isinstance(entry, dict):
        return "an entry is a dict: {...}."
    if "max_length" in entry:
        return "the task asks for `max_length` one level deeper: in a dict under the name `params`."
    for name, value in wanted.items():
        if entry.get(name) != value:
            return f"`{name}` should be {value!r}, it is {entry.get(name)!r}."
    if entry.get("params") != {"max_length": 50}:
        return f"`params` should be a dict that holds max_length 50, it is {entry.get('params')!r}."
    problems = check_config_list([entry])
    return str(problems[0]) if problems else None


@exercise("2c")
def check_2c(filter_dict):
    from autogen.llm_config.utils import filter_config

    if not isinstance(filter_dict, dict):
        return "a filter is a dict: a field's name, and the list of values to keep."
    if set(filter_dict) != {"tags"}:
        return "filter by the field `tags`, so that it works for other lists too."
    for name, values in filter_dict.items():
        if isinstance(values, (set, tuple)):
            return f"AutoGen 0.14 matches lists only: write the values of {name!r} in [ ]."
    entries = [
        {"model": "a", "tags": ["fast"]},
        {"model": "b", "tags": ["fast", "small"]},
        {"model": "c", "tags": ["small"]},
        {"model": "d"},
    ]
    kept = [entry["model"] for entry in filter_config(entries, filter_dict)]
    return None if kept == ["a", "b"] else f"your filter keeps {kept}, it should keep ['a', 'b']."


@exercise("2d")
def check_2d(builder):
    entries = [entry for entry in builder.editor.entries if entry.get("model") == "canary"]
    if not entries:
        return ...
    if entries[0].get("model_client_cls") != "DummyModelClient":
        return "canary should be answered by the class DummyModelClient, as the preset has it."
    if entries[0].get("n") != 2:
        return f"`Choices (n)` should be 2, it is {entries[0].get('n')}."
    problems = builder.editor.problems()
    return str(problems[0]) if problems else None
