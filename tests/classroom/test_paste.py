"""What students paste."""

import ast
import re

from kit.classroom.paste import entry, lines
from kit.config_list.lists import check_config_list


def test_the_entry_is_one_that_nothing_is_wrong_with():
    pasted = entry("class-model", "http://127.0.0.1:8000/v1", "class-1", 256)
    assert check_config_list([pasted]) == []
    assert pasted["max_tokens"] == 128
    assert entry("class-model", "http://127.0.0.1:8000/v1", "class-1", 16)["max_tokens"] == 16


def test_the_lines_are_python_and_name_address_key_and_model():
    """That they work, test_peers.py has."""
    pasted = lines(entry("class-model", "http://192.0.2.7:8000/v1", "class-1", 256))
    code = "\n".join(line.removeprefix("    ") for line in pasted.splitlines() if line.startswith("    "))
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    given = [{word.arg: word.value for word in call.keywords} for call in calls]
    assert len(calls) == 4
    for words in given:
        assert words["base_url"].value == "http://192.0.2.7:8000/v1"
        assert words["api_key"].value == "class-1"
    assert not re.search(r"[{}]\w+[{}]", code.replace("{'", ""))
