"""Checks of a cluster of Dask or Ray before a run, and the end of work for a cluster without workers."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from threading import Event
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakValueDictionary

import pytest
from pydantic import ValidationError

from nerbench.artifacts.errors import InputError
from nerbench.flows import clusters
from nerbench.flows.clusters import OnDask, OnRay, Submitted, Versions, cancelled_without_workers
from nerbench.flows.task_runners import check_runner
from nerbench.tasks.config import RunnerConfig

DASK = RunnerConfig(kind="dask", address="tcp://127.0.0.1:1")


@pytest.mark.parametrize("config", [RunnerConfig(kind="dask"), RunnerConfig(kind="ray", address="ray://127.0.0.1:1")])
def test_a_missing_extra_is_refused_in_one_line_with_the_command(
    monkeypatch: pytest.MonkeyPatch, config: RunnerConfig
) -> None:
    monkeypatch.setattr(clusters, "is_importable", lambda name: False)
    kind = config.kind
    with pytest.raises(InputError, match=rf"^runner: {kind} is not installed; pip install 'nerbench\[{kind}\]'$"):
        check_runner(config)
    check_runner(RunnerConfig(kind="processes"))


@pytest.mark.parametrize(("there", "has"), [(None, "no nerbench"), ("0.1", r"nerbench 0\.1")])
def test_a_worker_without_this_version_is_refused(monkeypatch: pytest.MonkeyPatch, there: str | None, has: str) -> None:
    found = {"scheduler": "0.2", "worker tcp://good:1": "0.2", "worker tcp://bad:1": there}
    monkeypatch.setattr(clusters, "_await_answer", lambda address: None)
    monkeypatch.setattr(clusters, "_dask_versions", lambda address: Versions("0.2", found))
    with pytest.raises(InputError, match=rf"^runner.address: the worker tcp://bad:1 has {has}; install nerbench 0\.2"):
        check_runner(DASK)
    del found["worker tcp://bad:1"]
    check_runner(DASK)


class RayError(Exception):
    """The base of Ray's own errors."""


