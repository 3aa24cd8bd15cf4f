"""JupyterHub for a class on one machine. The instructor's guide says what it keeps apart, and what not.

export KIT_HUB_PASSWORD=... KIT_HUB_ADMIN_PASSWORD=...   # the students' and yours: 8 and 32 characters
.venv/bin/jupyterhub -f notebooks/classroom/jupyterhub_config.py
"""

import dbm
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bcrypt

import kit
from kit.models import ModelDownloadError

ROOT = os.geteuid() == 0  # started by root (on Linux), the hub makes each student an OS user
STUDENTS = [f"student{number:02}" for number in range(1, 21)]  # the class; or names: ["ada", "grace"]
TEACHER = "teacher"  # sees, starts and stops everybody's server at /hub/admin
OWN_PASSWORDS = False  # True: each student chooses one at the first login, instead of one for all
ADDRESS, PORT = "127.0.0.1", 8100  # this machine alone; the hub takes the two ports after this one as well
CERTIFICATE, KEY = "", ""  # whole paths of two files, for https: needed as soon as the address is another
THREADS = 1  # of a kernel; more are of use where there are more cores than students
IDLE_MINUTES = 60  # after so long, a kernel that runs nothing is ended
FOLDER = Path("/srv/kit-class" if ROOT else "~/kit-class").expanduser()  # the homes, and what the hub keeps
LESSONS = ["*.ipynb", "GLOSSARY.md", "checks/*.py", "images/*", "solutions/*.ipynb"]  # what each is given

# From here on nothing needs to be edited.
try:  # the one thing here that a network may be needed for, once
    KIT, MODEL = Path(kit.__file__).resolve().parents[1], Path(kit.local_model()).resolve()
except (ImportError, ModelDownloadError) as problem:
    sys.exit(str(problem))
HOMES, OWN, SKELETON, GROUP = FOLDER / "homes", FOLDER / "hub", FOLDER / "skeleton", "kit-class"
NEEDED = f"import jupyterhub, kit, os; os.chdir({str(HOMES)!r}); open({str(MODEL / 'config.json')!r})"
PATH = f"{sys.prefix}/node_modules/.bin:{os.environ['PATH']}"


def password(name, length):
    given = os.environ.get(name, "")
    return given if len(given) >= length else sys.exit(f"Set {name}: {length} characters or more.")


def groups(name):
    return subprocess.run(["id", "-Gn", name], capture_output=True, text=True).stdout.split()


def make_home(spawner):
    """Make a home at a student's first login; later it is left as it is."""
    name, home = spawner.user.name, HOMES / spawner.user.name
    if not ROOT and not home.exists():
        shutil.copytree(SKELETON, OWN / name, symlinks=True, dirs_exist_ok=True).rename(home)
    if ROOT and not groups(name):
        command = ["useradd", "--user-group", "--groups", GROUP, "--shell", "/bin/bash", "--create-home"]
        subprocess.run([*command, "--skel", SKELETON, "--home-dir", home, name], check=True)
        home.chmod(0o700)
    if ROOT and GROUP not in groups(name):
        raise PermissionError(f"{name} is an OS user of this machine and no student: choose another name.")


ADMIN_PASSWORD = password("KIT_HUB_ADMIN_PASSWORD", 32)
PASSWORD = OWN_PASSWORDS or password("KIT_HUB_PASSWORD", 8)
for folder, mode in {FOLDER: 0o711, HOMES: 0o711, OWN: 0o700}.items():
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(mode)
os.chdir(OWN)  # where the hub keeps its data base, its keys and the hashes of passwords
shutil.rmtree(SKELETON, ignore_errors=True)
for file in (file for pattern in LESSONS for file in (KIT / "notebooks").glob(pattern)):
    (SKELETON / file.relative_to(KIT)).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, SKELETON / file.relative_to(KIT))
for name in ("README.md", "requirements.txt", "kit"):
    (SKELETON / name).symlink_to(KIT / name)  # the lessons refer to them
if ROOT:
    subprocess.run(["groupadd", "--force", GROUP], check=True)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", '"$0" -c "$1"']
    if subprocess.run([*nobody, sys.executable, NEEDED]).returncode:
        paths = f"{KIT}, {MODEL}, {FOLDER}, {Path(sys.executable).resolve()}"
        sys.exit(f"A student can't use the kit, see above. Everybody must be able to read {paths}.")
else:
    note = "▲ Not separated: what a student runs, runs as you, and can read and change all that you can."
    print(note, file=sys.stderr)  # which takes every sign; stdout may be a log of ASCII

c = get_config()  # noqa: F821 - JupyterHub defines it
c.JupyterHub.bind_url = f"{'https' if CERTIFICATE else 'http'}://{ADDRESS}:{PORT}"
c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = CERTIFICATE, KEY
c.JupyterHub.hub_port = PORT + 1
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{PORT + 2}"
c.ConfigurableHTTPProxy.command = [shutil.which("configurable-http-proxy", path=PATH) or "proxy not found"]
c.Authenticator.allowed_users, c.Authenticator.admin_users = set(STUDENTS), {TEACHER}
c.Authenticator.username_pattern = "[a-z][a-z0-9-]{0,30}$"
c.SharedPasswordAuthenticator.admin_password = ADMIN_PASSWORD
if OWN_PASSWORDS:
    c.JupyterHub.authenticator_class = "firstuseauthenticator.FirstUseAuthenticator"
    c.FirstUseAuthenticator.create_users = False  # only those on the list, and who is added at /hub/admin
    with dbm.open("passwords.dbm", "c", 0o600) as passwords:  # else the first to say so is the teacher
        passwords[TEACHER] = bcrypt.hashpw(ADMIN_PASSWORD.encode(), bcrypt.gensalt())
else:
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = PASSWORD
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner" if ROOT else "simple"
c.SimpleLocalProcessSpawner.home_dir_template = f"{HOMES}/{{username}}"
c.Spawner.pre_spawn_hook = make_home
c.Spawner.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = [
    f"--MappingKernelManager.cull_idle_timeout={round(60 * IDLE_MINUTES)}",
    "--MappingKernelManager.cull_connected=True",  # a tab left open is no work
    "--KernelManager.transport_encryption=required",  # else any OS user can listen to a kernel
]
c.Spawner.environment = {"KIT_MODELS": str(MODEL.parent), "OMP_WAIT_POLICY": "PASSIVE"}
c.Spawner.environment["OMP_NUM_THREADS"] = str(THREADS)
c.Spawner.start_timeout = c.Spawner.http_timeout = 180  # seconds, for when all log in at once
