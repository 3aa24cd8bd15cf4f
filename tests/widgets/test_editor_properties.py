"""What holds for the editor and the reader of config lists whatever is typed, loaded or pasted."""

import copy
import json
import os
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kit.config_list.fields import FIELDS, KEY, VALUES, presets, text_of, value_of
from kit.config_list.lists import ConfigListError, check_config_list, parse_config_list, to_json
from kit.config_list.repair import diff, repair
from kit.config_list.secrets import MASK, masked, resolved
from kit.widgets.editor import EXTRA, ConfigListEditor

MANY = settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
FEW = settings(MANY, max_examples=60, stateful_step_count=40)

ODD = ["two", "0,5", "nan", "1e999", "[1, 2", MASK, f"'{MASK}'", "${MY_API_KEY}", "yes", "\n", " ", '["a"]']
ODD += ["null", "{}", "9" * 5000, "C:\\models", '"', "'", "a.b", "größer 日本 😀", "[DONE]", "1_000", "{0}"]
texts = st.sampled_from(ODD) | st.text(max_size=8)
NAMES = [field.name for field in FIELDS] + [KEY, "params", "a.b", "a\\", "", ".", "their_key", "password"]
NAMES += ["default_headers", "extra_body", "response_format", "engine", "modle", "config_list", "messages"]
FIXABLE = [EXTRA, *(field.name for field in FIELDS)]
names = st.sampled_from(NAMES) | st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, values, max_size=4)
sound = st.dictionaries(st.sampled_from(["params", "own", "a.b", "their_key", ""]), values, max_size=3).map(
    lambda fields: {"model": "a", "model_client_cls": "C", **fields}
)
sound_lists = st.lists(sound, min_size=1, max_size=3)
lists = sound_lists | st.lists(sound | objects, max_size=3)


@st.composite
def mutilated(draw):
    """The text of a config list, as JSON or as Python, from which some letters are missing or changed."""
    write = draw(st.sampled_from([json.dumps, lambda value: json.dumps(value, indent=2), repr]))
    text = write(draw(lists))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(["", ",", "]", '"', "'", "#", "\\", "\n"])) + text[at + 1 :]
    return text


any_text = st.text(max_size=40) | mutilated() | values.map(json.dumps)


def exact(entries):
    """Return the entries so that 1 and 1.0, and another order, are something else."""
    return json.dumps(entries, ensure_ascii=False)


def errors(editor):
    """Return what keeps the list from being saved."""
    return [problem for problem in editor.problems() if not (problem.warning or problem.only_here)]


