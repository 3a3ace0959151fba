"""A sweep of speed and memory by one call: what `nerbench speed` and `nerbench.speed` do."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nerbench.tasks.config import Config

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]


class Sweep(NamedTuple):
    """What was measured, rows without the single samples."""

    run_id: str
    tables: dict[str, list[str]]
    """Locations of what was written, by table."""
    speed: list[Row]
    memory: list[Row]
    environment: Row

    def to_pandas(self) -> "DataFrame":
        """One row a cell, with the columns of `speed`, then those of `memory`."""
        from pandas import DataFrame

        from nerbench.tasks.measuring.shown import joined

        return DataFrame(joined(self.speed, self.memory))

    def to_csv(self, target: Path | str) -> None:
        """The rows of `to_pandas` as one file; or in a folder, a file a section as PyTorchBenchmark wrote them.

        What `is_folder` says decides. Raises FileExistsError.
        """
        from nerbench.tasks.measuring.shown import write_csv, write_sections

        if is_folder(Path(target)):
            write_sections(Path(target), self.speed, self.memory, self.environment)
        else:
            write_csv(Path(target), self.speed, self.memory)


def is_folder(target: Path) -> bool:
    """Whether CSV files go into a folder of that name: it is one, or has no suffix."""
    return target.is_dir() or not target.suffix


def speed(models: Sequence[str] | None = None, *, config: Config | Path | str | None = None, **settings: Any) -> Sweep:
    """Time models and take their memory, over batch sizes, sequence lengths, backends and precisions.

    Args:
        models: Stored models, folders, ids of the Hub, names of architectures, or configurations as YAML mappings;
            by default the configuration's `benchmark.models`.
        config: A configuration, or its file; `nerbench.yaml` by default, else the demonstration.
        settings: Keys of the configuration's section `speed`: `batch_sizes=[8]`, `sequence_lengths=[8, 32]`, ….

    Raises InputError for a wrong request, RunFailedError where no cell could be measured.
    """
    from nerbench.tasks.configuration.configfile import load_config

    if not isinstance(config, Config):
        config = load_config(Path(config) if config else None, needs=("benchmark",))
    return measure(changed(config, settings), models)


def measure(config: Config, models: Sequence[str] | None) -> Sweep:
    """Check everything that can be wrong before the flow writes something, and run it."""
    from nerbench.flows.commands.launch import begin, running

    begin()
    from nerbench.tasks.corpora.demo import prepare_demo
    from nerbench.tasks.measuring.plan import tags_words
    from nerbench.tasks.measuring.subjects import find_subjects, located
    from nerbench.tasks.measuring.tables import plan_of

    wanted = [located(model, config.store) for model in models or config.benchmark.models]
    subjects = find_subjects(wanted, config.store)
    if any(tags_words(subject, config.speed) for subject in subjects):
        prepare_demo(config)
    plan_of(config, subjects)
    from nerbench.flows.speed import speed as speed_flow

    with running():
        return Sweep(**speed_flow(config, models=wanted))


def changed(config: Config, settings: dict[str, Any]) -> Config:
    """The configuration with other keys of its section `speed`; raises ConfigError like the file's."""
    from pydantic import ValidationError

    from nerbench.tasks.configuration.configerrors import first_problem

    data = config.model_dump()
    data["speed"] |= settings
    try:
        return type(config).model_validate(data)
    except ValidationError as error:
        raise first_problem(error, data) from None
