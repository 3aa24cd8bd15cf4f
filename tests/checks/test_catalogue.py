"""The catalogue: each finding can be told, the page is what the catalogue says, and every code is used."""

import re
from pathlib import Path

import pytest

import kit
from kit.checks.catalogue import PAGE, catalogue, found, page
from kit.checks.report import STEPS
from kit.config_list.secrets import hide_secrets

ENTRIES = catalogue()
CODES = {entry["code"] for entry in ENTRIES}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["code"])
def test_every_finding_can_be_told_without_a_single_fact(entry):
    finding = found(entry["code"], what="something", fix="something", text="something", call="something")
    assert finding.message.strip()
    assert finding.fix.strip()
    assert finding.step in STEPS
    for evidence in entry.get("when", ()):
        for pattern in evidence.values():
            re.compile(pattern)


def test_no_command_is_quoted_as_only_some_terminals_take_it():
    """Windows' cmd.exe takes '...' for a part of the word."""
    files = [*Path(kit.__file__).parent.rglob("*.py"), *Path(kit.__file__).parent.rglob("*.toml")]
    found = [
        file.name for file in files if re.search("pip install[^\"\\n]* '", file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_code_that_is_not_there_is_refused():
    with pytest.raises(KeyError, match="nothing-of-this-name"):
        found("nothing-of-this-name")


def test_every_finding_without_evidence_is_found_by_some_code_and_the_other_way_round():
    files = Path(kit.__file__).parent.glob("*/*.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    used = {code for code in CODES if f'"{code}"' in text} | {"retrieval-items", "retrieval-items-of-create"}
    looked_for = {entry["code"] for entry in ENTRIES if {"when", "reply"}.isdisjoint(entry)}
    assert looked_for <= used
    assert set(re.findall(r'found\("([\w-]+)"', text)) <= CODES


@pytest.mark.parametrize("part", ["what", "fix"])
def test_no_text_looks_like_a_secret(part):
    """Else it would be hidden in the finding: what a text was made of is not known there."""
    texts = [entry[part].replace("{{", "{").replace("}}", "}") for entry in ENTRIES]
    assert [hide_secrets(text) for text in texts] == texts


def test_the_page_says_what_the_catalogue_says():
    """python -m kit.checks.catalogue writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_page_is_headed_by_what_people_search_for():
    text = page()
    assert "### `EOFError: EOF when reading a line`" in text
    assert "<think>" not in re.sub(r"`[^`]*`|\\\\<", "", text).replace("\\<", "")
    assert not re.search(r"\{\w*\}", re.sub(r"`[^`]*`", "", text).replace("{}", ""))
