"""Clusters of Dask and Ray: whether they can run nerbench, and the end of work in a cluster without workers."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import RunnerConfig
from nerbench.tasks.environment import is_importable

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

ANSWERS_WITHIN_S = 10
WITHOUT_WORKERS_S = 600.0
"""The default of `wait_for_workers_s`."""
STARTS_WITHIN_S = 120
"""Time in which a node of a Ray cluster starts a process that answers."""
REQUIREMENTS = {
    "dask": "tls:// needs the certificates of distributed.comm.tls",
    "ray": "Ray needs the token of the cluster (RAY_AUTH_TOKEN), and the same versions of Ray and Python",
}
"""What a connection requires, by kind of cluster."""
_PACKAGE = "nerbench"
log = logging.getLogger(__name__)


class Versions(NamedTuple):
    """The installed versions of nerbench; None if it is not installed."""

    here: str | None
    there: dict[str, str | None]
    """The versions of the scheduler, which unpickles tasks too, and of each worker; with Ray, of each node."""


@contextmanager
def connected(config: RunnerConfig) -> Iterator[None]:
    """Check the cluster of a runner, if it has one. A Ray cluster stays connected within this context.

    Raises InputError if the runner's extra is not installed, no scheduler answers, or a part of the cluster does not
    have this version of nerbench.
    """
    if config.kind not in REQUIREMENTS:
        yield
        return
    if not is_importable(f"prefect_{config.kind}"):
        raise InputError("runner", f"{config.kind} is not installed", f"pip install 'nerbench[{config.kind}]'")
    with ExitStack() as stack:
        if config.address:
            _check_protection(config)
            try:
                _await_answer(config.address)
                if config.kind == "ray":
                    stack.enter_context(_connected_to_ray(config.address))
                versions = _ray_versions() if config.kind == "ray" else _dask_versions(config.address)
            except (OSError, ValueError, TypeError) as error:  # TimeoutError; an unknown protocol; no certificates
                reason = f" ({_one_line(error)})" if config.kind == "ray" else ""
                problem = f"no {config.kind.title()} scheduler answers at {config.address}{reason}"
                remedy = f"start it, or correct the address; {REQUIREMENTS[config.kind]}"
                raise InputError("runner.address", problem, remedy) from error
            _compare(versions)
        yield


def _check_protection(config: RunnerConfig) -> None:
    if (
        config.kind == "ray"
        and not config.is_protected
        and os.environ.get("RAY_USE_TLS", "0").lower() not in {"1", "true"}
    ):
        problem = f"{config.address} is not protected: Ray sends code to be run"
        remedy = "set RAY_USE_TLS=1 and Ray's certificates, on the cluster too, or use the address of this machine"
        raise InputError("runner.address", problem, remedy)


def _await_answer(address: str) -> None:
    """Open a connection; otherwise, Dask and Ray retry until their own timeouts."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), ANSWERS_WITHIN_S):
        pass


def _compare(versions: Versions) -> None:
    """Raise InputError if a version differs."""
    for name, there in versions.there.items():
        if there != versions.here:
            problem = f"the {name} has {f'nerbench {there}' if there else 'no nerbench'}"
            raise InputError("runner.address", problem, f"install nerbench {versions.here} there")


def _dask_versions(address: str) -> Versions:
    from distributed import Client

    with Client(address, timeout=ANSWERS_WITHIN_S, set_as_default=False) as client:
        found = client.get_versions(packages=[_PACKAGE])
    there = {"scheduler": found["scheduler"]} | {f"worker {name}": one for name, one in found["workers"].items()}
    return Versions(
        found["client"]["packages"][_PACKAGE], {name: one["packages"][_PACKAGE] for name, one in there.items()}
    )


def _one_line(error: Exception) -> str:
    """The first line of Ray's message. If a traceback of another machine follows after a colon, also its last line."""
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    return f"{first} {more[-1].strip()}" if more and first.endswith(":") else first


