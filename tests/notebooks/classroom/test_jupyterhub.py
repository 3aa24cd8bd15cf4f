"""The class's JupyterHub as it is configured: students log in, run lesson 01, and are as apart as is said."""

import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import nbformat
import psutil
import pytest
from class_hub import ADMIN_PASSWORD, CONFIG, LESSON, PASSWORD, ROOT, Refused

# A hub with its students takes minutes. One npm install, and up to a minute for each server to start.
pytestmark = pytest.mark.slow

LISTEN = """
import time, zmq
context, heard = zmq.Context(), []
for port in {ports}:
    socket = context.socket(zmq.SUB)
    socket.subscribe(b"")
    socket.connect(f"tcp://127.0.0.1:{{port}}")
    heard.append(socket)
end = time.time() + 4
texts = []
while time.time() < end:
    for socket in heard:
        if socket.poll(20):
            texts.append(repr(socket.recv_multipart()))
print("a secret" in " ".join(texts))
"""


def attempt(kernel, code):
    """Run code in a student's kernel; return what it printed, or the kind of error."""
    text, error = kernel.execute(
        f"try:\n    print({code})\nexcept Exception as e:\n    print(type(e).__name__)"
    )
    assert not error, error
    return text.strip()


def stored_outputs():
    """Return what the code cells of lesson 01 have printed, by the notebook."""
    cells = [cell for cell in nbformat.read(ROOT / LESSON, as_version=4).cells if cell.cell_type == "code"]
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]


def check_lesson_01(ran):
    stored = stored_outputs()
    assert ran.failed == []
    assert len(ran.outputs) == len(stored) > 20
    assert ran.outputs[-1] == stored[-1] == "['first']\n['second']\n['Hi there']\n"


def in_parallel(*tasks):
    with ThreadPoolExecutor(len(tasks)) as pool:
        return [task.result() for task in [pool.submit(task) for task in tasks]]


@pytest.fixture(scope="module")
def class_of_two(separated):
    """ada and grace, logged in at the same moment."""
    students = [separated.student("ada"), separated.student("grace")]
    pages = in_parallel(*(student.start for student in students))
    for student, page in zip(students, pages, strict=True):
        assert page.url.path == f"/user/{student.name}/lab/tree/notebooks/00_start_here.ipynb"
    return students


def test_the_settings_are_at_the_top_of_a_short_file_without_passwords():
    text = CONFIG.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    assert "STUDENTS = [" in "\n".join(text.splitlines()[:25])
    assert 'os.environ.get(name, "")' in text


@pytest.mark.skipif(os.name == "nt", reason="JupyterHub does not run on Windows")
def test_a_model_that_can_not_be_fetched_is_one_line(tmp_path):
    """A first start without a network; with the model there, nothing is fetched."""
    no_index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "KIT_MODELS": str(tmp_path / "models")}
    command, environment = [sys.executable, str(CONFIG)], {**os.environ, **no_index}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "set PIP_FIND_LINKS to it" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


# --- Each student an OS user


def test_students_log_in_and_run_lesson_01_at_the_same_time(class_of_two):
    for ran in in_parallel(*(student.run for student in class_of_two)):
        check_lesson_01(ran)


def test_the_model_is_shared_and_can_only_be_read(class_of_two, local_model_folder):
    ada, _ = class_of_two
    with ada.kernel() as kernel:
        text, error = kernel.execute(
            "import os, kit\n"
            "folder = os.path.realpath(kit.local_model())\n"
            "print(folder, os.access(folder, os.W_OK), os.path.exists('models'))\n"
            "print(os.environ['OMP_WAIT_POLICY'], os.environ['OMP_NUM_THREADS'])"
        )
    assert not error
    assert text.split() == [os.path.realpath(local_model_folder), "False", "False", "PASSIVE", "1"]


def test_a_home_has_the_lessons_and_what_they_refer_to_and_nothing_else_of_the_teachers(class_of_two):
    ada, _ = class_of_two
    names = {entry["name"] for entry in ada.read("notebooks")}
    lessons = {file.name for file in (ROOT / "notebooks").glob("*.ipynb")}
    assert names == lessons | {"GLOSSARY.md", "checks", "images", "solutions"}
    assert {entry["name"] for entry in ada.read("")} == {"notebooks", "kit", "README.md", "requirements.txt"}
    assert "class DummyModelClient" in ada.read("kit/clients/dummy.py")  # lesson 01 links to it


def test_homes_and_processes_of_others_and_the_hub_are_closed(separated, class_of_two):
    ada, grace = class_of_two
    grace.write("notebooks/OAI_CONFIG_LIST", '[{"api_key": "grace\'s"}]')
    home = separated.folder / "homes" / "grace"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    with ada.kernel() as kernel, grace.kernel() as other:
        its, pid = other.execute("import os; print(os.getuid(), os.getpid())")[0].split()
        assert kernel.execute("import os; print(os.getuid())")[0].strip() not in (its, "0", str(os.getuid()))
        file = home / "notebooks" / "OAI_CONFIG_LIST"
        assert attempt(other, f"open({str(file)!r}).read()") == '[{"api_key": "grace\'s"}]'
        assert attempt(kernel, f"open({str(file)!r}).read()") == "PermissionError"
        assert attempt(kernel, f"os.listdir({str(home)!r})") == "PermissionError"
        assert attempt(kernel, f"os.listdir({str(home.parent)!r})") == "PermissionError"
        assert attempt(other, f"'JUPYTERHUB_API_TOKEN' in open('/proc/{pid}/environ').read()") == "True"
        for process in (pid, separated.process.pid):
            assert attempt(kernel, f"open('/proc/{process}/environ').read()") == "PermissionError"
            assert attempt(kernel, f"os.kill({process}, 0)") == "PermissionError"
        assert attempt(kernel, f"os.listdir({str(separated.folder / 'hub')!r})") == "PermissionError"


