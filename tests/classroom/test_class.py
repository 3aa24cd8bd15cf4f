"""A class with one model: real agents, the real engine behind the gate, and what goes wrong."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import psutil
import pytest
from class_server import ClassServer, class_server, free_port

from kit.checks.explain import explain

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
slow = pytest.mark.slow  # each starts a server of its own, to break it or stop it
CTRL_C = pytest.mark.skipif(os.name == "nt", reason="no program can press another one's Ctrl-C there")
CAPITALS = {"Japan": "Tokyo", "Germany": "Berlin", "Egypt": "Cairo", "Peru": "Lima"}


def ask(agent, text):
    reply = agent.generate_reply(messages=[{"role": "user", "content": text}])
    return reply if isinstance(reply, str) else reply["content"]


def long_request(server, **fields):
    """Send a request for a long reply and return the open connection."""
    story = [{"role": "user", "content": "Tell me a long story about a fox."}]
    body = json.dumps({"model": "class-model", "messages": story, "max_tokens": 256, **fields}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def busy(server, seconds=1.0):
    """Return how many cores the server keeps busy."""
    process = psutil.Process(server.process.pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return (sum(process.cpu_times()[:2]) - before) / seconds


def test_an_agent_answers_with_the_printed_entry_and_nothing_registered(student):
    assert "Tokyo" in ask(student(), "What is the capital of Japan?")


def test_the_reply_can_be_streamed(student, capsys):
    assert "Tokyo" in ask(student(stream=True), "What is the capital of Japan?")


def test_a_class_that_asks_at_once_gets_everybody_an_own_answer(student):
    """Four pupils for each capital: replies of one batch must not be mixed up."""
    countries = list(CAPITALS) * 4
    agents = [student() for _ in countries]
    with ThreadPoolExecutor(len(agents)) as pool:
        replies = list(pool.map(lambda a, c: ask(a, f"What is the capital of {c}?"), agents, countries))
    wrong = [(c, reply) for c, reply in zip(countries, replies, strict=True) if CAPITALS[c] not in reply]
    assert wrong == []


@pytest.mark.parametrize("message", ["short", "default"])
def test_a_class_chats_three_turns_without_a_failure(server, message):
    """The load test with few students; `python tests/benchmarks/classroom.py` has a whole class."""
    from classroom import measure

    case = measure(server, "batching", message, students=4, tokens=8)
    assert [chat.error for chat in case.chats] == [""] * 4
    assert [len(chat.turns) for chat in case.chats] == [3] * 4
    assert all(0 < turn.first_token <= turn.reply and turn.tokens > 0 for turn in case.turns)


@pytest.mark.parametrize(
    ("fields", "error", "code"),
    [
        ({"model": "gpt-4o"}, openai.NotFoundError, "model_not_found"),
        ({"api_key": "wrong"}, openai.AuthenticationError, "invalid_api_key"),
        ({"frequency_penalty": 0.7}, openai.BadRequestError, "unsupported_parameter"),
        ({"temperature": 0.7, "n": 20}, openai.BadRequestError, "invalid_value"),
        ({"max_tokens": 5000}, openai.BadRequestError, "invalid_value"),
    ],
)
def test_a_student_with_a_wrong_entry_gets_an_error_that_says_so(student, fields, error, code):
    with pytest.raises(error) as raised:
        ask(student(**fields), "Hello!")
    assert raised.value.code == code
    assert "Tokyo" in ask(student(), "What is the capital of Japan?")


def test_a_base_url_without_v1_is_told(server, student):
    with pytest.raises(openai.NotFoundError, match="has to end in /v1"):
        ask(student(base_url=server.base_url.removesuffix("/v1")), "Hello!")


def test_a_prompt_that_is_too_long_is_refused_at_once_and_explained(student):
    with pytest.raises(openai.BadRequestError, match="2,048 are allowed") as raised:
        ask(student(), "word " * 9000)
    assert explain(raised.value).code == "context-window"


def test_broken_json_and_messages_are_refused_and_harm_nobody(server, student):
    import httpx

    headers = {"Authorization": f"Bearer {server.key}"}
    messages = [
        [{"role": "user", "content": None, "tool_calls": [{"function": {"arguments": "{"}}]}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "user", "content": "x", "tool_calls": 1}],
    ]
    bodies = ['{"model": "class-model", ']
    bodies += [json.dumps({"model": "class-model", "messages": one}) for one in messages]
    for body in bodies:
        response = httpx.post(
            f"{server.base_url}/chat/completions", content=body, headers=headers, timeout=30
        )
        assert response.status_code == 400, response.text
        assert response.json()["error"]["code"] in ("invalid_json", "invalid_messages", "invalid_request")
    assert "Tokyo" in ask(student(), "What is the capital of Japan?")


def test_no_student_can_unload_the_model(server, student):
    import httpx

    for path in ("/reset", "/load_model"):
        response = httpx.post(
            f"http://127.0.0.1:{server.port}{path}",
            json={},
            headers={"Authorization": f"Bearer {server.key}"},
        )
        assert response.status_code == 404
    assert "Tokyo" in ask(student(), "What is the capital of Japan?")


@pytest.mark.parametrize("stream", [False, True])
def test_the_reply_of_a_student_who_left_no_longer_takes_a_core(server, student, stream):
    connection = long_request(server, stream=stream)
    assert busy(server) > 0.3  # it computes
    connection.close()
    time.sleep(0.5)
    assert busy(server) < 0.2
    assert "Tokyo" in ask(student(), "What is the capital of Japan?")


def test_a_student_who_leaves_harms_nobody_else(server, student):
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(ask, student(max_tokens=64), f"What is the capital of {c}?") for c in CAPITALS]
        for stream in (False, True):
            long_request(server, stream=stream).close()
        for country, reply in zip(CAPITALS, waiting, strict=True):
            assert CAPITALS[country] in reply.result(60)


def test_what_the_instructor_sees_holds_no_word_of_a_student(server, student):
    with pytest.raises(openai.NotFoundError):
        ask(student(model="secret-name"), "secret words")
    for _ in range(50):
        if re.search(r"^127\.0\.0\.1: 404 model_not_found$", server.text, re.M):
            break
        time.sleep(0.1)
    assert "404 model_not_found" in server.text
    assert "secret" not in server.text
    assert "Traceback" not in server.text


@slow
def test_the_server_is_killed_in_the_middle_and_the_agents_go_on(local_model_folder):
    """The chat is the agent's: with a new server on the old port it goes on where it was."""
    from autogen import AssistantAgent, LLMConfig

    port = free_port()
    with class_server(port=port) as first:
        agent = AssistantAgent(
            "student",
            system_message="You are a helpful assistant.",
            llm_config=LLMConfig({**first.entry, "max_retries": 0}, cache_seed=None),
        )
        chat = [{"role": "user", "content": "What is the capital of Japan?"}]
        chat.append({"role": "assistant", "content": agent.generate_reply(messages=chat)})
        chat.append({"role": "user", "content": "What is the capital of Japan?"})
        errors = []

        def wait_for_a_reply():
            try:
                ask(agent, "Tell me a long story about a fox.")
            except openai.APIConnectionError as error:
                errors.append(error)

        under_way = threading.Thread(target=wait_for_a_reply)
        under_way.start()
        time.sleep(0.5)
        first.stop(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        under_way.join(30)
        assert len(errors) == 1  # whoever waited is told
        with pytest.raises(openai.APIConnectionError) as raised:
            agent.generate_reply(messages=chat)
        assert explain(raised.value).code == "unreachable"
    with class_server(port=port) as second:
        assert second.entry == first.entry  # nobody has to change an entry
        assert "Tokyo" in agent.generate_reply(messages=chat)


BREAKABLE = """
import os
from kit.classroom.gate import Gate

start = Gate.__init__

def breakable(gate, *rest):
    from transformers.generation.continuous_batching import ContinuousBatchingManager as Manager

    step = Manager._generation_step

    def broken(manager):
        if os.path.exists(os.environ["BREAK"]):
            raise RuntimeError("out of luck")
        return step(manager)

    Manager._generation_step = broken
    start(gate, *rest)

Gate.__init__ = breakable
"""


@slow
@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_dies_ends_the_server_and_says_so(stream, local_model_folder, tmp_path):
    """It would answer 503 for ever, and the instructor would see nothing but a traceback."""
    (tmp_path / "sitecustomize.py").write_text(BREAKABLE)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[2])])
    with class_server(PYTHONPATH=path, BREAK=str(tmp_path / "now")) as server:
        (tmp_path / "now").touch()
        reply = long_request(server, stream=stream).makefile("rb").read()
        assert b"out of luck" in reply
        assert server.process.wait(30) == 1
        server._reader.join(5)
    assert server.lines[-1].startswith("✘ The engine has stopped after a mistake. Start it again")


