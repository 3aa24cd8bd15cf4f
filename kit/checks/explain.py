"""What an exception means: the first finding of the catalogue whose evidence is all there."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from kit.checks.catalogue import catalogue, filled
from kit.checks.facts import facts_of
from kit.checks.frames import chain, place_of
from kit.checks.report import Finding

# What evidence is a pattern to be searched in; any other is for the whole.
SEARCHED = {"text", "url", "body", "reason", "line", "statement", "through", "base_url", "near", "place"}
SEARCHED |= {"values", "filter", "doc"}


def explain(error: BaseException | str) -> Finding:
    """Return what an exception, or its text, means and how to fix it; where it can be told, with the place.

    What it was raised from, or while handling, counts as much as the exception itself. Without evidence
    for anything, the finding says what was raised, where, and by whose code.
    """
    links = chain(error)
    places = [*map(place_of, links)]
    own = next((found for found in places if found["place"]), places[0])
    known = [{**facts_of(one), **own} for one in links]
    for entry in catalogue():
        for facts in known:
            for evidence in entry.get("when", ()):
                if (groups := _groups(evidence, facts)) is not None:
                    text = " ".join(facts["text"].split())
                    on = f" on {facts['agent']}" if facts.get("agent") else ""
                    at = f" at {facts['host']}" if facts.get("host") else ""
                    texts = {"reason": text, "on": on, "at": at, **facts, "text": text or facts["type"]}
                    finding = filled(entry, {**texts, **groups})
                    return replace(finding, message=own["place"] + finding.message)
    raise AssertionError("the last finding of the catalogue takes every exception")


def _groups(evidence: dict[str, str], facts: dict[str, Any]) -> dict[str, str] | None:
    """Return the named groups of some evidence, None if it is not all there; `name2` is another `name`."""
    groups: dict[str, str] = {}
    for key, pattern in evidence.items():
        if key == "type":
            if facts["types"].isdisjoint(pattern.split("|")) and (facts["types"] or not evidence.get("text")):
                return None
            continue
        match = (re.search if key in SEARCHED else re.fullmatch)(pattern, facts.get(key, ""))
        if not match:
            return None
        groups |= {name.rstrip("23"): value for name, value in match.groupdict().items() if value}
    return groups
