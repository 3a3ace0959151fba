"""Loads a configuration from YAML, the environment and flags, or names in one line the field to correct.

This module also lists the locations in a configuration: paths, URLs, Hub ids and references.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from nerbench.artifacts.errors import ConfigError
from nerbench.tasks.config import FIELDS_OF, Config, EvaluateMetric, Format, ModelConfig, Split, TaggerConfig
from nerbench.tasks.config.messages import Key, Location, first_problem, looks_secret, shown
from nerbench.tasks.config.permissions import CODE, DATA, grant, listed
from nerbench.tasks.config.schema_base import field_name
from nerbench.tasks.config.variables import expand_read, value_at
from nerbench.tasks.config.yaml_file import parse_mapping, read_text

DEMO_FOLDER = Path("var", "demo")
"""The folder of the corpus of the embedded configuration, relative to the working directory."""


DEMO_SENTENCES: Mapping[Split, int] = {"train": 3000, "validation": 200, "test": 300}


def is_demo_file(path: str) -> bool:
    """Whether `path` is one of the files that `prepare_demo` writes if they are missing."""
    return Path(path).parent == DEMO_FOLDER.absolute() and Path(path).name in {
        f"{split}.txt" for split in DEMO_SENTENCES
    }


class Named(NamedTuple):
    """A path, URL, Hub id or reference in a configuration."""

    at: Location
    text: str
    """The text in the configuration."""
    url: str
    """The text that `permissions` checks: the same, or `hf://…` for an id of the Hub."""


def named_locations(config: Config) -> Iterator[Named]:
    """All locations of data and servers in a configuration; `named_code` lists the locations of code."""
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
        if isinstance(model, ModelConfig):
            yield from _named(("models", number, "base"), model.base, hub=True)
    for number, reference in enumerate(config.benchmark.models):
        yield from named_reference(("benchmark", "models", number), reference)
    if config.gate:
        yield from named_reference(("gate", "baseline"), config.gate.baseline)


def named_reference(at: Location, reference: str) -> Iterator[Named]:
    """The location that a model reference names; the name of a stored model is not a location."""
    if "/" in reference and not reference.lstrip().startswith("{"):
        yield Named(at, reference, reference)


def is_folder(text: Any) -> bool:
    """Whether a value is a folder rather than a Hub id, `model` or `organisation/model`."""
    if not isinstance(text, str) or "://" in text:
        return False
    return text.startswith((".", "/", "~")) or text.count("/") > 1 or Path(text).is_dir()


def _named(at: Location, text: Any, *, hub: bool = False) -> Iterator[Named]:
    if isinstance(text, str):
        is_id = hub and "://" not in text and not is_folder(text)
        yield Named(at, text, f"hf://{text}" if is_id else text)


DEFAULT_FILE = Path("nerbench.yaml")
_PATH_FIELDS = ("store", "results")
SECTIONS = ("datasets", "golds", "models", "benchmark", "metrics", "slices", "gate")
"""The keys of a configuration that not every command needs."""


def load_config(
    path: Path | str | Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    *,
    store: str | None = None,
    results: str | None = None,
    needs: Collection[str] = SECTIONS,
) -> Config:
    """The configuration of a file, changed by flags. Default: `nerbench.yaml` here, else the embedded demonstration.

    `path` may also be a mapping with the content of a file. `overrides` are `a.b=value` with YAML values. Relative
    paths become absolute. Sections that are not in `needs` may name missing files and unset variables: a benchmark
    needs no base model. Raises ConfigError.

    >>> import nerbench
    >>> config = nerbench.load_config(overrides=["benchmark.split=validation"])
    >>> config.benchmark.split
    'validation'
    """
    data = deepcopy(dict(path)) if isinstance(path, Mapping) else _read(None if path is None else Path(path))
    for override in overrides:
        _override(data, override)
    data |= {name: value for name, value in (("store", store), ("results", results)) if value is not None}
    config = expanded_config(data, optional={*SECTIONS} - {*needs})
    absolute = Config.model_validate(_absolute(config.model_dump()))
    _check_files(absolute, needs)
    return absolute.with_written(_written(absolute, data))


def expanded_config(
    data: dict[str, Any], optional: Collection[str] = (), allowed: Collection[str] | None = None
) -> Config:
    """The configuration in plain data, with its variables expanded by `expand_read`. Raises ConfigError."""
    expanded = expand_read(data, optional, allowed)
    try:
        config = Config.model_validate(expanded)
    except ValidationError as error:
        raise first_problem(error, expanded) from None
    return config.with_written(_written(config, data))


def absolute_reference(reference: str) -> str:
    """A model reference in which a relative folder is made absolute; names and URLs do not change."""
    is_folder = "/" in reference and "://" not in reference
    return _absolute_path(reference) if is_folder else reference


def _written(config: Config, data: dict[str, Any]) -> dict[Location, tuple[str, str]]:
    """By place, each location that is written with variables: expanded, and as written."""
    alone = isinstance(data.get("dataset"), dict)
    places = {place.at: place.text for place in named_locations(config) if place.at[0] != "benchmark"}
    sources = {at: ("dataset", *at[2:]) if alone and at[0] == "datasets" else at for at in places}
    found = {at: value_at(data, source) for at, source in sources.items()}
    return {at: (places[at], text) for at, text in found.items() if isinstance(text, str) and "${" in text}


def _read(path: Path | None) -> dict[str, Any]:
    if path is None and not DEFAULT_FILE.exists():
        return parse_mapping(
            resources.files("nerbench.tasks.config").joinpath("demo.yaml").read_text(encoding="utf-8"), "demo.yaml"
        )
    file = path or DEFAULT_FILE
    return parse_mapping(read_text(file), str(file))


def _override(data: dict[str, Any], override: str) -> None:
    name, found, text = override.partition("=")
    *parents, last = re.sub(r"\[(\d+)\]", r".\1", name).split(".")
    if not found or not all([*parents, last]):
        raise ConfigError(f"--set {name}", "is not KEY=VALUE", "write e.g. --set benchmark.split=validation")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value_shown = "its value" if looks_secret((*parents, last)) else shown(text)
        raise ConfigError(f"--set {name}", f"{value_shown} is not YAML", "quote it") from None
    at: Any = data
    for part in parents:
        key = _key(at, part, name)
        if isinstance(at, dict) and at.get(key) is None:
            at[key] = {}
        at = at[key]
    at[_key(at, last, name)] = value


def _key(at: Any, part: str, name: str) -> Key:
    """The key or index that `part` means in a mapping or a list."""
    if isinstance(at, dict) and not part.isdecimal():
        return part
    if isinstance(at, list) and part.isdecimal() and int(part) < len(at):
        return int(part)
    among = f" among its {len(at)}" if isinstance(at, list) else ""
    raise ConfigError(
        f"--set {name}", f"there is no entry {part!r}{among}", "count list entries from 0, e.g. models.0.epochs"
    )


def _absolute(data: dict[str, Any]) -> dict[str, Any]:
    """The same data with absolute paths; URLs, names and Hub ids do not change."""
    data = data | {name: _absolute_path(data[name]) for name in _PATH_FIELDS if name in data}
    data["datasets"] = [_absolute_dataset(dataset) for dataset in data.get("datasets", ())]
    formats = {dataset["name"]: dataset.get("format", "conll") for dataset in data["datasets"]}
    data["golds"] = [_absolute_gold(gold, formats[gold["dataset"]]) for gold in data.get("golds", ())]
    data["models"] = [_absolute_model(model) for model in data.get("models", ())]
    data["metrics"] = [_absolute_metric(one) for one in data.get("metrics", ())]
    data["slices"] = [_absolute_function(one) for one in data.get("slices", ())]
    if gate := data.get("gate"):
        data["gate"] = gate | {"baseline": absolute_reference(gate["baseline"])}
    if "models" in data.get("benchmark", {}):
        models = tuple(absolute_reference(reference) for reference in data["benchmark"]["models"])
        data["benchmark"] = data["benchmark"] | {"models": models}
    return data


def _absolute_dataset(dataset: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {
        "files": {split: _absolute_path(file) for split, file in dataset.get("files", {}).items()}
    }
    if is_folder(dataset.get("path")) or dataset.get("format") == "datasets":
        changed["path"] = _absolute_path(dataset["path"])
    return dataset | changed


def _absolute_gold(gold: dict[str, Any], format_of_words: Format) -> dict[str, Any]:
    kind = gold.get("format") or format_of_words
    is_path = "files" in FIELDS_OF[kind] or kind == "datasets" or (kind == "hub" and is_folder(gold["file"]))
    return gold | {"file": _absolute_path(gold["file"])} if is_path else gold


def _absolute_model(model: dict[str, Any]) -> dict[str, Any]:
    if "tagger" in model:
        files = {name: _absolute_path(file) for name, file in model["files"].items()}
        python = model["python"] and _absolute_path(model["python"])
        return model | {"files": files, "python": python, "tagger": _absolute_code(model["tagger"])}
    base = _absolute_path(model["base"]) if is_folder(model["base"]) else model["base"]
    return model | {"base": base, "callbacks": [_absolute_code(name) for name in model.get("callbacks", ())]}


def _absolute_function(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"function": _absolute_code(one["function"])} if one.get("function") else one


def _absolute_metric(one: Any) -> Any:
    if isinstance(one, str):
        return _absolute_path(one)
    script = _absolute_path(one["evaluate"])
    folder = Path(script)
    return one | {"evaluate": str(folder / f"{folder.name}.py") if folder.is_dir() else script}


def _absolute_code(name: str) -> str:
    file, _, attribute = name.rpartition(":")
    return f"{_absolute_path(file)}:{attribute}" if file.endswith(".py") else name


def _absolute_path(text: str) -> str:
    if "://" in text:
        return text
    try:
        return str(Path(text).expanduser().absolute())
    except RuntimeError:
        raise ConfigError(text, "there is no such home folder", "write the folder itself") from None


def _check_files(config: Config, needs: Collection[str]) -> None:
    for at, file in _named_files(config):
        if at[0] in needs and "://" not in file and not is_demo_file(file) and not Path(file).is_file():
            problem = f"{file} is a folder" if Path(file).is_dir() else f"there is no file {file}"
            raise ConfigError(field_name(at), problem, "check the path; it is relative to the working directory")
    scripts = [(n, one.evaluate) for n, one in enumerate(config.metrics) if isinstance(one, EvaluateMetric)]
    for number, script in scripts if "metrics" in needs else ():
        if not Path(script).is_file():
            remedy = "download the script from its page on the Hub and name its file; none is loaded from there"
            raise ConfigError(field_name(("metrics", number, "evaluate")), f"there is no script {script}", remedy)
    for at, folder, remedy in _named_folders(config):
        if at[0] in needs and not Path(folder).is_dir():
            raise ConfigError(field_name(at), f"there is no folder {folder}", remedy)


def _named_folders(config: Config) -> Iterator[tuple[Location, str, str]]:
    """The place of each local folder in a configuration, the folder, and the remedy if it is missing."""
    for number, dataset in enumerate(config.datasets):
        for split, folder in dataset.files.items() if dataset.format == "brat" else ():
            yield ("datasets", number, "files", split), folder, "name a folder of .txt and .ann files"
        if dataset.path and Path(dataset.path).is_absolute():
            yield ("datasets", number, "path"), dataset.path, "name a folder, or the id of a data set of the Hub"
    for number, model in enumerate(config.models):
        if isinstance(model, ModelConfig) and isinstance(model.base, str) and Path(model.base).is_absolute():
            yield ("models", number, "base"), model.base, "name a folder made by save_pretrained, or a Hub id"
    for number, reference in enumerate(config.benchmark.models):
        if Path(reference).is_absolute():
            yield ("benchmark", "models", number), reference, "name a folder, a stored model, or hf://ORG/MODEL"


def _named_files(config: Config) -> Iterator[tuple[Location, str]]:
    for number, dataset in enumerate(config.datasets):
        for split, file in dataset.files.items() if dataset.format != "brat" else ():
            yield ("datasets", number, "files", split), file
        yield from [(("datasets", number, "python"), dataset.python)] if dataset.python else []
    formats = {dataset.name: dataset.format for dataset in config.datasets}
    for number, gold in enumerate(config.golds):
        if (kind := gold.format or formats[gold.dataset]) != "brat" and "files" in FIELDS_OF[kind]:
            yield ("golds", number, "file"), gold.file
    for number, metric in enumerate(config.metrics):
        if isinstance(metric, str):
            yield ("metrics", number), metric
    for number, model in enumerate(config.models):
        if isinstance(model, TaggerConfig):
            yield from ((("models", number, "files", name), file) for name, file in model.files.items())
            yield from [(("models", number, "python"), model.python)] if model.python else []
    for at, name in named_code(config):
        file, _, _ = name.rpartition(":")
        if file.endswith(".py"):
            yield at, file


def named_code(config: Config) -> Iterator[tuple[Location, str]]:
    """The place of each custom function or class, and its name: `file.py:name` or `package.module:name`."""
    for number, one in enumerate(config.slices):
        if one.function:
            yield ("slices", number, "function"), one.function
    for number, model in enumerate(config.models):
        if isinstance(model, TaggerConfig):
            if model.adapter is None:
                yield ("models", number, "tagger"), model.tagger
            continue
        for position, name in enumerate(model.callbacks):
            yield ("models", number, "callbacks", position), name


Given = Config | Path | str | Mapping[str, Any] | None
"""A configuration, its file, a mapping with the content of a file, or None for `nerbench.yaml` in the working
directory, else the embedded demonstration."""


def given_config(config: Given, needs: Collection[str]) -> Config:
    """The configuration as it is, or that of a file or mapping, whose code and data are then allowed.

    Raises ConfigError.
    """
    if isinstance(config, Config):
        return config
    found = load_config(config, needs=needs)
    trust(None if config is None or isinstance(config, Mapping) else Path(config), found)
    return found


def trust(path: Path | None, config: Config) -> None:
    """Allow this process and its children to load code from the configuration's folder and to use what it names.

    Runs started through the API of `nerbench serve` are children too; anything else in their parameters is refused.
    """
    folders = dict.fromkeys([str(Path.cwd()), str((path or DEFAULT_FILE).absolute().parent)])
    grant(CODE, *(() if listed(CODE) else folders))
    grant(DATA, *(() if listed(DATA) else folders), *(place.url for place in named_locations(config)))