@contextmanager
def _connected_to_ray(address: str) -> Iterator[None]:
    """Connect to a Ray cluster with its token; Prefect's task runner then uses this connection, the only one."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # without a token, whoever reaches a cluster could run code there
    import ray

    logging.getLogger("ray.client_builder").setLevel(logging.WARNING)
    try:
        ray.init(address, namespace="prefect", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many types: another version of Ray or Python, no token, a second connection
        raise ConnectionError(str(error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _ray_versions() -> Versions:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0)(version)
    asked = {
        f"node {node['NodeManagerAddress']} ({node['NodeID'][:8]})": ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(_PACKAGE)
        for node in ray.nodes()
        if node["Alive"]
    }

    def answer(reference: Any) -> str | None:
        try:
            return cast(str, ray.get(reference, timeout=STARTS_WITHIN_S))
        except PackageNotFoundError:
            return None
        except ray.exceptions.RayError as error:  # the node is lost
            raise ConnectionError(str(error)) from error

    return Versions(version(_PACKAGE), {name: answer(reference) for name, reference in asked.items()})


def ray_runner(address: str) -> "TaskRunner[Any]":
    """Prefect's task runner for a Ray cluster, which lists what it submitted: Ray's client cannot."""
    from prefect_ray import RayTaskRunner

    class Listing(RayTaskRunner):  # type: ignore[misc] # without type hints here, a class of type Any
        def __init__(self, address: str) -> None:
            super().__init__(address)
            self.submitted = WeakValueDictionary[Any, Any]()  # what the flow still needs

        def submit(self, *arguments: Any, **options: Any) -> Any:
            future = super().submit(*arguments, **options)
            self.submitted[future.task_run_id] = future
            return future

    return cast("TaskRunner[Any]", Listing(address))


class Submitted(Protocol):
    """Work that was submitted to a cluster."""

    def has_workers(self) -> bool:
        """Whether the cluster has workers; raises any Exception if it does not answer."""

    def pending(self) -> Sequence[Any]:
        """The work that has not ended."""

    def cancel(self, pending: Sequence[Any], reason: str) -> None:
        """End this work."""


class OnDask(NamedTuple):
    """Work of a Dask client."""

    client: Any

    def has_workers(self) -> bool:
        """As in Submitted."""
        return bool(self.client.scheduler_info(n_workers=1)["workers"])

    def pending(self) -> Sequence[str]:
        """As in Submitted."""
        return [key for key, state in list(self.client.futures.items()) if state.status == "pending"]

    def cancel(self, pending: Sequence[str], reason: str) -> None:
        """As in Submitted."""
        from distributed import Future

        self.client.cancel([Future(key, self.client) for key in pending], reason=reason)


class OnRay(NamedTuple):
    """Work of `ray_runner`."""

    submitted: WeakValueDictionary[Any, Any]

    def has_workers(self) -> bool:
        """As in Submitted."""
        import ray

        return bool(ray.cluster_resources().get("CPU"))

    def pending(self) -> Sequence[Any]:
        """As in Submitted."""
        import ray

        # Unlike `values`, a list of references is safe while the flow submits more.
        futures = [future for reference in self.submitted.valuerefs() if (future := reference()) is not None]
        work = [future.wrapped_future for future in futures]
        return ray.wait(work, num_returns=len(work), timeout=0)[1] if work else ()

    def cancel(self, pending: Sequence[Any], reason: str) -> None:
        """As in Submitted."""
        import ray

        log.error("work is cancelled: %s", reason)  # Ray's own error does not give the reason
        for one in pending:
            ray.cancel(one)


def submitted_to(runner: "TaskRunner[Any]", config: RunnerConfig) -> Submitted:
    """What a started task runner has submitted to the cluster at `config.address`."""
    return OnRay(cast(Any, runner).submitted) if config.kind == "ray" else OnDask(cast(Any, runner).client)


@contextmanager
def cancelled_without_workers(work: Submitted, config: RunnerConfig) -> Iterator[None]:
    """Cancel work that has been pending for `wait_for_workers_s` in a cluster without workers.

    Dask and Ray would wait forever. Further work is then cancelled at once, until there is a worker. A scheduler that
    does not answer may have workers; a client that loses its connection cancels its work itself.
    """
    wait_s, ended = config.wait_for_workers_s or WITHOUT_WORKERS_S, Event()

    def watch() -> None:
        last = monotonic()
        while not ended.wait(wait_s / 20):
            has_workers, pending = True, cast(Sequence[Any], ())
            with suppress(Exception):
                has_workers, pending = work.has_workers(), work.pending()
            waited = monotonic() - last
            if has_workers or not (pending or waited > wait_s):  # an idle cluster may have no workers
                last = monotonic()
            elif pending and waited > wait_s:
                problem = f"there have been no workers of {config.address} for {waited:.0f} s"
                with suppress(Exception):
                    work.cancel(pending, f"{problem}; start workers, or increase runner.wait_for_workers_s")

    with suppress(Exception):
        if not work.has_workers():
            log.warning("the cluster at %s has no workers yet", config.address)
    thread = Thread(target=watch, daemon=True, name=f"workers of {config.address}")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
