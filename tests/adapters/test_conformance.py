"""Every scenario in every framework, through its own agents and teams."""

import inspect
import os

import pytest
from frameworks import HERE, OLD, driver, versions
from scenarios import SCENARIOS, run


def pairs():
    for framework in HERE:
        try:
            lacks = driver(framework).LACKS
        except ImportError:
            lacks = {}
        for name, check in SCENARIOS.items():
            if check.needs not in lacks:
                yield framework, name


PAIRS = list(pairs())


@pytest.mark.parametrize(("framework", "name"), PAIRS, ids=map("-".join, PAIRS))
def test_scenario(framework, name, request, folder, monkeypatch, record_property):
    try:
        drive = driver(framework)
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error}: pip install -r kit/adapters/requirements.txt")
    record_property("versions", versions(drive.PACKAGES))
    check = SCENARIOS[name]
    wanted = list(inspect.signature(check).parameters)[1:]
    run(check, drive, **{fixture: request.getfixturevalue(fixture) for fixture in wanted})


OLD_NAMES = [name for framework, name in PAIRS if framework == "classic"]
OLD_NAMES += ["a_reply_comes_out_of_the_cache"]


@pytest.mark.slow
@pytest.mark.parametrize("name", OLD_NAMES, ids=[f"{OLD}-{name}" for name in OLD_NAMES])
def test_scenario_in_its_own_environment(name, old_results, record_property):
    record_property("versions", old_results["versions"])
    assert old_results["results"][name] is None, old_results["results"][name]


def test_what_a_framework_lacks_is_known_and_no_more():
    needs = {check.needs for check in SCENARIOS.values()} - {None}
    lacks = {framework: set(driver(framework).LACKS) for framework in HERE}
    assert all(lacking <= needs for lacking in lacks.values())
    assert lacks == {
        "classic": {"stream", "cancel", "finish", "schema", "thoughts"},
        "autogen": {"finish", "options"},
        "ag2": {"options"},
        "agent_framework": set(),
    }
