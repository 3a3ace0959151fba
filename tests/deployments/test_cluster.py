"""Clusters of Dask and Ray, with store and results on S3: killed and restarted processes, a missing package."""

import json
import os
import re
import secrets
import signal
import venv
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple

import psutil
import pytest
import yaml
from nightly_models import DOCUMENTS, SETTINGS
from prefect_site import HOST, PATIENCE_S, Site, end_tree, free_port, until
from s3_server import running_s3
from tiny_models import SENTENCES, save_bag
from tiny_taggers import tiny_tagger

from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.inference.tagger_evaluation import save_tagger

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.operations, pytest.mark.timeout(600)]
WORKERS = 4
RAY_FOLDER = "NERBENCH_TEST_RAY"
STARTED = "Ray runtime started"
MODELS = ("mine", "right", "wrong")
WAITING = """
import pathlib
folder = pathlib.Path({folder!r})
(folder / f"begun-{{os.getpid()}}").touch()
while not (folder / "go").exists():
    time.sleep(0.05)
for words in sentences:
    yield ["B-LOC" for _ in words]
"""
"""A tagger that waits in the middle of its evaluation until the file `go` exists."""


class Ended(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    error: str


class Cluster(ABC):
    """Workers and their scheduler; the models `mine`, a tagger that waits, and `right` and `wrong`."""

    kind: ClassVar[str]
    scheme: ClassVar[str]

    def __init__(self, site: Site, bucket: str) -> None:
        self.site = site
        self.address = f"{self.scheme}://{HOST}:{free_port()}"
        self.waiting = site.work / "waiting"
        self.waiting.mkdir()
        self.results = f"{bucket}/cluster/results"
        document = "".join("".join(f"{word} B-LOC\n" for word in words) + "\n" for words in SENTENCES)
        (site.work / "test.txt").write_text("".join(f"-DOCSTART- O\n\n{document}" for _ in range(DOCUMENTS)))
        store = Store(f"{bucket}/cluster/store")
        for name, label in (("right", 1), ("wrong", 0)):
            store.publish(save_bag(site.work / "made" / name, lambda _, label=label: label), name, Provenance())
        tagger = tiny_tagger(site.work, WAITING.format(folder=str(self.waiting)), init="self.labels = ['LOC']")
        save_tagger(tagger, store.url)
        config = {
            "store": store.url,
            "results": self.results,
            "datasets": [{"name": "own", "files": {"test": "test.txt"}}],
            "models": [tagger.model_dump(mode="json", exclude_defaults=True)],
            "benchmark": SETTINGS | {"models": list(MODELS), "report": False},
            "runner": {"kind": self.kind, "address": self.address},
        }
        (site.work / "nerbench.yaml").write_text(yaml.safe_dump(config))
        self.start()

    @abstractmethod
    def start(self) -> None:
        """Start the scheduler and its workers."""

    @abstractmethod
    def worker_of(self, tagger: int) -> int:
        """The process id of the worker that started this tagger."""

    @abstractmethod
    def replace_killed_worker(self) -> None:
        """Start a worker for the killed one, if the cluster does not."""

    @abstractmethod
    def one_more(self) -> list[str]:
        """The arguments of an interpreter that start one more worker."""

    @abstractmethod
    def await_one_more(self, log: Path) -> None:
        """Wait until this worker, which writes to `log`, is part of the cluster."""

    def restart(self) -> None:
        """Kill all processes of the cluster, the scheduler first, and start it again."""
        for name in [name for name in self.site.running if name.startswith("worker-") or name == "scheduler"]:
            end_tree(self.site.running.pop(name))
        self.start()

    def benchmark(self, *arguments: str) -> "Popen[str]":
        return self.site.begin("-m", "nerbench.flows.cli", "benchmark", "--json", *arguments, cwd=self.site.work)

    def begun(self) -> list[int]:
        """The ids of the taggers that have begun an evaluation."""
        return [int(path.name.partition("-")[2]) for path in self.waiting.glob("begun-*")]

    def hold(self) -> None:
        """Let taggers wait from now on."""
        for path in self.waiting.iterdir():
            path.unlink()

    def go_on(self) -> None:
        (self.waiting / "go").touch()

    def scored(self, run_id: str) -> set[str]:
        rows = read_results(self.results, "metrics", columns=["model"], filters=[("run_id", "=", run_id)])
        return set(rows["model"].to_pylist())


class Dask(Cluster):
    """A scheduler and WORKERS processes of one thread, without nannies that would restart them."""

    kind, scheme = "dask", "tcp"

    def start(self) -> None:
        host, port = self.address.removeprefix("tcp://").split(":")
        self.site.start("scheduler", "-m", "distributed.cli.dask_scheduler", "--host", host, "--port", port)
        for number in range(WORKERS):
            self.site.start(f"worker-{number}", "-m", *self.worker(), cwd=self.site.work)
        self.await_workers(WORKERS)

    def worker(self) -> list[str]:
        return ["distributed.cli.dask_worker", self.address, "--no-nanny", "--nthreads", "1"]

    def await_workers(self, number: int) -> None:
        from distributed import Client

        def registered() -> bool:
            with suppress(OSError), Client(self.address, timeout=20, set_as_default=False) as client:
                return len(client.scheduler_info(n_workers=-1)["workers"]) == number
            return False

        until(registered, f"{number} workers", lambda: self.site.log("scheduler") + self.site.log("worker-0"))

    def worker_of(self, tagger: int) -> int:
        above = {one.pid for one in psutil.Process(tagger).parents()}
        (name,) = [n for n, one in self.site.running.items() if n.startswith("worker-") and one.pid in above]
        self.killed = name
        return self.site.running[name].pid

    def replace_killed_worker(self) -> None:
        self.site.start(self.killed, "-m", *self.worker(), cwd=self.site.work)
        self.await_workers(WORKERS)

    def one_more(self) -> list[str]:
        return self.worker()

    def await_one_more(self, log: Path) -> None:
        self.await_workers(WORKERS + 1)


class Ray(Cluster):
    """One node of two processors, which starts its workers itself."""

    kind, scheme = "ray", "ray"

    def start(self) -> None:
        self.gcs = free_port()
        port = self.address.rpartition(":")[2]
        head = ["--head", "--node-ip-address", HOST, "--port", str(self.gcs), "--ray-client-server-port", port]
        head += ["--include-dashboard", "false", "--temp-dir", self.site.env[RAY_FOLDER]]
        before = self.site.log("scheduler").count(STARTED)
        self.site.start("scheduler", "-m", *self.node(*head, "--num-cpus", "2"), cwd=self.site.work)
        log = partial(self.site.log, "scheduler")
        until(lambda: log().count(STARTED) > before, "the first node", log)

    def node(self, *arguments: str) -> list[str]:
        ports = ["--min-worker-port", "0", "--max-worker-port", "0", "--object-store-memory", "100000000"]
        return ["ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *ports, *arguments]

    def worker_of(self, tagger: int) -> int:
        (pid,) = [one.pid for one in psutil.Process(tagger).parents() if one.cmdline()[0].startswith("ray::")]
        return pid

    def replace_killed_worker(self) -> None:
        """Ray starts another one."""

    def one_more(self) -> list[str]:
        return self.node("--address", f"{HOST}:{self.gcs}", "--num-cpus", "1")

    def await_one_more(self, log: Path) -> None:
        until(lambda: STARTED in log.read_text(), "a second node", log.read_text)


def end(process: "Popen[str]") -> Ended:
    """Wait for the end of a command."""
    out, error = process.communicate(timeout=PATIENCE_S)
    return Ended(process.returncode, out, error)


@pytest.fixture(scope="module", params=[Dask, Ray], ids=["dask", "ray"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    kind: type[Cluster] = request.param
    pytest.importorskip(f"prefect_{kind.kind}", reason=f"the extra `{kind.kind}` is not installed")
    with running_s3() as bucket, TemporaryDirectory(prefix="ray") as short:  # sockets need short names
        of_ray = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), RAY_FOLDER: short}
        of_ray["RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S"] = f"{PATIENCE_S:.0f}"
        site = Site(tmp_path_factory.mktemp("cluster"), server=of_ray)
        try:
            site.start_server()
            site.await_server()
            yield kind(site, bucket)
        finally:
            site.end()


def test_a_killed_worker_costs_nothing(cluster: Cluster) -> None:
    """The cluster gives its evaluation to another worker."""
    process = cluster.benchmark()
    (tagger,) = until(cluster.begun, "an evaluation", lambda: cluster.site.log("worker-0"))
    os.kill(cluster.worker_of(tagger), signal.SIGKILL)
    until(lambda: len(cluster.begun()) == 2, "another worker")
    until(lambda: not psutil.pid_exists(tagger), "the end of the tagger of the killed worker")
    cluster.go_on()
    ended = end(process)
    assert ended.status == 0, ended.error
    found = json.loads(ended.out)
    assert (found["evaluated"], found["cached"]) == (len(MODELS), 0)
    assert cluster.scored(found["run_id"]) == {*MODELS}
    cluster.replace_killed_worker()


def without_nerbench(folder: Path) -> tuple[Path, Path]:
    """An interpreter without packages, and a folder with links to all packages of this interpreter but nerbench."""
    venv.create(folder / "bare")
    packages = folder / "packages"
    packages.mkdir()
    for path in Path(psutil.__file__).parents[1].iterdir():
        if "nerbench" not in path.name:
            (packages / path.name).symlink_to(path)
    return folder / "bare" / "bin" / "python", packages


def test_a_worker_without_nerbench_is_refused_before_anything_runs(cluster: Cluster, tmp_path: Path) -> None:
    python, packages = without_nerbench(tmp_path)
    environment = cluster.site.env | {"PYTHONPATH": str(packages)}
    output = tmp_path / "log"
    with output.open("w") as log:
        worker = Popen([python, "-m", *cluster.one_more()], cwd="/", env=environment, stdout=log, stderr=log)
    try:
        cluster.await_one_more(output)
        ended = end(cluster.benchmark())
    finally:
        end_tree(worker)
    assert ended.status == 2
    assert len(ended.error.splitlines()) == 1, ended.error
    assert re.search(
        r"^nerbench: runner\.address: the (worker tcp://127|node \d+)\.\S+( \(\w+\))? has no nerbench", ended.error
    )


def test_a_restarted_scheduler_fails_the_unfinished_models_and_a_rerun_completes(cluster: Cluster) -> None:
    cluster.hold()
    process = cluster.benchmark("--refresh")
    until(cluster.begun, "an evaluation")
    cluster.restart()
    cluster.go_on()
    ended = end(process)
    assert ended.status == 1, ended.error
    (line,) = [line for line in ended.error.splitlines() if "failed" in line]
    assert "mine" in line
    again = end(cluster.benchmark())
    assert again.status == 0, again.error
    found: dict[str, Any] = json.loads(again.out)
    assert cluster.scored(found["run_id"]) == {*MODELS}
