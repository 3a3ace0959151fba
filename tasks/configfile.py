"""From YAML, the environment and flags to a checked configuration, or to one line that says what to mend."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from artifacts.errors import ConfigError
from tasks.config import FIELDS_OF, Config, Format
from tasks.configerrors import Location, field_name, first_problem

DEFAULT_FILE = Path("nerbench.yaml")
_VARIABLE = re.compile(r"\$(\$)?\{([^}]*)\}")
_PATH_FIELDS = ("store", "results")


def load_config(
    path: Path | None, overrides: Sequence[str] = (), *, store: str | None = None, results: str | None = None
) -> Config:
    """The configuration of a file (`nerbench.yaml` here, else the embedded demonstration), changed by flags.

    `overrides` are `a.b=value` with YAML values. Relative paths become absolute. Raises ConfigError.
    """
    data = _read(path)
    for override in overrides:
        _override(data, override)
    data |= {name: value for name, value in (("store", store), ("results", results)) if value is not None}
    expanded = _map_strings(data, (), _expand)
    try:
        config = Config.model_validate(expanded)
    except ValidationError as error:
        raise first_problem(error, expanded) from None
    absolute = Config.model_validate(_absolute(config.model_dump()))
    _check_files(absolute)
    return absolute


def absolute_reference(reference: str) -> str:
    """A model reference with a relative folder made absolute; names and URLs stay as they are."""
    is_folder = "/" in reference and "://" not in reference
    return _absolute_path(reference) if is_folder else reference


def _read(path: Path | None) -> dict[str, Any]:
    if path is None and not DEFAULT_FILE.exists():
        text, name = resources.files("tasks").joinpath("demo.yaml").read_text(encoding="utf-8"), "demo.yaml"
    else:
        name = str(path or DEFAULT_FILE)
        text = _read_text(Path(name))
    try:
        data = yaml.load(text, Loader=_UniqueKeys)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}", f"is not YAML: {error.problem}", "correct that line") from None
    except yaml.YAMLError as error:
        raise ConfigError(name, f"is not YAML: {error}", "write plain text") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(
            name, f"holds a {type(data).__name__}, not keys with values", "write e.g. `store: ./var/artifacts`"
        )
    return data


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            "-c", f"there is no file {path}", "check the path, or leave it out for the demonstration"
        ) from None
    except IsADirectoryError:
        raise ConfigError("-c", f"{path} is a folder", f"name the file in it, e.g. {path / DEFAULT_FILE}") from None
    except PermissionError:
        raise ConfigError("-c", f"{path} may not be read", "change its permissions") from None
    except UnicodeDecodeError:
        raise ConfigError("-c", f"{path} is not UTF-8 text", "save it as UTF-8") from None


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key written twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                mark = node.value[number][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} is written twice", problem_mark=mark)
        return super().construct_mapping(node, deep)


def _override(data: dict[str, Any], override: str) -> None:
    name, found, text = override.partition("=")
    if not found or not name:
        raise ConfigError("--set", f"{override!r} is not KEY=VALUE", "write e.g. --set benchmark.split=validation")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {name}", f"{text!r} is not a YAML value", "quote it") from None
    *parents, last = name.split(".")
    at: Any = data
    for part in parents:
        at = at.setdefault(part, {}) if isinstance(at, dict) else _item(at, part, name)
    if isinstance(at, dict):
        at[last] = value
    elif isinstance(at, list) and last.isdigit() and int(last) < len(at):
        at[int(last)] = value
    else:
        raise ConfigError(f"--set {name}", f"there is no {last!r} to change", "name a key of the configuration")


def _item(sequence: Any, part: str, name: str) -> Any:
    if not isinstance(sequence, list) or not part.isdigit() or int(part) >= len(sequence):
        raise ConfigError(
            f"--set {name}", f"there is no entry {part!r}", "count list entries from 0, e.g. models.0.epochs"
        )
    return sequence[int(part)]


def _map_strings(value: Any, at: Location, change: Callable[[str, Location], str]) -> Any:
    if isinstance(value, str):
        return change(value, at)
    if isinstance(value, dict):
        return {key: _map_strings(item, (*at, key), change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_strings(item, (*at, number), change) for number, item in enumerate(value)]
    return value


def _expand(text: str, at: Location) -> str:
    def value(found: re.Match[str]) -> str:
        escaped, name = found.groups()
        if escaped:
            return f"${{{name}}}"
        if not os.environ.get(name):
            raise ConfigError(
                field_name(at), f"the environment variable {name} is not set", f"export {name}=… or write the value"
            )
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def _absolute(data: dict[str, Any]) -> dict[str, Any]:
    """Relative paths resolved against the working directory; URLs, names and Hub ids as they are."""
    data = data | {name: _absolute_path(data[name]) for name in _PATH_FIELDS if name in data}
    data["datasets"] = [_absolute_dataset(dataset) for dataset in data.get("datasets", ())]
    formats = {dataset["name"]: dataset.get("format", "conll") for dataset in data["datasets"]}
    data["golds"] = [_absolute_gold(gold, formats[gold["dataset"]]) for gold in data.get("golds", ())]
    data["models"] = [_absolute_base(model) for model in data.get("models", ())]
    if "models" in data.get("benchmark", {}):
        models = tuple(absolute_reference(reference) for reference in data["benchmark"]["models"])
        data["benchmark"] = data["benchmark"] | {"models": models}
    return data


def _absolute_dataset(dataset: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {
        "files": {split: _absolute_path(file) for split, file in dataset.get("files", {}).items()}
    }
    if _is_folder(dataset.get("path")):
        changed["path"] = _absolute_path(dataset["path"])
    return dataset | changed


def _absolute_gold(gold: dict[str, Any], format_of_words: Format) -> dict[str, Any]:
    kind = gold.get("format") or format_of_words
    is_path = "files" in FIELDS_OF[kind] or (kind == "hub" and _is_folder(gold["file"]))
    return gold | {"file": _absolute_path(gold["file"])} if is_path else gold


def _absolute_base(model: dict[str, Any]) -> dict[str, Any]:
    return model | {"base": _absolute_path(model["base"])} if _is_folder(model["base"]) else model


def _is_folder(text: Any) -> bool:
    """Whether a value means a folder rather than a Hub id: it looks like a path, or there is one."""
    return isinstance(text, str) and (text.startswith((".", "/", "~")) or Path(text).is_dir())


def _absolute_path(text: str) -> str:
    return text if "://" in text else str(Path(text).expanduser().absolute())


def _check_files(config: Config) -> None:
    from tasks.demo import is_demo_file

    for at, file in _named_files(config):
        if "://" not in file and not is_demo_file(file) and not Path(file).is_file():
            problem = f"{file} is a folder" if Path(file).is_dir() else f"there is no file {file}"
            raise ConfigError(field_name(at), problem, "check the path; it is relative to the working directory")
    for number, model in enumerate(config.models):
        if isinstance(model.base, str) and model.base.startswith("/") and not Path(model.base).is_dir():
            at = ("models", number, "base")
            raise ConfigError(
                field_name(at), f"there is no folder {model.base}", "name a folder made by save_pretrained, or a Hub id"
            )


def _named_files(config: Config) -> Iterator[tuple[Location, str]]:
    for number, dataset in enumerate(config.datasets):
        for split, file in dataset.files.items():
            yield ("datasets", number, "files", split), file
    formats = {dataset.name: dataset.format for dataset in config.datasets}
    for number, gold in enumerate(config.golds):
        if "files" in FIELDS_OF[gold.format or formats[gold.dataset]]:
            yield ("golds", number, "file"), gold.file
