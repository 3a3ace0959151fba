"""The run that rows belong to."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Run(BaseModel):
    """One logical run: a retry and a duplicate worker have the same `run_id`."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    flow: str
    date: str
    """Logical date, YYYY-MM-DD, UTC."""
    started_at: datetime
    attempt: int
    results: str
    """Location of the result tables."""

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that every row of the run carries."""
        return {"run_id": self.run_id, "started_at": self.started_at, "attempt": self.attempt}


def utc_now() -> datetime:
    """The time, as tables keep it."""
    return datetime.now(UTC)
