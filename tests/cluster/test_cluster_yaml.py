"""The shipped cluster files: fit for those who read them, and guarded in so many words."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cluster.md").read_text()
BLOCKS = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
(AWS,) = [block for block in BLOCKS if "type: aws" in block]
(KUBERNETES,) = [block for block in BLOCKS if "kind: RayJob" in block]
TEXTS = {"on-premise": (ROOT / "cluster.yaml").read_text(), "aws": AWS}
FILES = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
COMMANDS = {
    name: [command for key in file if key.endswith("commands") for command in file[key]]
    for name, file in FILES.items()
}
STARTS = [
    pytest.param(name, command, id=f"{name}-{'head' if '--head' in command else 'worker'}")
    for name, commands in COMMANDS.items()
    for command in commands
    if "ray start" in command
]
SECRET = re.compile(
    r"[0-9a-f]{32,}|(?i:password|secret|token)\s*[:=]\s*[^\s/~{]\S{7,}|//[^/\s]*:[^/\s]*@"
)
# The fields in use, as KubeRay's ray.io/v1 has them; what is not listed is not accepted.
RESOURCES = {"type": "object", "additionalProperties": {"type": "string"}}
CONTAINER = {
    "type": "object",
    "required": ["name", "image", "resources"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string", "pattern": "@sha256:[0-9a-f]{64}$"},
        "env": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
            },
        },
        "resources": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"requests": RESOURCES, "limits": RESOURCES},
        },
        "volumeMounts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "mountPath"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "mountPath": {"type": "string"},
                    "readOnly": {"type": "boolean"},
                },
            },
        },
    },
}
POD = {
    "type": "object",
    "required": ["spec"],
    "additionalProperties": False,
    "properties": {
        "spec": {
            "type": "object",
            "required": ["containers"],
            "additionalProperties": False,
            "properties": {
                "automountServiceAccountToken": {"const": False},
                "securityContext": {"type": "object"},
                "containers": {"type": "array", "minItems": 1, "items": CONTAINER},
                "volumes": {"type": "array", "items": {"type": "object", "required": ["name"]}},
            },
        }
    },
}
PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}
RAY_JOB = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "required": ["entrypoint", "rayClusterSpec"],
            "additionalProperties": False,
            "properties": {
                "entrypoint": {"type": "string"},
                "submissionMode": {
                    "enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
                },
                "backoffLimit": COUNT,
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": COUNT,
                "rayClusterSpec": {
                    "type": "object",
                    "required": ["rayVersion", "authOptions", "headGroupSpec"],
                    "additionalProperties": False,
                    "properties": {
                        "rayVersion": {"type": "string"},
                        "authOptions": {"const": {"mode": "token"}},
                        "headGroupSpec": {
                            "type": "object",
                            "required": ["template"],
                            "additionalProperties": False,
                            "properties": {"rayStartParams": PARAMETERS, "template": POD},
                        },
                        "workerGroupSpecs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["groupName", "maxReplicas", "minReplicas", "template"],
                                "additionalProperties": False,
                                "properties": {
                                    "groupName": {"type": "string"},
                                    "replicas": COUNT,
                                    "minReplicas": COUNT,
                                    "maxReplicas": COUNT,
                                    "rayStartParams": PARAMETERS,
                                    "template": POD,
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_the_file(name):
    config = prepare_config(FILES[name])
    validate_config(config)  # raises what is wrong
    assert config["head_node_type"] in config["available_node_types"]


def test_every_worker_of_ones_own_is_started_and_kept():
    config = prepare_config(FILES["on-premise"])
    (kind,) = config["available_node_types"].values()
    count = len(config["provider"]["worker_ips"])
    assert kind["min_workers"] == kind["max_workers"] == config["max_workers"] == count


@pytest.mark.parametrize("text", [*TEXTS.values(), KUBERNETES], ids=[*TEXTS, "kubernetes"])
def test_no_secret_is_in_the_file(text):
    assert not SECRET.findall(re.sub(r"@sha256:0{64}", "", text))


@pytest.mark.parametrize("name", FILES)
def test_nothing_listens_or_is_open_to_the_world(name):
    assert "0.0.0.0" not in TEXTS[name]
    assert "::/0" not in TEXTS[name]


@pytest.mark.parametrize(("name", "command"), STARTS)
def test_every_node_asks_for_the_token(name, command):
    assert command.startswith("RAY_AUTH_MODE=token ")


@pytest.mark.parametrize(("name", "command"), STARTS)
def test_rays_folder_lies_in_a_private_one(name, command):
    assert "--temp-dir=/tmp/ray-$USER/r" in command
    assert "install --directory --mode 700 /tmp/ray-$USER" in COMMANDS[name]


@pytest.mark.parametrize("name", FILES)
def test_the_dashboard_and_mlflow_listen_on_the_loopback_address(name):
    (head,) = [c for c in FILES[name]["head_start_ray_commands"] if "ray start" in c]
    (ui,) = [c for c in FILES[name]["head_start_ray_commands"] if "study ui" in c]
    assert "--dashboard-host=127.0.0.1" in head
    assert "--host 127.0.0.1" in ui
    assert "--password-file" in ui


@pytest.mark.parametrize("name", FILES)
def test_the_token_reaches_every_node_as_a_private_file(name):
    assert FILES[name]["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert any("chmod 600 ~/.ray/auth_token" in c for c in FILES[name]["setup_commands"])


@pytest.mark.parametrize("name", FILES)
def test_all_that_is_installed_on_a_node_is_here(name):
    ours = {k: v for k, v in FILES[name]["file_mounts"].items() if k.startswith("~/groupstudy/")}
    assert {key.removeprefix("~/groupstudy/") for key in ours} == set(ours.values())
    assert all((ROOT / local).exists() for local in ours.values())


def test_both_files_share_what_does_not_depend_on_the_machines():
    for key in ("file_mounts", "setup_commands", "rsync_exclude"):
        assert FILES["aws"][key] == FILES["on-premise"][key]


def test_the_nodes_addresses_are_those_that_ssh_reached():
    for command in (c for c in COMMANDS["on-premise"] if "ray start" in c):
        assert "--node-ip-address=$(echo $SSH_CONNECTION | cut -d' ' -f3)" in command


def test_version_2_of_the_autoscaler_is_off_where_it_starts_no_workers():
    (head,) = [c for c in COMMANDS["on-premise"] if "--head" in c]
    assert "RAY_enable_autoscaler_v2=0" in head


def test_kuberay_accepts_the_job():
    job = yaml.safe_load(KUBERNETES)
    assert [
        error.message for error in jsonschema.Draft202012Validator(RAY_JOB).iter_errors(job)
    ] == []


def test_the_job_names_the_ray_that_is_installed():
    import ray

    cluster = yaml.safe_load(KUBERNETES)["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == ray.__version__