class FakeRay:
    """What nerbench uses of Ray; `answers` has the nerbench of each node, or an error."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, answers: dict[str, Any], refusal: Exception | None = None) -> None:
        self.answers, self.refusal, self.connected = answers, refusal, False
        self.resources: dict[str, float] = {}
        self.cancelled: list[Any] = []

    def init(self, address: str, **options: Any) -> None:
        assert os.environ["RAY_AUTH_MODE"] == "token"
        assert not options["log_to_driver"]
        if self.refusal:
            raise self.refusal
        self.connected = True

    def shutdown(self) -> None:
        self.connected = False

    def nodes(self) -> list[dict[str, Any]]:
        alive = [{"NodeManagerAddress": "10.0.0.1", "NodeID": name, "Alive": True} for name in self.answers]
        return [*alive, {"NodeManagerAddress": "10.0.0.2", "NodeID": "lost", "Alive": False}]

    def remote(self, **options: Any) -> Any:
        def options_of(scheduling_strategy: str) -> Any:
            return SimpleNamespace(remote=lambda package: self.answers[scheduling_strategy])

        return lambda function: SimpleNamespace(options=options_of)

    def get(self, reference: Any, timeout: float) -> Any:
        if isinstance(reference, Exception):
            raise reference
        return reference

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def wait(self, work: Sequence[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        assert (num_returns, timeout) == (len(work), 0)
        return [one for one in work if one == "ended"], [one for one in work if one != "ended"]

    def cancel(self, one: Any) -> None:
        self.cancelled.append(one)


RAY = RunnerConfig(kind="ray", address="ray://127.0.0.1:1")
HERE = version("nerbench")


def use(monkeypatch: pytest.MonkeyPatch, ray: FakeRay) -> FakeRay:
    """Let a fake be the package `ray`."""
    strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
    fakes = {"ray": ray, "ray.util": SimpleNamespace(), "ray.util.scheduling_strategies": strategies}
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, cast(Any, module))
    monkeypatch.setenv("RAY_AUTH_MODE", "")  # so that the variable is restored
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.setattr(clusters, "is_importable", lambda name: True)
    monkeypatch.setattr(clusters, "_await_answer", lambda address: None)
    return ray


@pytest.mark.parametrize(
    ("ray", "message"),
    [
        (
            FakeRay({"a": HERE, "b": PackageNotFoundError("nerbench")}),
            r"the node 10\.0\.0\.1 \(b\) has no nerbench; in",
        ),
        (FakeRay({"a": "0.1"}), r"the node 10\.0\.0\.1 \(a\) has nerbench 0\.1; install nerbench"),
        (
            FakeRay({"a": RayError("node died\nTraceback")}),
            r"no Ray scheduler answers .*\(node died\)",
        ),
        (
            FakeRay({}, RuntimeError("Version mismatch: 3.12")),
            r"no Ray scheduler .*\(Version mismatch: 3\.12\); start it",
        ),
        (FakeRay({}, RayError("no token")), r"no Ray .*\(no token\); .*RAY_AUTH_TOKEN"),
        (FakeRay({}, Exception("already connected")), r"no Ray .*\(already connected\)"),
        (
            FakeRay({}, ConnectionAbortedError("Server failed:\nTraceback\n  File x\nValueError: no space")),
            r"no Ray .*\(Server failed: ValueError: no space\)",
        ),
    ],
    ids=[
        *("a node without nerbench", "another version", "a lost node", "another Python", "no token"),
        *("a second connection", "an error of the server"),
    ],
)
def test_a_ray_cluster_that_cannot_run_nerbench_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, ray: FakeRay, message: str
) -> None:
    use(monkeypatch, ray)
    with pytest.raises(InputError, match=rf"^runner\.address: {message}") as raised:
        check_runner(RAY)
    assert "\n" not in str(raised.value)
    assert not ray.connected, "the connection is closed"


def test_a_ray_cluster_with_this_version_is_used_with_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = use(monkeypatch, FakeRay({"a": HERE, "b": HERE}))
    with clusters.connected(RAY):
        assert ray.connected
    assert not ray.connected


@pytest.mark.parametrize(("tls", "is_refused"), [(None, True), ("0", True), ("1", False), ("true", False)])
def test_a_ray_cluster_on_another_machine_needs_tls(
    monkeypatch: pytest.MonkeyPatch, tls: str | None, is_refused: bool
) -> None:
    use(monkeypatch, FakeRay({"a": HERE}))
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    if tls:
        monkeypatch.setenv("RAY_USE_TLS", tls)
    elsewhere = RunnerConfig(kind="ray", address="ray://head:10001")
    if not is_refused:
        return check_runner(elsewhere)
    with pytest.raises(InputError, match=r"^runner\.address: ray://head:10001 is not protected: .*RAY_USE_TLS=1"):
        check_runner(elsewhere)


def test_work_for_a_cluster_without_workers_is_cancelled() -> None:
    with ThreadPoolExecutor(1) as thread:  # Playwright leaves an event loop in the main thread, which Dask would use
        thread.submit(_wait_for_a_cluster_without_workers).result()


def _wait_for_a_cluster_without_workers() -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
        cancelled_without_workers(OnDask(client), DASK.model_copy(update={"wait_for_workers_s": 0.2})),
        pytest.raises(CancelledError, match=r"there have been no workers of tcp://127.0.0.1:1 for \d+ s"),
    ):
        client.submit(abs, -1).result(60)


class Future(SimpleNamespace):
    """Can be referenced weakly, unlike its base."""


def test_the_work_of_ray_that_has_not_ended_is_cancelled_and_the_reason_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ray = use(monkeypatch, FakeRay({}))
    futures = [Future(wrapped_future=one) for one in ("ended", "waits")]
    work = OnRay(WeakValueDictionary(enumerate(futures)))
    assert not work.has_workers()
    ray.resources = {"CPU": 1.0}
    assert work.has_workers()
    work.cancel(work.pending(), "there have been no workers")
    assert ray.cancelled == ["waits"]
    assert "there have been no workers" in caplog.text
    assert OnRay(WeakValueDictionary()).pending() == ()


class Waiting(Submitted):
    """Work on a cluster without workers, whose scheduler may not answer."""

    def __init__(self, answers: bool, pending: list[str]) -> None:
        self.answers, self.waits, self.asked = answers, pending, 0
        self.cancelled, self.often = list[str](), Event()

    def has_workers(self) -> bool:
        self.asked += 1
        if self.asked == 100:
            self.often.set()
        if self.answers:
            return False
        raise OSError("no answer")

    def pending(self) -> list[str]:
        return self.waits

    def cancel(self, pending: Sequence[str], reason: str) -> None:
        assert "start workers, or increase runner.wait_for_workers_s" in reason
        self.cancelled += pending or ["nothing"]
        self.waits = []


@pytest.mark.parametrize(
    ("answers", "pending", "expected"), [(True, ["key"], ["key"]), (False, ["key"], []), (True, [], [])]
)
def test_work_is_only_cancelled_if_it_waits_and_the_scheduler_reports_no_workers(
    answers: bool, pending: list[str], expected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    work = Waiting(answers, pending)
    with cancelled_without_workers(work, DASK.model_copy(update={"wait_for_workers_s": 0.02})):
        assert work.often.wait(60)
    assert work.cancelled == expected
    assert caplog.messages == ["the cluster at tcp://127.0.0.1:1 has no workers yet"] * answers


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "ray"}, "ray needs an address, e.g. ray://head:10001"),
        ({"kind": "ray", "address": "tls://head:1"}, "is not an address of a scheduler; write e.g. ray://head:10001"),
        ({"kind": "dask", "address": "ray://127.0.0.1:1"}, "not an address of a scheduler; write e.g. tls://sched"),
        ({"address": "ray://head:1"}, "address has no effect with threads; leave it out, or give the kind dask or ray"),
        ({"kind": "processes", "address": "tcp://head:1"}, "address has no effect with processes"),
        ({"kind": "dask", "wait_for_workers_s": 9}, "wait_for_workers_s has no effect without the address"),
        ({"kind": "dask", "address": "tls://a:1", "wait_for_workers_s": 0}, "greater than 0"),
    ],
)
def test_contradictory_settings_of_a_runner_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunnerConfig.model_validate(data)