def test_nobody_can_listen_to_the_kernel_of_another(class_of_two):
    ada, grace = class_of_two
    with ada.kernel() as kernel, grace.kernel() as other:
        pid = int(attempt(other, "__import__('os').getpid()"))
        ports = [one.laddr.port for one in psutil.Process(pid).net_connections() if one.status == "LISTEN"]
        assert len(ports) >= 5
        with ThreadPoolExecutor() as pool:
            listening = pool.submit(kernel.execute, LISTEN.format(ports=ports))
            while not listening.done():
                assert other.execute("print('a ' + 'secret')")[0] == "a secret\n"
                time.sleep(0.1)
        assert listening.result() == ("False\n", "")


def test_a_home_is_kept_as_the_student_left_it(class_of_two):
    ada, _ = class_of_two
    cells = [nbformat.v4.new_code_cell("print('mine')", id="one")]
    mine = nbformat.v4.new_notebook(cells=cells)
    ada.api("PUT", f"contents/{LESSON}", json={"type": "notebook", "content": mine})
    ada.stop()
    ada.start()
    assert [cell["source"] for cell in ada.read(LESSON)["cells"]] == ["print('mine')"]


@pytest.mark.parametrize(
    "name, password",
    [
        ("ada", "wrong"),
        ("ada", ""),
        ("ada", ADMIN_PASSWORD),
        ("linus", PASSWORD),
        ("root", PASSWORD),
        ("teacher", PASSWORD),
    ],
)
def test_who_is_not_on_the_list_or_has_another_password_is_refused(separated, name, password):
    with pytest.raises(Refused):
        separated.student(name, password).log_in()


def test_an_os_user_who_was_there_before_is_no_student(separated):
    with pytest.raises(Refused, match="Spawn failed|Error"):
        separated.student("daemon").start()
    assert "daemon is an OS user of this machine and no student" in separated.text
    assert "daemon" not in [process.username() for process in separated.processes()]


def test_the_teacher_sees_and_starts_all_servers_and_a_student_does_not(separated, class_of_two):
    teacher = separated.student("teacher", ADMIN_PASSWORD)
    teacher.log_in()
    assert teacher.http.get("/hub/admin").status_code == 200
    ada, grace = class_of_two
    grace.stop()
    teacher.hub_api("POST", "users/grace/server")
    grace.start()
    assert ada.http.get("/hub/admin").status_code == 403
    assert ada.http.get("/user/grace/api/contents").status_code == 403


# --- All students one OS user


def test_without_root_everything_works_and_nothing_is_separated(one_user_hub):
    with one_user_hub() as hub:
        assert "Not separated" in hub.text
        ada, grace = hub.student("ada"), hub.student("grace")
        in_parallel(ada.start, grace.start)
        check_lesson_01(ada.run())
        grace.write("notebooks/OAI_CONFIG_LIST", "grace's")
        with ada.kernel() as kernel, grace.kernel() as other:
            pid = attempt(other, "__import__('os').getpid()")
            file = hub.folder / "homes" / "grace" / "notebooks" / "OAI_CONFIG_LIST"
            assert attempt(kernel, f"open({str(file)!r}).read()") == "grace's"
            for process, name in ((pid, "JUPYTERHUB_API_TOKEN"), (hub.process.pid, "KIT_HUB_ADMIN_PASSWORD")):
                assert attempt(kernel, f"{name!r} in open('/proc/{process}/environ').read()") == "True"
            processes = hub.processes()
            assert len(processes) == 6  # hub, proxy, two servers, two kernels
            assert hub.stop(signal.SIGINT) == []
            assert hub.process.returncode == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(hub.address)


@pytest.fixture
def certificate(tmp_path_factory):
    """Files of a certificate for 127.0.0.1, in a folder that others may enter."""
    folder = tmp_path_factory.mktemp("certificate")
    files = [str(folder / name) for name in ("certificate.pem", "key.pem")]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *name, "-out", files[0], "-keyout"]
    subprocess.run([*command, files[1]], check=True, capture_output=True)
    return files


def test_own_passwords_over_https_and_a_kernel_that_is_left_ends(separated_hub, certificate):
    settings = {
        "OWN_PASSWORDS": True,
        "IDLE_MINUTES": 0.2,  # 12 s, in which a slow machine has started a kernel and asked it
        "CERTIFICATE": certificate[0],
        "KEY": certificate[1],
    }
    often = "c.Spawner.args.append('--MappingKernelManager.cull_interval=1')\n"
    with separated_hub(more=often, **settings) as hub:
        assert hub.address.startswith("https:")
        ada = hub.student("ada", "chosen by ada")
        ada.start()
        for name, password in [
            ("ada", "of somebody else"),
            ("grace", "short"),
            ("linus", "not on the list"),
            ("teacher", "the first to come"),
        ]:
            with pytest.raises(Refused):
                hub.student(name, password).log_in()
        hub.student("ada", "chosen by ada").log_in()
        teacher = hub.student("teacher", ADMIN_PASSWORD)
        teacher.log_in()
        with ada.kernel() as kernel:
            assert kernel.execute("import time; time.sleep(14); print('busy')") == ("busy\n", "")
            assert len(ada.api("GET", "kernels").json()) == 1
            over = time.monotonic() + 60
            while ada.api("GET", "kernels").json():
                assert time.monotonic() < over
                time.sleep(1)
        teacher.hub_api("DELETE", "users/ada")  # for a student who forgot the password
        teacher.hub_api("POST", "users/ada")
        hub.student("ada", "a new one").log_in()
