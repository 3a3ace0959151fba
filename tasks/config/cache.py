"""Limits of what is kept to spare work."""

from datetime import timedelta

from pydantic import Field

from nerbench.artifacts.storage.pruning import Limits
from nerbench.tasks.config.section import Section


class CacheConfig(Section):
    """How much the two caches may hold, each: local copies of models, and predictions and counts beside the results."""

    max_gb: float | None = Field(default=None, ge=0)
    """Gigabytes (10⁹ bytes) of each cache: the least recently used entries go at a run's end; no limit by default."""
    max_days: float | None = Field(default=None, ge=0, le=36500)
    """Days since the last use after which an entry goes at a run's end; no limit by default."""

    @property
    def limits(self) -> Limits:
        """The same, in bytes and time."""
        return Limits(
            None if self.max_gb is None else int(self.max_gb * 1e9),
            None if self.max_days is None else timedelta(days=self.max_days),
        )
