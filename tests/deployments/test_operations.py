"""Failures in operation on a real server with a real worker: killed, cancelled, locked out; with figures."""

import json
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import UUID

import httpx
import psutil
import pytest
import yaml
from containers import server_settings, worker_command
from nightly_models import prepare
from prefect_site import Site, free_port, until
from small_corpus import TINY, write_corpus

from nerbench.artifacts.tables.tables import read_results

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.slow, pytest.mark.operations, pytest.mark.timeout(600)),
]
AUTH = "admin:planted-auth-string"
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDKEYPLANTED",
    "AWS_SECRET_ACCESS_KEY": "planted/secret+of/forty0characters0long000",
    "HF_TOKEN": "hf_plantedTokenPlantedTokenPlanted",
}
TRAINER = "nerbench.tasks.training.finetune"
GONE_WITHIN_S, CANCELLED_WITHIN_S, FREED_WITHIN_S = 100.0, 240.0, 240.0
HEARTBEAT_S = 30
"""The shortest lease that Prefect accepts."""
LOST_AFTER = timedelta(seconds=4 * HEARTBEAT_S)
"""On a busy machine, heartbeats are late."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server and the worker of `deployments/compose.yaml` without containers, and a model with a long training."""
    site = Site(tmp_path_factory.mktemp("operations"), server=server_settings(), auth=AUTH)
    site.env["PREFECT_WORKER_WEBSERVER_PORT"] = str(free_port())
    site.env["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = str(HEARTBEAT_S)
    try:
        site.start_server()
        prepare(site.work)
        write_long_training(site.work)
        site.await_server()
        site.env |= SECRETS
        site.deploy()
        site.start_worker(*worker_command())
        yield site
    finally:
        site.end()


def write_long_training(folder: Path) -> None:
    """A `nerbench.yaml` with a training that lasts for minutes."""
    corpus = write_corpus(folder / "corpus.txt", 40)
    model = {"name": "first", "base": TINY, "vocabulary": 200, "batch_tokens": 64, "learning_rate": 5e-3}
    config = {
        "datasets": [{"name": "own", "files": {"train": corpus, "validation": corpus, "test": corpus}}],
        "models": [model | {"epochs": 60, "checkpoint_s": 0.5}],
        "benchmark": {"speed": False, "device": "cpu", "models": ["first"]},
    }
    (folder / "nerbench.yaml").write_text(yaml.safe_dump(config))


class Holder:
    """A killed process that held the only slot of the limit `gpu`, and the time at which the slot was free again."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.prefect("gcl", "create", "gpu", "--limit", "1")
        process = site.begin(str(Path(__file__).with_name("holding.py")))
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        self.held = self.active()
        process.kill()
        self.killed = time.monotonic()
        self.free_after_s: float | None = None
        Thread(target=self._watch, daemon=True).start()

    def active(self) -> int:
        with self.site.client() as client:
            slots: int = client.read_global_concurrency_limit_by_name("gpu").active_slots
        return slots

    def _watch(self) -> None:
        free = False
        while not free:
            time.sleep(1)
            with suppress(httpx.HTTPError):  # the server is restarted concurrently
                free = not self.active()
        self.free_after_s = time.monotonic() - self.killed


@pytest.fixture(scope="module", autouse=True)
def holder(site: Site) -> Holder:
    """A holder whose lease expires while other tests run."""
    return Holder(site)


@pytest.fixture(scope="module", autouse=True)
def lost(site: Site, holder: Holder) -> UUID:
    """A run after a power failure: its worker, its flow and its training were killed. There are no alerts."""
    expect_lost_runs_soon(site)
    run = begin(site, "pipeline/on-demand")
    until(lambda: newest_step(site) and has_heartbeat(site), "a heartbeat")
    kill_tree(site.running["worker"])
    site.start_worker(*worker_command())
    return run


LOST, NEVER_STARTED = "nerbench: a run is lost", "nerbench: a run never started"


def expect_lost_runs_soon(site: Site) -> None:
    """Shorten the time after which the automation that a deployment or `serve` created ends a lost run."""
    from nerbench.flows.alerts import end_lost_runs

    with site.client() as client:
        names = {one.name for one in client.read_automations()}
        assert {name for name in names if name.startswith("nerbench: ")} == {LOST, NEVER_STARTED}
        end_lost_runs(LOST_AFTER)


def has_heartbeat(site: Site) -> bool:
    return bool(post(site, "events/filter", {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}})["events"])


def kill_tree(process: "subprocess.Popen[Any]") -> None:
    """Kill a process and its children, and wait for their end."""
    everything = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in everything:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()
    _, left = psutil.wait_procs(everything[1:], GONE_WITHIN_S)
    assert left == []


class Training(NamedTuple):
    """A run during training."""

    run: UUID
    trainer: psutil.Process
    """The process that trains; its parent is the flow."""
    step: int
    """The step of its newest checkpoint."""


def newest_step(site: Site) -> int:
    states = site.cache.glob("training/*/checkpoints/checkpoint-*/trainer_state.json")
    return max((int(state.parent.name.rpartition("-")[2]) for state in states), default=0)


def trainers(site: Site) -> list[psutil.Process]:
    found = psutil.Process(site.running["worker"].pid).children(recursive=True)
    return [one for one in found if TRAINER in one.cmdline()]


def begin(site: Site, deployment: str) -> UUID:
    """Start a run like `prefect deployment run`."""
    with site.client() as client:
        run: UUID = client.create_flow_run_from_deployment(client.read_deployment_by_name(deployment).id).id
    return run


def state_of(site: Site, run: UUID) -> Any:
    with site.client() as client:
        return client.read_flow_run(run).state


def begin_training(site: Site) -> Training:
    """Start a training, and wait until it is further than the earlier ones."""
    before, run = newest_step(site), begin(site, "train/on-demand")
    until(lambda: newest_step(site) > before and trainers(site), "a checkpoint", lambda: site.log("worker")[-4000:])
    (trainer,) = trainers(site)
    return Training(run, trainer, newest_step(site))


def ended(site: Site, training: Training, since: float) -> tuple[float, float, Any]:
    """Seconds until all processes of the run ended, seconds until its state was final, and that state."""
    worker = psutil.Process(site.running["worker"].pid)
    until(lambda: not worker.children(recursive=True), "the end of all processes")
    gone = time.monotonic() - since
    until(lambda: state_of(site, training.run).is_final(), "a final state")
    return gone, time.monotonic() - since, state_of(site, training.run)


def asked(site: Site, auth: str | None, *, data: bytes | None = None) -> int:
    """The HTTP status of a request with this auth string; with `data`, of a request that changes data."""
    headers = {"Content-Type": "application/json"}
    if auth:
        headers["Authorization"] = f"Basic {b64encode(auth.encode()).decode()}"
    path = "work_pools/" if data else "work_pools/local"
    try:
        with urlopen(Request(f"{site.api}/{path}", data, headers)) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_access_requires_the_auth_string(site: Site) -> None:
    assert [asked(site, auth) for auth in (None, "admin:wrong", AUTH)] == [401, 401, 200]


def test_another_sites_form_changes_nothing(site: Site) -> None:
    assert asked(site, AUTH, data=b'{"name": "planted", "type": "process"}') == 403


def test_the_worker_reports_its_health(site: Site) -> None:
    def healthy() -> bool:
        with (
            suppress(URLError),
            urlopen(f"http://127.0.0.1:{site.env['PREFECT_WORKER_WEBSERVER_PORT']}/health") as said,
        ):
            return bool(said.status == 200)
        return False

    until(healthy, "the worker's health", lambda: site.log("worker")[-4000:])


def test_a_killed_flow_leaves_no_process_and_has_crashed(site: Site) -> None:
    training = begin_training(site)
    training.trainer.parent().kill()
    gone, final, state = ended(site, training, time.monotonic())
    print(f"\nkilled: no process after {gone:.1f} s, {state.name} after {final:.1f} s")
    assert gone < GONE_WITHIN_S
    assert state.is_crashed()


@pytest.mark.parametrize("by", ["command line", "UI"])
def test_a_cancelled_run_ends_with_all_its_processes(site: Site, by: str) -> None:
    training = begin_training(site)
    started = time.monotonic()
    if by == "UI":
        post(site, f"flow_runs/{training.run}/set_state", {"state": {"type": "CANCELLING"}})
    else:
        site.prefect("flow-run", "cancel", str(training.run))
    gone, final, state = ended(site, training, started)
    print(f"\ncancelled by {by}: no process after {gone:.1f} s, {state.name} after {final:.1f} s")
    assert state.is_cancelled()
    assert final < CANCELLED_WITHIN_S


def post(site: Site, path: str, body: dict[str, Any]) -> Any:
    """Post a form like a browser."""
    with site.client() as client:
        return client._client.post(f"/{path}", json=body).raise_for_status().json()


def test_the_next_run_resumes_from_the_checkpoint(site: Site) -> None:
    before, run = newest_step(site), begin(site, "train/on-demand")
    until(lambda: state_of(site, run).is_final(), "the end of the training", lambda: site.log("worker")[-4000:])
    assert state_of(site, run).is_completed()
    (manifest,) = (json.loads(path.read_text()) for path in site.work.glob("var/artifacts/models/first/manifests/*"))
    assert manifest["provenance"]["training"]["resumed_from"] >= before > 0


def test_a_run_outlives_a_restart_of_the_server_and_nothing_is_repeated(site: Site) -> None:
    evaluations = site.work / "var" / "results" / ".cache" / "evaluations"
    run = begin(site, "benchmark/on-demand")
    until(lambda: list(evaluations.glob("*/record.json")), "an evaluation", lambda: site.log("worker")[-4000:])
    site.running["server"].kill()
    site.running["server"].wait()
    stopped = time.monotonic()
    site.start_server()
    site.await_server()
    down = time.monotonic() - stopped
    until(lambda: state_of(site, run).is_final(), "a final state", lambda: site.log("worker")[-4000:])
    print(f"\nserver killed, and back after {down:.1f} s: {state_of(site, run).name}")
    assert state_of(site, run).is_completed()
    written = {path: path.stat().st_mtime_ns for path in evaluations.rglob("*") if path.is_file()}
    again = begin(site, "benchmark/on-demand")
    until(lambda: state_of(site, again).is_final(), "a final state", lambda: site.log("worker")[-4000:])
    assert state_of(site, again).is_completed()
    assert {path: path.stat().st_mtime_ns for path in written} == written
    rows = read_results(str(site.work / "var" / "results"), "runs").to_pylist()
    newest = max((row for row in rows if row["flow"] == "benchmark"), key=lambda row: row["started_at"])
    assert (newest["evaluated"], newest["cached"]) == (0, 1)


def test_no_secret_is_shown(site: Site) -> None:
    with site.client() as client:
        deployed, pools = client.read_deployments(), [client.read_work_pool("local")]
        kept = [deployed, pools, client.read_flow_runs(), client.read_logs(), client.read_artifacts()]
    places = {"API": repr([[one.model_dump() for one in found] for found in kept]).encode()}
    places |= {str(path): path.read_bytes() for path in (site.work / "var").rglob("*") if path.is_file()}
    places |= {f"log of the {name}": site.log(name).encode() for name in ("server", "worker")}
    assert min(len(places[name]) for name in ("API", "log of the worker")) > 1000
    for name, secret in (SECRETS | {"auth": AUTH}).items():
        assert [place for place, said in places.items() if secret.encode() in said] == [], name


def test_a_run_on_a_lost_machine_has_crashed(site: Site, lost: UUID) -> None:
    until(lambda: state_of(site, lost).is_final(), "a verdict")
    assert state_of(site, lost).is_crashed()
    assert "no heartbeat for" in state_of(site, lost).message


def test_the_run_of_a_killed_serve_on_another_server_has_crashed(tmp_path: Path) -> None:
    site = Site(tmp_path, server={"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S)})
    try:
        site.start_server()
        write_long_training(site.work)
        site.await_server()
        site.start("serve", "-m", "nerbench.flows.cli", "serve", cwd=site.work)
        until(lambda: "Ctrl-C stops it" in site.log("serve"), "nerbench serve", lambda: site.log("serve"))
        expect_lost_runs_soon(site)
        run = begin(site, "train/on-demand")
        until(lambda: newest_step(site) and has_heartbeat(site), "a heartbeat", lambda: site.log("serve")[-4000:])
        kill_tree(site.running["serve"])
        killed = time.monotonic()
        assert not state_of(site, run).is_final()
        until(lambda: state_of(site, run).is_final(), "a verdict")
        print(f"\n`serve` and its run killed: {state_of(site, run).name} after {time.monotonic() - killed:.0f} s")
        assert state_of(site, run).is_crashed()
    finally:
        site.end()


def test_the_slot_of_a_killed_process_is_free_again(holder: Holder) -> None:
    assert holder.held == 1
    until(lambda: holder.free_after_s, "the slot")
    print(f"\nthe slot was free {holder.free_after_s:.0f} s after its holder was killed")
    assert (holder.free_after_s or 0) < FREED_WITHIN_S
