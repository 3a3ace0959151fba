"""Where the steps of a run work: in threads, in processes, or on a Dask cluster."""

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from nerbench.tasks.config.section import Section, Text

_ADDRESS = re.compile(r"[a-z]+://(?:[\w.-]+|\[[0-9a-f:.]+\]):\d+", re.ASCII)
_PROTECTED = re.compile(r"(?:tls|wss)://.*|[a-z]+://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]):\d+", re.ASCII)
"""Addresses behind TLS, and of this machine."""


class RunnerConfig(Section):
    """Where models are evaluated and labels scored; `runner: processes` is short for `runner: {kind: processes}`."""

    kind: Literal["threads", "processes", "dask"] = "threads"
    """`threads` or `processes` of this machine, or workers of a `dask` cluster (the extra `dask`)."""
    address: Text | None = None
    """dask: of the scheduler, e.g. `tls://scheduler:8786`; `tcp://` for this machine alone, as Dask sends code to be
    run. Without one, workers of this machine for as long as the run. Its workers need this package, the same store,
    results, corpora and Prefect server, and one thread each."""
    workers: int | None = Field(default=None, ge=1)
    """Threads or processes. By default as many processes as there are processors; one thread, or eight where store or
    results are remote, as a thread that waits lets others work. A cluster with an address has its own."""
    evaluations: int | None = Field(default=None, ge=1)
    """Models × data sets, or shards of them, that are inferred at the same time: one with `threads`, as each holds a
    model and uses every processor; as many as there are workers otherwise."""
    cells_per_task: int = Field(default=1, ge=1)
    """Labels that one task scores; more of them cost Prefect less, a task of 20 about a tenth."""

    @property
    def in_threads(self) -> bool:
        """Whether everything happens in the process of the flow."""
        return self.kind == "threads"

    @property
    def at_once(self) -> int | None:
        """How many inferences go on at the same time; None where only the workers limit it."""
        return self.evaluations or (1 if self.in_threads else None)

    @model_validator(mode="before")
    @classmethod
    def _kind_may_stand_alone(cls, data: Any) -> Any:
        return {"kind": data} if isinstance(data, str) else data

    @field_validator("address")
    @classmethod
    def _address_has_a_port(cls, address: str | None) -> str | None:
        if address and not _ADDRESS.fullmatch(address):
            raise ValueError(f"{address} is no address of a scheduler; write e.g. tls://scheduler:8786")
        if address and not _PROTECTED.fullmatch(address):
            raise ValueError(
                f"{address} is not protected: Dask sends code to be run; write tls://…, with distributed.comm.tls set"
                " in Dask's configuration, or the address of this machine"
            )
        return address

    @model_validator(mode="after")
    def _address_is_of_a_cluster(self) -> Self:
        if self.address and self.kind != "dask":
            raise ValueError(f"address says nothing about {self.kind}; leave it out, or give the kind dask")
        if self.address and self.workers:
            raise ValueError(
                f"workers says nothing about the cluster at {self.address}, which has its own; leave it out"
            )
        return self
