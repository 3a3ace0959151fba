"""Where the tasks of a run work: in threads, in processes, or on a Dask cluster."""

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from nerbench.tasks.config.section import Section, Text

_ADDRESS = re.compile(r"[a-z]+://(?:[\w.-]+|\[[0-9a-f:.]+\]):\d+", re.ASCII)
_PROTECTED = re.compile(r"(?:tls|wss)://.*|[a-z]+://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]):\d+", re.ASCII)
"""Addresses that use TLS or belong to this machine."""


class RunnerConfig(Section):
    """Where evaluation and scoring run. `runner: processes` is short for `runner: {kind: processes}`."""

    kind: Literal["threads", "processes", "dask"] = "threads"
    """`threads` or `processes` on this machine, or workers of a `dask` cluster (extra `dask`)."""
    address: Text | None = None
    """dask: address of the scheduler, e.g. `tls://scheduler:8786`. `tcp://` is allowed for this machine only, because
    Dask sends code to run. Without an address, the run starts its own workers on this machine. Workers of a cluster
    need this package, the same store, results, corpora and Prefect server, and one thread each."""
    workers: int | None = Field(default=None, ge=1)
    """Number of threads or processes. Default: one process per processor; one thread, or eight if the store or the
    results are remote, because waiting threads let others work. Not allowed together with `address`."""
    evaluations: int | None = Field(default=None, ge=1)
    """Maximum number of concurrent inferences (model × data set, or a shard of it). Default: one with `threads`,
    because each holds a model and uses all processors; otherwise the number of workers."""
    cells_per_task: int = Field(default=1, ge=1)
    """Labels per scoring task. Larger tasks have less Prefect overhead: with 20 labels, about a tenth."""

    @property
    def in_threads(self) -> bool:
        """Whether all tasks run in the flow's process."""
        return self.kind == "threads"

    @property
    def at_once(self) -> int | None:
        """Maximum number of concurrent inferences; None if only the number of workers limits it."""
        return self.evaluations or (1 if self.in_threads else None)

    @model_validator(mode="before")
    @classmethod
    def _kind_may_stand_alone(cls, data: Any) -> Any:
        return {"kind": data} if isinstance(data, str) else data

    @field_validator("address")
    @classmethod
    def _address_has_a_port(cls, address: str | None) -> str | None:
        if address and not _ADDRESS.fullmatch(address):
            raise ValueError(f"{address} is not an address of a scheduler; write e.g. tls://scheduler:8786")
        if address and not _PROTECTED.fullmatch(address):
            raise ValueError(
                f"{address} is not protected: Dask sends code to be run; write tls://…, with distributed.comm.tls set"
                " in Dask's configuration, or the address of this machine"
            )
        return address

    @model_validator(mode="after")
    def _address_is_of_a_cluster(self) -> Self:
        if self.address and self.kind != "dask":
            raise ValueError(f"address has no effect with {self.kind}; leave it out, or give the kind dask")
        if self.address and self.workers:
            raise ValueError(f"workers has no effect on the cluster at {self.address}, which has its own; leave it out")
        return self
