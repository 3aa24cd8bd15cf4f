"""What AutoGen would take, and is probably not meant: told once, with its fix; what is right is silent."""

import pytest

from kit.config_list.lists import check_config_list
from kit.widgets.editor import ConfigListEditor

pytestmark = pytest.mark.usefixtures("folder")
OWN = {"model": "a", "model_client_cls": "C"}
HOSTED = {"model": "gpt-4o", "api_key": "k"}
AZURE = {"model": "d", "api_type": "azure", "api_key": "k", "api_version": "2024-10-21",
         "base_url": "https://x.openai.azure.com"}  # fmt: skip
LOCAL = {"model": "llama", "base_url": "http://localhost:8000/v1"}


def at(url, **more):
    return {**HOSTED, "base_url": url, **more}


def key(text, **more):
    return {"model": "gpt-4o", "api_key": text, **more}


# An entry, the field that is told, what is said, and what the fix makes of it (None: there is none).
HINTS = [
    # Names
    ({**HOSTED, "max_length": 5}, "max_length", "Did you mean 'max_tokens'?", ("max_tokens", 5)),
    ({**HOSTED, "url": "http://x/v1"}, "url", "Did you mean 'base_url'?", ("base_url", "http://x/v1")),
    ({**HOSTED, "endpoint": "http://x/v1"}, "endpoint", "'base_url'", ("base_url", "http://x/v1")),
    ({**HOSTED, "client_class": "C"}, "client_class", "'model_client_cls'", ("model_client_cls", "C")),
    ({**HOSTED, "base-url": "http://x/v1"}, "base-url", "'base_url'", ("base_url", "http://x/v1")),
    ({**HOSTED, "baseUrl": "http://x/v1"}, "baseUrl", "'base_url'", ("base_url", "http://x/v1")),
    ({**HOSTED, "maxTokens": 5}, "maxTokens", "Did you mean 'max_tokens'?", ("max_tokens", 5)),
    ({**OWN, "Temperature": 0.5}, "Temperature", "Did you mean 'temperature'?", ("temperature", 0.5)),
    ({**HOSTED, "model_name": "b"}, "model_name", "and 'model' is there. Delete it.", None),
    ({**HOSTED, "request_timeout": 5}, "request_timeout", "the name in older versions", ("timeout", 5)),
    ({**HOSTED, "request-timeout": 5}, "request-timeout", "the name in older versions", ("timeout", 5)),
    ({**AZURE, "deployment_name": "d"}, "deployment_name", "'azure_deployment'", ("azure_deployment", "d")),
    # Values
    ({**OWN, "temperature": "0.7"}, "temperature", "a text that holds a number. Write 0.7, without quotes.",
     ("temperature", 0.7)),
    ({**OWN, "n": "2"}, "n", "Write 2", ("n", 2)),
    ({**OWN, "top_k": "5"}, "top_k", "Write 5", ("top_k", 5)),
    ({**OWN, "do_sample": "false"}, "do_sample", "holds yes or no. Write false", ("do_sample", False)),
    ({**HOSTED, "stream": "True"}, "stream", "Write true, without quotes.", ("stream", True)),
    ({**OWN, "model": "C:\temp\new"}, "model", "JSON reads a backslash and a letter as one character",
     ("model", "C:/temp/new")),
    ({**OWN, "image_folder": "images\blue"}, "image_folder", "two backslashes, or a /: 'images/blue'",
     ("image_folder", "images/blue")),
    ({**OWN, "model": " a\n"}, "model", "a space or a line break around it", ("model", "a")),
    ({**HOSTED, "model": "gpt\u200b4o"}, "model", "a character that can't be seen", None),
    ({**HOSTED, "model": "<your model>"}, "model", "'<your model>' is a placeholder", None),
    ({**HOSTED, "model": "your-model-name"}, "model", "is a placeholder", None),
    ({**HOSTED, "model": "name-of-the-served-model"}, "model", "is a placeholder", None),
    ({**AZURE, "base_url": "https://YOUR-RESOURCE-NAME.azure.com"}, "base_url", "is a placeholder", None),
    ({**HOSTED, "model": "${MODEL}"}, "model", "only keys are read from variables", None),
    (at("${MY_BASE_URL}"), "base_url", "only keys are read from variables", None),
    # Keys
    *((key(text), "api_key", "a placeholder, not a key. Name the variable that holds yours:",
       ("api_key", "${OPENAI_API_KEY}"))
      for text in ["<your key>", "YOUR_API_KEY", "your-api-key-here", "sk-xxxx", "xxxxxxxx", "...", "sk-...",
                   "TODO", "insert-key-here", "<OPENAI_API_KEY>", "replace_me"]),
    *((key(text), "api_key", 'a variable is written in another way here: "${OPENAI_API_KEY}".',
       ("api_key", "${OPENAI_API_KEY}"))
      for text in ["$OPENAI_API_KEY", "OPENAI_API_KEY", "%OPENAI_API_KEY%", "{OPENAI_API_KEY}",
                   "$env:OPENAI_API_KEY", "os.environ/OPENAI_API_KEY", "os.getenv('OPENAI_API_KEY')",
                   'os.environ["OPENAI_API_KEY"]']),
    *((key(text), "api_key", "around it: no server knows that key. Delete that.", ("api_key", "abc"))
      for text in ["abc\n", " abc", "'abc'", '"abc"', "Bearer abc"]),
    (key("sk-añb"), "api_key", "a character that no key has", None),
    (key("two words"), "api_key", "a character that no key has", None),
    (key("${BROKEN_API_KEY}"), "api_key", "no server knows that key. Set BROKEN_API_KEY anew.", None),
    # Addresses
    *((at(url), "base_url", told, ("base_url", better)) for url, told, better in [
        ("localhost:8000/v1", "no http:// or https:// before it", "http://localhost:8000/v1"),
        ("192.168.1.5:8000/v1", "no http:// or https:// before it", "http://192.168.1.5:8000/v1"),
        ("api.example.com/v1", "no http:// or https:// before it", "https://api.example.com/v1"),
        ("http:/x/v1", "half of http://", "http://x/v1"),
        ("https//x/v1", "half of https://", "https://x/v1"),
        ("htps://x/v1", "half of https://", "https://x/v1"),
        ("http://https://x/v1", "http stands twice", "https://x/v1"),
        ("http://x/v1/chat/completions", "adds the end of the address itself", "http://x/v1"),
        ("http://x/v1/completions/", "adds the end of the address itself", "http://x/v1"),
        ("http://x/v1/models", "adds the end of the address itself", "http://x/v1"),
        ("http://x/v1/v1", "/v1 stands twice", "http://x/v1"),
        ("http://localhost:11434/api/generate", "speaks OpenAI's protocol", "http://localhost:11434/v1"),
        ("http://localhost:11434/api/chat", "speaks OpenAI's protocol", "http://localhost:11434/v1"),
        ("http://localhost:11434/api", "speaks OpenAI's protocol", "http://localhost:11434/v1"),
        ("http://x:8080/completion", "speaks OpenAI's protocol", "http://x:8080/v1"),
        ("http://x:8000", "no path in it. Most servers answer under /v1", "http://x:8000/v1"),
    ]),
    (at("ftp://x/v1"), "base_url", "by http:// or https:// alone", None),
    (at("http://x/my models/v1"), "base_url", "a space is in it", None),
    (at("https://me.openai.azure.com/"), "api_type", "an address of Azure's. Add", ("api_type", "azure")),
    ({**AZURE, "base_url": "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1"},
     "base_url", "AutoGen adds what follows the host itself", ("base_url", "https://x.openai.azure.com")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("BROKEN_API_KEY", "abc\n")
    monkeypatch.setenv("MY_API_KEY", "abc")
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("entry", "field", "told", "fix"), HINTS)
def test_a_probable_mistake_is_told_once_as_a_warning(entry, field, told, fix):
    [problem] = [problem for problem in check_config_list([entry]) if problem.field == field]
    assert (problem.warning, problem.fix) == (True, fix)
    assert told in problem.message


@pytest.mark.parametrize(("entry", "field", "told", "fix"), [hint for hint in HINTS if hint[3]])
def test_the_fix_of_a_mistake_leaves_nothing_to_say_about_it(entry, field, told, fix, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "a" * 40)
    editor = ConfigListEditor()
    editor.entries[:] = [dict(entry)]
    editor.fix(field)
    if fix[0] in entry and fix[0] != field:  # taken: nothing is overwritten
        assert editor.entries == [entry]
    else:
        assert editor.entries[0][fix[0]] == fix[1]
        assert not [problem for problem in check_config_list(editor.entries) if problem.field == fix[0]]


@pytest.mark.parametrize(
    "entry",
    [
        OWN,
        HOSTED,
        AZURE,
        {**OWN, "url": "x", "host": "h", "endpoint": "e", "key": "k", "token": "t", "model_name": "b"},
        {**OWN, "client": "c", "server": "s", "llm": "l", "class_name": "d", "api_base": "b"},
        {**OWN, "api_key_env": "MY_API_KEY", "max_length": 5, "max_new_tokens": 5, "path": "p"},
        {**OWN, "model": "C:\\temp\\new", "base_url": "http://x", "seed": 1, "temperature": 0.7},
        {**OWN, "model": "name-of-the-served-model"},
        {**OWN, "api_key": "..."},
        {**OWN, "note": "a\tb", "version": "2", "prompt": "two\nlines"},
        {**HOSTED, "model": "org/my-model:1b"},
        {**HOSTED, "model": "text-davinci-your"},
        {**HOSTED, "model": "starcoder-fill-in-middle"},
        key("${MY_API_KEY}"),
        key("not-needed", base_url="http://localhost:8000/v1"),
        *({**LOCAL, "api_key": text}
          for text in ["EMPTY", "ollama", "sk-xxxx", "sk-no-key-required", "NO_KEY"]),
        *map(at, ["http://x/v1/", "https://openrouter.ai/api/v1", "https://api.groq.com/openai/v1", "HTTP://x/v1",
                  "https://generativelanguage.googleapis.com/v1beta/openai/", "http://[::1]:8000/v1",
                  "https://me.openai.azure.com/openai/v1/", "https://x/v1?tenant=1", "http://httpbin/v1"]),
        {**AZURE, "azure_endpoint": AZURE["base_url"], "base_url": None},
        {**AZURE, "azure_deployment": "d"},
    ],
)  # fmt: skip
def test_what_is_right_is_silent(entry):
    assert check_config_list([{name: value for name, value in entry.items() if value is not None}]) == []


# What AutoGen rejects


@pytest.mark.parametrize(
    ("entry", "field", "told"),
    [
        ({"model_name": "a", "api_key": "k"}, "model", "missing. 'model_name' is probably meant"),
        ({"modelId": "a", "model_client_cls": "C"}, "model", "missing. 'modelId' is probably meant"),
        ({"deployment_name": "a", "api_key": "k"}, "model", "missing. 'deployment_name' is probably meant"),
        ({"engine": "a", "model_client_cls": "C"}, "model", "missing. 'engine' is probably meant"),
        ({"model": "a", "api-key": "k"}, "api_key", "'api-key' is probably meant: rename it to 'api_key'."),
        ({"model": "a", "apiKey": "k"}, "api_key", "missing. 'apiKey' is probably meant"),
        ({"model": "a", "token": "k"}, "api_key", "missing. 'token' is probably meant"),
        ({"model": "a", "api_key_env": "MY_KEY"}, "api_key",
         """missing. In the place of 'api_key_env', write "api_key": "${MY_KEY}"."""),
        (at(" http://x/v1"), "base_url", "a space or a line break around it. Write http://x/v1"),
        (at("http://x y/v1"), "base_url", "a space is in it"),
        ({**HOSTED, "api_version": "1"}, "api_version", 'only Azure has this field. Add "api_type": "azure"'),
        ({**HOSTED, "azure_endpoint": "https://x"}, "azure_endpoint", "only Azure has this field"),
        ({"model": "d", "api_type": "azure"}, "api_key", "missing. Azure needs it"),
        ({"model": "d", "api_type": "azure"}, "base_url", "missing. Azure needs it"),
        ({"model": "d", "api_type": "azure", "host": "x"}, "base_url", "missing. 'host' is probably meant"),
        ({"model": "d", "api_type": "azure"}, "api_version", "missing. Azure needs it: a date, such as"),
    ],
)  # fmt: skip
def test_what_autogen_rejects_names_what_is_near(entry, field, told):
    [problem] = [problem for problem in check_config_list([entry]) if problem.field == field]
    assert not problem.warning
    assert told in problem.message
    assert "OPENAI_API_KEY" not in problem.message.replace("AZURE_OPENAI_API_KEY", "")


NEARBY = """localhost:8000 127.0.0.1:1234 127.1.2.3 0.0.0.0:8000 [::1]:8000 [::1] vllm:8000 box.local:8000
    host.docker.internal:11434 192.168.1.5:8000 10.0.0.2 172.16.3.4 169.254.1.1"""


@pytest.mark.parametrize("host", NEARBY.split())
@pytest.mark.parametrize("there", [False, True])
def test_a_server_nearby_gets_no_key_of_openais(host, there, monkeypatch):
    if there:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "a" * 40)
    entry = {**LOCAL, "base_url": f"http://{host}/v1"}
    [problem] = check_config_list([entry])
    assert (problem.field, problem.warning, problem.fix) == ("api_key", there, ("api_key", "not-needed"))
    assert 'Write "api_key": "not-needed" if that server wants none, else "${' in problem.message
    editor = ConfigListEditor()
    editor.entries[:] = [entry]
    editor.fix("api_key")
    assert check_config_list(editor.entries) == []


def test_another_server_gets_a_key_of_its_own():
    [problem] = check_config_list([{**LOCAL, "base_url": "https://api.groq.com/openai/v1"}])
    assert problem.fix == ("api_key", "${GROQ_API_KEY}")
    assert "OPENAI_API_KEY" not in problem.message


def test_a_variable_that_is_not_set_may_be_there_under_a_close_name(monkeypatch):
    monkeypatch.setenv("GROQ_APIKEY", "abc")
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    [problem] = check_config_list([key("${GROQ_API_KEY}")])[:1]
    assert problem.message.endswith("Is GROQ_APIKEY meant?")
