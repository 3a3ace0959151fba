"""The configuration that a flow is asked to work by: the whole of it, or a file where the flow runs."""

from collections.abc import Collection
from pathlib import Path

from artifacts.errors import InputError
from tasks.config import Config
from tasks.configuration.configfile import DEFAULT_FILE, load_config

Request = Config | str | None
"""A configuration, the path of its YAML file, or None for `nerbench.yaml`.

A file is read where the flow runs, each time anew, and its relative paths start there: what a deployment needs to know
is then the same for every worker, and an edit counts from the next run on.
"""


def configuration(request: Request, needs: Collection[str]) -> Config:
    """What is meant; of a file, what is wrong in sections outside `needs` (see `load_config`) does not matter.

    Raises InputError where there is no such file, and ConfigError for what is wrong in it.
    """
    if isinstance(request, Config):
        return request
    file = Path(request or DEFAULT_FILE)
    if not file.is_file():
        remedy = "start the worker or `nerbench serve` where it lies, or name another file as `config`"
        raise InputError("config", f"there is no file {file} in {Path.cwd()}", remedy)
    return load_config(file, needs=needs)
