"""The Kubernetes work pool: its jobs have the rights of the composed worker, and Kubernetes' schemas accept them."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from containers import stages
from prefect_site import ROOT

TEMPLATE = ROOT / "deployments" / "kubernetes-job.json"
MANIFESTS = ROOT / "deployments" / "kubernetes.yaml"
ENVIRONMENT = ROOT / ".venv-kubernetes" / "bin"


def job() -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(TEMPLATE.read_text())["job_configuration"]["job_manifest"]
    return manifest


def pods() -> list[dict[str, Any]]:
    """The pod of a run, and that of the worker."""
    (worker,) = (one for one in yaml.safe_load_all(MANIFESTS.read_text()) if one["kind"] == "Deployment")
    return [one["spec"]["template"]["spec"] for one in (job(), worker)]


def test_pods_have_no_rights_and_a_read_only_root() -> None:
    user = int(next(one.rest for one in stages()[-1] if one.name == "USER").partition(":")[0])
    for pod in pods():
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, user)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
    assert pods()[0]["automountServiceAccountToken"] is False


def test_a_job_can_write_where_the_image_writes() -> None:
    (container,) = pods()[0]["containers"]
    writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert writable == {"/work", "/cache", "/home/nerbench", "/tmp"}
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pods()[0]["volumes"]}


def test_the_template_has_the_form_of_prefects_own() -> None:
    import prefect

    folder = Path(prefect.__file__).parent / "server" / "api" / "collections_data" / "views"
    known = json.loads((folder / "aggregate-worker-metadata.json").read_text())["prefect-kubernetes"]["kubernetes"]
    template, standard = json.loads(TEMPLATE.read_text()), known["default_base_job_configuration"]
    assert set(template["job_configuration"]) <= set(standard["job_configuration"])
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])
    assert used - {"limits"} <= set(standard["variables"]["properties"])


@pytest.mark.container
def test_kubernetes_schemas_accept_the_job_of_a_run_and_the_manifests(tmp_path: Path) -> None:
    if not (ENVIRONMENT / "kubernetes-validate").exists():
        pytest.skip("no .venv-kubernetes: make test-container installs it")
    command = [str(ENVIRONMENT / "python"), str(Path(__file__).with_name("kubernetes_job.py")), str(TEMPLATE)]
    server = {"PREFECT_API_URL": "http://server:4200/api", "DO_NOT_TRACK": "1", "PREFECT_HOME": str(tmp_path)}
    made = tmp_path / "job.json"
    given = json.dumps({"working_dir": "."})  # what the deployments of prefect.yaml set
    done = subprocess.run(
        [*command, given], env=os.environ | server, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    made.write_text(done.stdout)
    (container,) = json.loads(done.stdout)["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["prefect", "flow-run", "execute"]
    assert {"name": "PREFECT_API_URL", "value": server["PREFECT_API_URL"]} in container["env"]
    validate = [str(ENVIRONMENT / "kubernetes-validate"), "--strict", str(made), str(MANIFESTS)]
    checked = subprocess.run(validate, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert (checked.stdout + checked.stderr).count(" passed ") == 7