class Editing(RuleBasedStateMachine):
    """Any sequence of what a person does, beside a model of what undo and redo should give back."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.environment = mock.patch.dict(os.environ)
        self.environment.start()
        for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "MODEL_API_KEY"):
            os.environ.pop(name, None)
        self.editor = ConfigListEditor(self.file("list.json"), namespace={})
        self.past, self.future = [], []

    def teardown(self):
        self.environment.stop()
        self.folder.cleanup()

    def file(self, name):
        return Path(self.folder.name) / name

    def do(self, action, *arguments):
        """Do something, and remember what was before if it made a difference."""
        before = copy.deepcopy(self.editor.entries)
        action(*arguments)
        if exact(before) != exact(self.editor.entries):
            self.past.append(before)
            self.future = []

    @rule(preset=st.sampled_from(list(presets())))
    def add(self, preset):
        count = len(self.editor.entries)
        self.do(self.editor.add, preset)
        assert self.editor.selected == count == len(self.editor.entries) - 1

    @rule()
    def duplicate(self):
        self.do(self.editor.duplicate)

    @rule()
    def remove(self):
        left = max(0, len(self.editor.entries) - 1)
        self.do(self.editor.remove)
        assert len(self.editor.entries) == left

    @rule(step=st.sampled_from([-1, 1]))
    def move(self, step):
        count = len(self.editor.entries)
        self.do(self.editor.move, step)
        assert len(self.editor.entries) == count

    @rule(index=st.integers(-2, 5))
    def select(self, index):
        self.do(self.editor.select, index)

    @rule(field=st.sampled_from(FIELDS), text=texts)
    def type_into_a_field(self, field, text):
        self.do(self.editor.set_text, field, text)

    @rule(text=objects.map(json.dumps) | texts)
    def type_other_fields(self, text):
        self.do(self.editor.set_extra_text, text)

    @rule(
        name=st.sampled_from(["MY_API_KEY", "${MY_API_KEY}", "", "sk-recognisable", "hunter2-recognisable"])
    )
    def name_the_variable(self, name):
        self.do(self.editor.set_key_variable, name)

    @rule(key=st.sampled_from(["sk-recognisable", " hunter2-recognisable ", "", "recognisable"]))
    def type_a_key(self, key):
        self.do(self.editor.set_key, key)

    @rule(entries=lists)
    def paste(self, entries):
        before = exact(self.editor.entries)
        try:
            self.do(self.editor.paste, json.dumps(entries))
        except ConfigListError:  # a number for a password, or stars
            assert exact(self.editor.entries) == before
        else:
            assert exact(resolved(self.editor.entries)) == exact(resolved(entries))

    @rule(text=mutilated(), yes=st.booleans())
    def paste_something_broken(self, text, yes):
        before = exact(self.editor.entries)
        try:
            self.do(self.editor.paste, text)
            self.do(self.editor.answer, yes)
        except ConfigListError:
            assert exact(self.editor.entries) == before

    @precondition(lambda self: not errors(self.editor))
    @rule(name=st.sampled_from(["list.json", "other.json"]))
    def save(self, name):
        entries = exact(self.editor.entries)
        self.editor.save(self.file(name))
        self.editor.answer(True)  # where a file is to be replaced
        assert exact(self.editor.entries) == entries
        assert not self.editor.changed
        assert "recognisable" not in self.file(name).read_text(encoding="utf-8")
        other = ConfigListEditor(self.file(name), namespace={})
        other.load()
        assert exact(other.entries) == entries
        assert not other.changed

    @precondition(lambda self: errors(self.editor))
    @rule()
    def save_what_autogen_would_reject(self):
        with pytest.raises(ConfigListError):
            self.editor.save(self.file("faulty.json"))
        assert not self.file("faulty.json").exists()

    @rule(entries=sound_lists | lists, name=st.sampled_from(["list.json", "other.json"]))
    def load(self, entries, name):
        self.file(name).write_text(json.dumps(entries), encoding="utf-8")
        self.do(self.editor.load, self.file(name))
        assert self.editor.entries == entries
        assert not self.editor.changed

    @rule()
    def undo(self):
        self.travel(self.editor.undo, self.past, self.future)

    @rule(name=st.sampled_from(FIXABLE))
    def fix(self, name):
        self.do(self.editor.fix, name)

    @rule(place=st.integers(-1, 5))
    def move_to(self, place):
        self.do(self.editor.move_to, place)

    @precondition(lambda self: self.past)
    @rule()
    def undo_and_redo(self):
        before = exact(self.editor.entries)
        self.undo()
        assert exact(self.editor.entries) != before
        self.redo()
        assert exact(self.editor.entries) == before

    @rule()
    def redo(self):
        self.travel(self.editor.redo, self.future, self.past)

    def travel(self, action, source, target):
        before = copy.deepcopy(self.editor.entries)
        expected = source.pop() if source else before
        target.extend([before] if exact(expected) != exact(before) else [])
        action()
        assert exact(self.editor.entries) == exact(expected)

    @invariant()
    def the_selection_is_within_the_list(self):
        assert 0 <= self.editor.selected < max(1, len(self.editor.entries))

    @invariant()
    def the_preview_is_the_masked_list_as_json(self):
        assert json.loads(self.editor.preview()) == masked(self.editor.entries)

    @invariant()
    def everything_can_be_looked_at_and_shows_no_key_that_was_typed(self):
        editor = self.editor
        shown = [editor.preview(), editor.python(), repr(editor.entries), editor.extra_text(), editor.message]
        shown += [*map(str, editor.problems()), editor.key_state(), editor.kept("{}")]
        shown += [editor.text(field) for field in FIELDS]
        assert not any("recognisable" in text for text in shown)


def test_any_sequence_of_edits_keeps_the_list_whole_and_can_be_undone():
    run_state_machine_as_test(Editing, settings=FEW)


@settings(MANY, max_examples=60)
@given(sound_lists, sound_lists)
def test_what_is_saved_loads_again_whatever_is_in_it(first, second):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "list.json"
        editor = ConfigListEditor(file, namespace={})
        for entries in (first, second):
            editor.entries[:] = parse_config_list(json.dumps(entries))
            editor.save()
            assert editor.question is None
            assert exact(json.loads(file.read_text(encoding="utf-8"))) == exact(entries)
            other = ConfigListEditor(file, namespace={})
            other.load()
            assert exact(other.entries) == exact(entries)
            assert not (editor.changed or other.changed)
        editor.add("Ollama")
        assert editor.changed
        editor.undo()
        assert exact(editor.entries) == exact(second)
        assert not editor.changed


# Values and the texts that stand for them


containers = st.none() | st.lists(values, max_size=3) | objects
of_each_kind = st.one_of(
    st.tuples(st.just("text"), texts),
    st.tuples(st.just("yes or no"), st.booleans()),
    st.tuples(st.just("whole number"), st.integers()),
    st.tuples(st.just("number"), st.floats(allow_nan=False, allow_infinity=False)),
    st.tuples(st.just("texts"), st.lists(texts, max_size=3)),
    st.tuples(st.just("JSON"), containers),
)


@MANY
@given(of_each_kind)
def test_a_value_comes_back_from_its_text(kind_and_value):
    kind, value = kind_and_value
    assert exact(value_of(kind, text_of(value))) == exact(value)


@MANY
@given(objects)
def test_setting_the_other_fields_to_what_they_show_changes_nothing(entry):
    editor = ConfigListEditor(namespace={})
    editor.entries.extend(parse_config_list(json.dumps([entry])))
    editor.set_extra_text(editor.extra_text())
    assert exact(editor.entries) == exact([entry])


@MANY
@given(st.sampled_from(list(VALUES)), texts)
def test_a_text_becomes_a_value_that_json_can_hold_or_a_value_error(kind, text):
    try:
        value = value_of(kind, text)
    except ValueError as error:
        assert str(error).startswith("This must be ")
    else:
        assert json.loads(json.dumps(value, allow_nan=False)) == value


# Reading


@MANY
@given(any_text)
def test_any_text_is_a_list_of_objects_or_refused_with_a_reason(text):
    try:
        entries = parse_config_list(text)
    except ConfigListError as error:
        assert error.problems
    else:
        assert exact(entries) == exact(json.loads(text))
        assert all(isinstance(entry, dict) for entry in entries)


@MANY
@given(lists)
def test_a_list_comes_back_from_its_json_with_its_order(entries):
    assert exact(parse_config_list(to_json(entries))) == exact(entries)


@MANY
@given(any_text)
def test_what_is_fixed_is_a_list_that_can_be_read_and_shown(text):
    fixed = repair(text)
    entries = [] if fixed is None else fixed
    assert exact(parse_config_list(to_json(entries))) == exact(entries)
    assert isinstance(diff(text, entries), str)


@settings(MANY, max_examples=80)
@given(st.lists(sound, min_size=1, max_size=2), st.sampled_from([",]", "]"]))
def test_python_and_a_comma_too_many_are_fixed_without_a_loss(entries, end):
    entries = [entry for entry in entries if entry]
    fixed = repair(f"config_list = {entries!r}"[:-1] + end)
    assert exact(fixed) == exact(entries)


# Checking, and the program


@settings(MANY, max_examples=100)
@given(lists)
def test_every_list_can_be_checked_and_fixed_by_pressing_fix(entries):
    assert isinstance(check_config_list(entries), list)
    editor = ConfigListEditor(namespace={})
    editor.entries.extend(parse_config_list(json.dumps(entries)))
    for index in range(len(entries)):
        editor.select(index)
        for _ in range(20):
            fixable = [name for name in FIXABLE if editor.fix_of(name)]
            for name in fixable[:1]:
                editor.fix(name)
        assert not fixable
    assert len(editor.entries) == len(entries)


@MANY
@given(lists)
def test_every_program_is_python(entries):
    editor = ConfigListEditor(namespace={})
    editor.entries.extend(parse_config_list(json.dumps(entries)))
    compile(editor.python(), "program", "exec")