@slow
def test_what_nobody_reads_stops_nobody(local_model_folder):
    """A notebook that started the server and never reads what it prints; a pipe holds 65,536 bytes."""
    import httpx

    with class_server() as server:
        server.hold.clear()
        headers = {"Authorization": "Bearer wrong"}
        with httpx.Client(headers=headers, timeout=20) as client:
            for _ in range(3000):
                assert client.get(f"{server.base_url}/models").status_code == 401


WAITED = "timeout graceful shutdown exceeded"  # uvicorn says it after all the time that replies have to end


@slow
@CTRL_C
def test_a_second_ctrl_c_stops_it_at_once_and_without_a_traceback(local_model_folder):
    server = ClassServer()
    waiting = [long_request(server) for _ in range(6)]
    time.sleep(1)
    server.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert server.stop(signal.SIGINT) == 0
    assert WAITED not in server.text
    assert server.lines[-1].startswith("The server has stopped.")
    assert "Traceback" not in server.text
    for connection in waiting:
        connection.close()


@slow
@pytest.mark.skipif(os.name != "posix", reason="needs a shell's pipe")
def test_the_reader_of_its_lines_may_leave(local_model_folder):
    """As behind `| head -1`: it goes on, and ends without a traceback."""
    import httpx

    command = [sys.executable, "-m", "kit.classroom.serve", "--port", str(port := free_port())]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, encoding="utf-8", **streams) as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        for _ in range(600):
            time.sleep(0.1)
            try:
                well = httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.ConnectError:
                pass
        time.sleep(3)
        assert well.json() == {"status": "ok"}
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert "Traceback" not in errors


