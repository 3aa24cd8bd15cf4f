"""Checks of lesson 02: the config list."""

from checks.exercise import exercise, prediction

predicted_2_variable = prediction(
    "a",
    a="AutoGen looks for an environment variable of that name first, and only then for a file.",
    b="the file is there, but nobody reads it as long as a variable has its name.",
    c="lists are not joined: the first one that is found counts.",
)
predicted_2_filter = prediction(
    "b",
    a="an entry with several tags is kept if one of them is in the filter's list.",
    b="each has at least one of the values that the filter lists.",
    c="an entry without the field has none of the values, so it goes.",
)


@exercise("2a")
def check_2a(entry):
    if not isinstance(entry, dict):
        return "an entry is a dict: {...}."
    name = entry.get("model_client_cls")
    if name is ...:
        return ...
    if isinstance(name, type):
        return "that is the class itself, which no file can hold: write its name as text, in quotes."
    if type(name).__name__ == "OwlClient":
        return "that is an object of the class: write the name of the class as text, in quotes."
    if "model_client_cls" not in entry:
        return 'the field is called "model_client_cls", letter by letter.'
    if entry.get("model") != "owl":
        return f'the model should still be "owl", it is {entry.get("model")!r}.'
    if name == "owl":
        return "that is the name of the model: this field names the class that answers for it."
    if str(name).strip().lower() in ("owlclient", "owlclient()"):
        return (
            None if name == "OwlClient" else f"nearly: the name is OwlClient, letter by letter, not {name!r}."
        )
    return f'the class is called "OwlClient", the entry names {name!r}.'


@exercise("2b")
def check_2b(text):
    from kit.config_list import ConfigListError, check_config_list, parse_config_list

    if not isinstance(text, str):
        return 'keep it a text, between the two """: a file holds text.'
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
    if not any(type(entry.get("temperature")) in (int, float) for entry in entries):
        return 'an entry should still have a "temperature", as a number without quotes, from 0 to 1.'
    problems = check_config_list(entries)
    return str(problems[0]) if problems else None


@exercise("2c")
def check_2c(entries):
    from kit.config_list import check_config_list

    if isinstance(entries, str):
        return "that is a text: write the list itself, without quotes around it."
    if isinstance(entries, dict) and entries and all(isinstance(entry, dict) for entry in entries.values()):
        return "the entries are in a dict: put them in a list, [{...}, {...}], without names."
    if isinstance(entries, dict):
        return "that is one entry: a config list has [ ] around its entries, even around one."
    if isinstance(entries, tuple):
        return "without [ ] around them Python makes a tuple of the entries: a config list is a list."
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return "a config list is a list of dicts: [{...}, {...}]."
    if any(value is ... for entry in entries for value in entry.values()):
        return "there are still dots in it: replace each `...` by a value."
    if len(entries) != 2:
        return f"the list should have two entries, it has {len(entries)}."
    first, second = entries
    if "max_length" in first:
        return "the task asks for `max_length` one level deeper: in a dict under the name `params`."
    for name, value in {"model": "my-llama", "model_client_cls": "MyModelClient", "device": "cpu"}.items():
        if first.get(name) != value:
            found = f"it is {first[name]!r}" if name in first else "it is missing"
            return f"entry 0: `{name}` should be {value!r}, {found}."
    params = first.get("params")
    if not isinstance(params, dict) or params.get("max_length") != 50:
        found = f"it is {params!r}" if "params" in first else "it is missing"
        return f"entry 0: `params` should be {{'max_length': 50}}, {found}."
    if second.get("model_client_cls") != "DummyModelClient":
        found = second.get("model_client_cls")
        return f"entry 1: `model_client_cls` should be 'DummyModelClient', it is {found!r}."
    tags = second.get("tags")
    if isinstance(tags, str):
        return "entry 1: tags are a list, even if it is only one: write [ ] around it."
    if not isinstance(tags, (list, tuple)) or "small" not in tags:
        return f"entry 1: `tags` should be a list that holds 'small', it is {tags!r}."
    problems = check_config_list(list(entries))
    return str(problems[0]) if problems else None


@exercise("2d")
def check_2d(builder):
    if not hasattr(builder, "editor"):
        return "hand over the form itself: `check_2d(builder)`."
    names = [entry.get("model") for entry in builder.editor.entries]
    canaries = [entry for entry in builder.editor.entries if entry.get("model") == "canary"]
    entries = [entry for entry in canaries if entry.get("tags") != ["small"]]  # which parrot has
    if not entries and "dummy" in names:
        if canaries:
            return "canary is parrot, renamed: rename the new entry, which is still called dummy."
        return "the new entry is still called dummy: type canary in the field Model, and press Enter."
    if canaries and not entries:
        return (
            "canary is parrot, renamed. Name it parrot again, then press Add entry, choose Dummy (no model), "
            "and name that canary."
        )
    if not entries:
        if len(names) < 2:
            return ...
        return f"the new entry should be called canary, letter by letter. There are {names}."
    entry = next((entry for entry in entries if entry.get("n") == 2), entries[0])
    if entry.get("model_client_cls") != "DummyModelClient":
        return "canary should be answered by the class DummyModelClient, as the preset has it."
    if entry.get("n") != 2:
        return f"`Choices (n)` should be 2, it is {entry.get('n')!r}."
    problems = builder.editor.problems()
    return str(problems[0]) if problems else None
