"""A sweep of speed and memory in one call, for `nerbench speed` and `nerbench.speed`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nerbench.tasks.config import Config

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]


class Sweep(NamedTuple):
    """The result of a sweep: rows without the individual samples."""

    run_id: str
    tables: dict[str, list[str]]
    """Locations of the written files, by table."""
    speed: list[Row]
    memory: list[Row]
    environment: Row

    def to_pandas(self) -> "DataFrame":
        """One row per cell, with the columns of `speed`, then those of `memory`."""
        from pandas import DataFrame

        from nerbench.tasks.measuring.sweep_view import joined

        return DataFrame(joined(self.speed, self.memory))

    def to_csv(self, target: Path | str) -> None:
        """Write the rows of `to_pandas` to one file, or one file per section, as in PyTorchBenchmark, to a folder.

        `is_folder` decides. Raises FileExistsError.
        """
        from nerbench.tasks.measuring.sweep_view import write_csv, write_sections

        if is_folder(Path(target)):
            write_sections(Path(target), self.speed, self.memory, self.environment)
        else:
            write_csv(Path(target), self.speed, self.memory)


def is_folder(target: Path) -> bool:
    """Whether `target` is a folder for CSV files: an existing folder, or a name without a suffix."""
    return target.is_dir() or not target.suffix


def measure(config: Config, models: Sequence[str] | None) -> Sweep:
    """Validate the request before the flow writes anything, and run the flow."""
    from nerbench.flows.launch import prefect_running, start_prefect

    start_prefect()
    from nerbench.tasks.data.demo import prepare_demo
    from nerbench.tasks.measuring.plan import tags_words
    from nerbench.tasks.measuring.speed_rows import plan_of
    from nerbench.tasks.measuring.subjects import find_subjects, located

    wanted = [located(model, config.store) for model in models or config.benchmark.models]
    subjects = find_subjects(wanted, config.store)
    if any(tags_words(subject, config.speed) for subject in subjects):
        prepare_demo(config)
    plan_of(config, subjects)
    from nerbench.flows.speed import speed as speed_flow

    with prefect_running(live=config.speed.multi_process):  # a live line is in the way of a debugger
        return Sweep(**speed_flow(config, models=wanted))


def changed(config: Config, settings: dict[str, Any]) -> Config:
    """The configuration with changed keys in its section `speed`. Raises ConfigError."""
    from pydantic import ValidationError

    from nerbench.tasks.config.messages import first_problem

    data = config.model_dump()
    data["speed"] |= settings
    try:
        return type(config).model_validate(data)
    except ValidationError as error:
        raise first_problem(error, data) from None
