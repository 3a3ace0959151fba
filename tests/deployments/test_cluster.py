"""A Dask cluster of four workers, with store and results on S3: killed and restarted processes, a missing package."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

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


class Cluster:
    """Four workers and their scheduler; the models `mine`, a tagger that waits, and `right` and `wrong`."""

    def __init__(self, site: Site, bucket: str) -> None:
        self.site = site
        self.address = f"tcp://{HOST}:{free_port()}"
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
            "runner": {"kind": "dask", "address": self.address},
        }
        (site.work / "nerbench.yaml").write_text(yaml.safe_dump(config))
        self.start()

    def start(self) -> None:
        """Start the scheduler and its workers."""
        host, port = self.address.removeprefix("tcp://").split(":")
        self.site.start("scheduler", "-m", "distributed.cli.dask_scheduler", "--host", host, "--port", port)
        for number in range(WORKERS):
            self.site.start(f"worker-{number}", "-m", *self.worker(), cwd=self.site.work)
        self.await_workers(WORKERS)

    def worker(self) -> list[str]:
        """The arguments of an interpreter that start a worker of one thread, without a nanny that would restart it."""
        return ["distributed.cli.dask_worker", self.address, "--no-nanny", "--nthreads", "1"]

    def await_workers(self, number: int) -> None:
        from distributed import Client

        def registered() -> bool:
            with suppress(OSError), Client(self.address, timeout=20, set_as_default=False) as client:
                return len(client.scheduler_info(n_workers=-1)["workers"]) == number
            return False

        until(registered, f"{number} workers", lambda: self.site.log("scheduler") + self.site.log("worker-0"))

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


def end(process: "Popen[str]") -> Ended:
    """Wait for the end of a command."""
    out, error = process.communicate(timeout=PATIENCE_S)
    return Ended(process.returncode, out, error)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_s3() as bucket:
        site = Site(tmp_path_factory.mktemp("cluster"), server={})
        try:
            site.start_server()
            site.await_server()
            yield Cluster(site, bucket)
        finally:
            site.end()


def test_a_killed_worker_costs_nothing(cluster: Cluster) -> None:
    """Dask gives its evaluation to another worker."""
    process = cluster.benchmark()
    (tagger,) = until(cluster.begun, "an evaluation", lambda: cluster.site.log("worker-0"))
    above = {one.pid for one in psutil.Process(tagger).parents()}
    (name,) = [name for name, one in cluster.site.running.items() if name.startswith("worker-") and one.pid in above]
    cluster.site.running[name].send_signal(signal.SIGKILL)
    until(lambda: len(cluster.begun()) == 2, "another worker")
    until(lambda: not psutil.pid_exists(tagger), "the end of the tagger of the killed worker")
    cluster.go_on()
    ended = end(process)
    assert ended.status == 0, ended.error
    found = json.loads(ended.out)
    assert (found["evaluated"], found["cached"]) == (len(MODELS), 0)
    assert cluster.scored(found["run_id"]) == {*MODELS}
    cluster.site.start(name, "-m", *cluster.worker(), cwd=cluster.site.work)
    cluster.await_workers(WORKERS)


def without_nerbench(folder: Path) -> Path:
    """A folder with links to all packages of this interpreter but nerbench."""
    import distributed

    folder.mkdir()
    for path in Path(distributed.__file__).parents[1].iterdir():
        if "nerbench" not in path.name:
            (folder / path.name).symlink_to(path)
    return folder


def test_a_worker_without_nerbench_is_refused_before_anything_runs(cluster: Cluster, tmp_path: Path) -> None:
    environment = cluster.site.env | {"PYTHONPATH": str(without_nerbench(tmp_path / "packages"))}
    with (tmp_path / "log").open("w") as log:
        worker = Popen([sys.executable, "-S", "-m", *cluster.worker()], cwd="/", env=environment, stderr=log)
    try:
        cluster.await_workers(WORKERS + 1)
        ended = end(cluster.benchmark())
    finally:
        end_tree(worker)
    assert ended.status == 2
    assert len(ended.error.splitlines()) == 1
    assert "runner.address: the worker tcp://127.0.0.1:" in ended.error
    assert "has no nerbench" in ended.error
    cluster.await_workers(WORKERS)


def test_a_restarted_scheduler_fails_the_unfinished_models_and_a_rerun_completes(cluster: Cluster) -> None:
    cluster.hold()
    process = cluster.benchmark("--refresh")
    until(cluster.begun, "an evaluation")
    before = [name for name in cluster.site.running if name.startswith("worker-") or name == "scheduler"]
    os.kill(cluster.site.running["scheduler"].pid, signal.SIGKILL)
    for name in before:
        end_tree(cluster.site.running[name])
    cluster.start()
    cluster.go_on()
    ended = end(process)
    assert ended.status == 1, ended.error
    (line,) = [line for line in ended.error.splitlines() if "failed" in line]
    assert "mine" in line
    again = end(cluster.benchmark())
    assert again.status == 0, again.error
    found: dict[str, Any] = json.loads(again.out)
    assert cluster.scored(found["run_id"]) == {*MODELS}
