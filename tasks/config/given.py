"""The configuration that a command line or a call from Python names, and the code and data that it thereby allows."""

from collections.abc import Collection
from pathlib import Path

from nerbench.tasks.config import Config
from nerbench.tasks.config.loading import DEFAULT_FILE, load_config, named_locations
from nerbench.tasks.config.permissions import CODE, DATA, grant, listed

Given = Config | Path | str | None
"""A configuration, its file, or None for `nerbench.yaml` in the working directory, else the embedded demonstration."""


def given_config(config: Given, needs: Collection[str]) -> Config:
    """The configuration as it is, or that of a file, whose code and data are then allowed. Raises ConfigError."""
    if isinstance(config, Config):
        return config
    path = None if config is None else Path(config)
    found = load_config(path, needs=needs)
    trust(path, found)
    return found


def trust(path: Path | None, config: Config) -> None:
    """Allow this process and its children to load code from the configuration's folder and to use what it names.

    Runs started through the API of `nerbench serve` are children too; anything else in their parameters is refused.
    """
    folders = dict.fromkeys([str(Path.cwd()), str((path or DEFAULT_FILE).absolute().parent)])
    grant(CODE, *(() if listed(CODE) else folders))
    grant(DATA, *(() if listed(DATA) else folders), *(place.url for place in named_locations(config)))
