"""The judge of a config list is AutoGen: what loads makes an agent, and what does not load makes none."""

import pytest
from autogen import ConversableAgent, LLMConfig

from kit.config_list.lists import ConfigListError, load_config_list

pytestmark = pytest.mark.usefixtures("folder")


def autogen_takes(path):
    try:
        ConversableAgent("agent", llm_config=LLMConfig.from_json(path=path))
    except Exception:
        return False
    return True


LISTS = """
[{"model": "a", "model_client_cls": "C"}]
[{"model": "a", "model_client_cls": "C", "device": "cpu", "params": {"x": [1, null]}, "own": true}]
[{"model": "a", "model_client_cls": "C", "temperature": 1}]
[{"model": "a", "model_client_cls": "C", "temperature": 1.01}]
[{"model": "a", "model_client_cls": "C", "temperature": "0.5"}]
[{"model": "a", "model_client_cls": "C", "temperature": NaN}]
[{"model": "a", "model_client_cls": "C", "max_tokens": "12", "top_p": null, "seed": "x"}]
[{"model": "a", "model_client_cls": "C", "max_tokens": -1}]
[{"model": "a", "model_client_cls": "C", "price": [1, 2, 3]}]
[{"model": "a", "model_client_cls": "C", "base_url": "localhost:8000/v1"}]
[{"model": "a", "model_client_cls": "C", "base_url": "http://"}]
[{"model": "a", "model_client_cls": "C", "api_key": 5}]
[{"model": "a", "model_client_cls": "C", "stream": "maybe"}]
[{"model": "a", "model_client_cls": "C", "response_format": 5}]
[{"model": "a", "model_client_cls": "C", "default_headers": ["x"]}]
[{"model": "a", "model_client_cls": 5}]
[{"model": "", "model_client_cls": "C"}]
[{"model": null}]
[{"model": "a", "model_client_cls": "C"}, {"model": "b"}]
[{"model": "a", "api_key": "k", "base_url": "http://localhost:8000/v1"}]
[{"model": "a", "api_key": "k", "max_retries": null, "timeout": null}]
[{"model": "a", "api_key": "", "base_url": "http://localhost:8000/v1"}]
[{"model": "a", "api_key": "k", "api_type": "azure", "base_url": "http://x", "api_version": "1"}]
[{"model": "a", "api_key": "k", "api_type": "azure", "base_url": "http://x"}]
[{"model": "a", "api_key": "k", "api_type": "azure", "api_version": "1"}]
[{"model": "a", "api_key": "k", "api_type": "deepseek"}]
[{"model": "a", "api_type": "bedrock"}]
[{"model": "a", "api_type": "ollama"}]
[{"model": "a", "api_key": "k", "api_type": "responses"}]
[]
[5]
{}
{"model": "a", "model_client_cls": "C"}
{"config_list": [{"model": "a", "model_client_cls": "C"}]}
[{"model": "a", "model_client_cls": "C",}]
"""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("text", LISTS.strip().splitlines())
def test_autogen_agrees(text, folder):
    (folder / "list.json").write_text(text)
    try:
        load_config_list("list.json")
    except ConfigListError:
        loaded = False
    else:
        loaded = True
    assert loaded == autogen_takes("list.json")


@pytest.mark.parametrize(
    "text",
    [
        '[{"model": "a", "model_client_cls": "not a name"}]',  # no class can ever be registered for it
        '[{"model": "a", "model_client_cls": ""}]',
        '[{"model": "a", "model": "b", "model_client_cls": "C"}]',  # JSON keeps the last without a word
        '[{}, {"model": "a", "model_client_cls": "C"}]',  # AutoGen drops it: entries count differently then
        '[null, {"model": "a", "model_client_cls": "C"}]',
    ],
)
def test_where_the_kit_is_stricter_than_autogen(text, folder):
    (folder / "list.json").write_text(text)
    assert autogen_takes("list.json")
    with pytest.raises(ConfigListError, match="list.json: (entry 0|'model' appears twice)"):
        load_config_list("list.json")
