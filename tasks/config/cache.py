"""Limits of the caches."""

from datetime import timedelta

from pydantic import Field

from nerbench.artifacts.storage.pruning import Limits
from nerbench.tasks.config.section import Section


class CacheConfig(Section):
    """Limits of each of the two caches: local copies of models, and predictions and counts in the results folder."""

    max_gb: float | None = Field(default=None, ge=0)
    """Maximum size in GB (10⁹ bytes); the end of a run removes the least recently used entries. Default: no limit."""
    max_days: float | None = Field(default=None, ge=0, le=36500)
    """Maximum days since the last use; the end of a run removes older entries. Default: no limit."""

    @property
    def limits(self) -> Limits:
        """The limits in bytes and as a time span."""
        return Limits(
            None if self.max_gb is None else int(self.max_gb * 1e9),
            None if self.max_days is None else timedelta(days=self.max_days),
        )