@slow
@CTRL_C
def test_ctrl_c_while_it_loads_is_one_line(local_model_folder):
    command = [sys.executable, "-u", "-m", "kit.classroom.serve", "--port", "0"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, encoding="utf-8", **streams) as process:
        assert process.stdout.readline().startswith("Loading")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "The server was stopped before it was ready."


@slow
@CTRL_C
def test_ctrl_c_stops_it_cleanly_and_frees_the_port(local_model_folder):
    server = ClassServer()
    waiting = [long_request(server, stream=stream) for stream in (False, True)]  # with replies under way
    time.sleep(0.3)
    assert server.stop(signal.SIGINT) == 0
    plain, streamed = (connection.makefile("rb").read() for connection in waiting)
    assert WAITED in server.text
    assert b"503" in plain.splitlines()[0]
    assert b"The server was stopped." in plain
    assert streamed.count(b"data: ") > 1
    assert server.lines[-1].startswith("The server has stopped.")
    assert "Traceback" not in server.text
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", server.port))


@slow
@pytest.mark.skipif(os.name == "nt", reason="a program that is ended there is never told")
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_sigterm_stops_it_as_ctrl_c_does_and_no_console_is_too_poor(encoding, local_model_folder):
    """As `docker stop`, systemd and `kill` end a program."""
    server = ClassServer(PYTHONIOENCODING=encoding)
    assert "? Ready: the first reply" in server.text
    waiting = long_request(server, stream=True)
    time.sleep(0.3)
    children = psutil.Process(server.process.pid).children(recursive=True)
    assert server.stop(signal.SIGTERM) == 0
    assert waiting.makefile("rb").read().count(b"data: ") > 1
    assert server.lines[-1].startswith("The server has stopped.")
    assert "Traceback" not in server.text
    assert psutil.wait_procs(children, timeout=5)[1] == []


@slow
@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_it_ends_with_the_program_that_started_it(how, local_model_folder):
    """`python -m kit serve` starts it, and nobody may be left on the port when that was killed."""
    port = free_port()
    serve = ["-m", "kit.classroom.serve", "--port", str(port)]
    starts = f"import subprocess, sys; subprocess.run([sys.executable, *{serve}])"
    command = [sys.executable, "-c", starts, "-m", "kit", "serve"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    with subprocess.Popen(command, env=environment, **output) as starter:
        while "Ready" not in (line := starter.stdout.readline()):
            assert line, "the server did not start"
        children = psutil.Process(starter.pid).children(recursive=True)
        assert children
        getattr(starter, how)()
        assert psutil.wait_procs(children, timeout=30)[1] == []
        assert "The server has stopped." in starter.stdout.read()


@slow
def test_sigterm_while_it_loads_is_one_line(local_model_folder):
    command = [sys.executable, "-u", "-m", "kit.classroom.serve", "--port", "0"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen(command, env={**os.environ, "PYTHONIOENCODING": "utf-8"}, **streams) as process:
        assert process.stdout.readline().startswith("Loading")
        time.sleep(0.5)
        process.terminate()
        errors = process.communicate(timeout=30)[1]
    if os.name != "nt":
        assert errors.splitlines()[-1] == "The server was stopped before it was ready."
    assert "Traceback" not in errors


@slow
def test_the_sampling_that_was_chosen_is_everybodys(local_model_folder):
    with class_server("--temperature", "1") as server:
        assert "temperature 1, top_p 1" in server.text
        client = openai.OpenAI(base_url=server.base_url, api_key=server.key)
        question = [{"role": "user", "content": "Invent a name for a fox."}]
        replies = {
            client.chat.completions.create(model="class-model", messages=question, max_tokens=12)
            .choices[0]
            .message.content
            for _ in range(4)
        }
    assert len(replies) > 1


@slow
def test_without_batching_it_answers_one_by_one(local_model_folder):
    with class_server("--one-by-one") as server:
        assert "one by one" in server.text
        client = openai.OpenAI(base_url=server.base_url, api_key=server.key)
        question = [{"role": "user", "content": "What is the capital of Japan?"}]
        reply = client.chat.completions.create(model="class-model", messages=question, max_tokens=12)
    assert "Tokyo" in reply.choices[0].message.content
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (37, 8)
