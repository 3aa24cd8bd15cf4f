"""Checks of lesson 05: troubleshooting."""

from checks.exercise import exercise


@exercise("5a")
def check_5a(cls):
    from kit import check_model_client

    findings = [finding for finding in check_model_client(cls, timeout=10).findings if not finding.warning]
    if not findings:
        return None
    left = "" if "cost" in findings[0].message else " (After this one there may be another.)"
    return f"{findings[0].message} Mend: {findings[0].fix}{left}"


@exercise("5b")
def check_5b(agent):
    from kit import DummyModelClient, diagnose

    entries = getattr(getattr(agent, "llm_config", None), "config_list", [])
    if len(entries) != 2:
        return f"the agent should keep its two entries, it has {len(entries)}."
    findings = diagnose(agent, DummyModelClient).findings
    return f"{findings[0].message} Mend: {findings[0].fix}" if findings else None


@exercise("5c")
def check_5c(steps):
    if any(step is ... for step in steps.values()):
        return ...
    why = {
        "A": (3, "the class exists, but was not registered on the agent."),
        "B": (1, "`create` returned nothing: a `return` is missing in the class."),
        "C": (2, "a value in the list is out of its range."),
        "D": (1, "`cost` returned nothing, and AutoGen adds it up."),
        "E": (2, "the entry names no class, so AutoGen took its own client, which wants a key."),
    }
    for letter, (step, reason) in why.items():
        if steps.get(letter) != step:
            return f"{letter} is not step {steps.get(letter)}: {reason}"
    return None
