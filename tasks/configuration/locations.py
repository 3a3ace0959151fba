"""Where a configuration says that something is: every path, URL, Hub id and reference, and how each is meant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nerbench.tasks.config import Config
from nerbench.tasks.configuration.configerrors import Location


class Named(NamedTuple):
    """One location."""

    at: Location
    text: str
    """As it stands there."""
    url: str
    """What `permission` judges: the same, but `hf://…` for an id of the Hub."""


def named_locations(config: Config) -> Iterator[Named]:
    """All locations of a configuration, of data and of servers; code is not among them."""
    for name in ("store", "results", "tracking_uri"):
        yield from _named((name,), getattr(config, name))
    yield from _named(("runner", "address"), config.runner.address)
    for number, dataset in enumerate(config.datasets):
        for split, file in dataset.files.items():
            yield from _named(("datasets", number, "files", split), file)
        yield from _named(("datasets", number, "path"), dataset.path, hub=dataset.format == "hub")
    formats = {dataset.name: dataset.format for dataset in config.datasets}
    for number, gold in enumerate(config.golds):
        kind = gold.format or formats[gold.dataset]
        if kind != "loader":
            yield from _named(("golds", number, "file"), gold.file, hub=kind == "hub")
    for number, model in enumerate(config.models):
        yield from _named(("models", number, "base"), model.base, hub=True)
    for number, reference in enumerate(config.benchmark.models):
        yield from named_reference(("benchmark", "models", number), reference)
    if config.gate:
        yield from named_reference(("gate", "baseline"), config.gate.baseline)


def named_reference(at: Location, reference: str) -> Iterator[Named]:
    """The location that a model reference is, if it is one; the name of a stored model is none."""
    if "/" in reference and not reference.lstrip().startswith("{"):
        yield Named(at, reference, reference)


def is_folder(text: Any) -> bool:
    """Whether a value means a folder rather than a Hub id, `model` or `organisation/model`."""
    if not isinstance(text, str) or "://" in text:
        return False
    return text.startswith((".", "/", "~")) or text.count("/") > 1 or Path(text).is_dir()


def _named(at: Location, text: Any, *, hub: bool = False) -> Iterator[Named]:
    if isinstance(text, str):
        is_id = hub and "://" not in text and not is_folder(text)
        yield Named(at, text, f"hf://{text}" if is_id else text)
