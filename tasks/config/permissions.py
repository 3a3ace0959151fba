"""Decides which code a process may load, and which data a run may use if Prefect's API starts it.

Only the environment of the process decides, never a parameter: NERBENCH_CODE, NERBENCH_DATA and NERBENCH_ENV. The
command line adds the files that its user names, for its own process and its children. Commas separate several entries;
if a value contains line feeds, they do.
"""

import ipaddress
import os
import re
import socket
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nerbench.artifacts.errors import InputError

CODE, DATA, ENV = "NERBENCH_CODE", "NERBENCH_DATA", "NERBENCH_ENV"
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://")
_NO_HOST = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "hf", "memory"})
"""Schemes of URLs whose first part is not a host but a bucket, a container or an organisation."""
TRAINING_ARGS = frozenset(
    {"lr_scheduler_type", "optim", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "max_steps"}
    | {"eval_strategy", "eval_steps", "eval_delay", "save_strategy", "save_steps", "save_total_limit", "logging_steps"}
    | {"metric_for_best_model", "greater_is_better", "neftune_noise_alpha", "gradient_checkpointing"}
)
"""Fields of transformers' TrainingArguments that the parameters of a run may set."""
_SOME_ARGS = "lr_scheduler_type, optim, max_grad_norm, max_steps, eval_steps, …"
_TUNNELS = [ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]
"""IPv6 networks whose addresses lead to an IPv4 address that they contain."""


def listed(name: str) -> list[str]:
    """The entries of one of the variables; empty if it is not set."""
    text = os.environ.get(name, "")
    return [entry.strip() for entry in text.split("\n" if "\n" in text else ",") if entry.strip()]


def grant(name: str, *entries: str) -> None:
    """Add entries to one of the variables, for this process and its children. Never pass parameters of a run to it."""
    os.environ[name] = "".join(f"{entry}\n" for entry in dict.fromkeys([*listed(name), *entries]))


def require_file(path: str | Path) -> Path:
    """The real path of a file of Python code. Raises InputError if it may not be loaded."""
    file = _real(str(path))
    if file is None or file.suffix != ".py":
        raise InputError(str(path), "is not a Python file", "name a file that ends in .py")
    if not _is_own(file):
        raise _refused(str(path), "lies outside" if str(file) == str(path) else f"is {file}, outside")
    return file


def require_module(name: str, files: list[str]) -> None:
    """Raise InputError unless a module that was found in these files or folders may be imported."""
    if not _is_named(name) and not (files and all(_is_own(_real(file)) for file in files)):
        raise _refused(name, f"it is found in {files[0] if files else 'the interpreter'}, outside")


def require_function(name: str, function: Any) -> None:
    """Raise InputError unless a function was defined in code that may be loaded: a module's imports do not count."""
    module = getattr(function, "__module__", None)
    file = getattr(sys.modules.get(module), "__file__", None) if isinstance(module, str) else None
    if not (module and _is_named(module)) and not (file and _is_own(_real(file))):
        raise _refused(name, f"it is defined in {module or 'the interpreter'}, outside")


def require_configuration(field: str, file: Path) -> None:
    """Raise InputError unless a YAML file is in a folder that code may be loaded from: both are trusted alike."""
    if file.suffix not in {".yaml", ".yml"} or not _is_own(_real(str(file))):
        raise _refused(field, f"{str(file)!r} is not a YAML file below")


def require_location(field: str, text: str, roots: list[str]) -> None:
    """Raise InputError unless a path or URL is below one of the roots and outside of internal networks.

    A root is a folder, a file, a URL with a host or bucket, or a scheme alone (`https://`), which means public hosts.
    """
    if _is_allowed_location(text, roots):
        return
    problem = f"{text!r} cannot be named in the parameters of a run"
    raise InputError(field, problem, f"name what the worker's own nerbench.yaml names, or add it to its {DATA}")


def require_training_args(field: str, names: Iterable[str]) -> None:
    """Raise InputError unless parameters may set these of the Trainer's arguments: no paths, hosts, hubs or plugins."""
    for name in names:
        if name not in TRAINING_ARGS:
            problem = "cannot be set in the parameters of a run"
            raise InputError(f"{field}.{name}", problem, f"set it in the worker's own file, or use {_SOME_ARGS}")


def is_internal(host: str) -> bool:
    """Whether any address of a host is outside of the public internet.

    Raises OSError if the name cannot be resolved.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return any(is_internal_address(str(address[0])) for *_, address in found)


def is_internal_address(text: str) -> bool:
    """Whether an IP address is outside of the public internet: loopback, private, link-local, reserved or a tunnel."""
    address = ipaddress.ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return not address.is_global or address.is_multicast or any(address in network for network in _TUNNELS)


def code_folders() -> list[Path]:
    """The folders and files of code that may be loaded; the working directory if the environment names none."""
    if not os.environ.get(CODE):
        return [Path.cwd()]
    return [Path(entry).expanduser().absolute() for entry in listed(CODE) if not _is_module_name(entry)]


def _is_module_name(entry: str) -> bool:
    return all(part.isidentifier() for part in entry.split("."))


def _is_named(module: str) -> bool:
    prefixes = filter(_is_module_name, listed(CODE))
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def _refused(name: str, problem: str) -> InputError:
    where = ", ".join(map(str, [*code_folders(), *filter(_is_module_name, listed(CODE))]))
    remedy = f"put it there, or export {CODE}=FOLDER,MODULE,… for the process that runs it"
    return InputError(name, f"{problem} the code that may be loaded ({where})", remedy)


def _is_own(file: Path | None) -> bool:
    return file is not None and any(_below(file, _real(str(root))) for root in code_folders()) and not _is_library(file)


def _is_library(file: Path) -> bool:
    """Whether a file belongs to Python, to an installed package or to this program, in whatever folder."""
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    return bool(installed) or any(file.is_relative_to(folder) for folder in _libraries())


@cache
def _libraries() -> list[Path]:
    here = Path(__file__).resolve().parents[2]
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    python = [Path(found).resolve() for name in names if (found := sysconfig.get_path(name))]
    return [*python, *(here / package for package in ("artifacts", "deployments", "flows", "nerbench", "tasks"))]


def _real(path: str) -> Path | None:
    """A path without links; None if it is not a valid path."""
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def _below(path: Path, root: Path | None) -> bool:
    """Whether a path is the root or below it. Hidden files and folders (.env, .git, .venv) do not count."""
    if root is None or not path.is_relative_to(root):
        return False
    return not any(part.startswith(".") for part in path.relative_to(root).parts)


def _is_allowed_location(text: str, roots: list[str]) -> bool:
    local = _local_path(text)
    if local is not None:
        path = _real(local)
        folders = (_real(folder) for root in roots if (folder := _local_path(root)) is not None)
        return path is not None and any(_below(path, folder) for folder in folders)
    if not _is_plain_url(text):
        return False
    return any(_url_below(text, root) for root in roots if _local_path(root) is None)


def _local_path(text: str) -> str | None:
    """The path that a text or `file://` URL names; None for other URLs."""
    if text.startswith(("file://", "local://")):
        return text.partition("://")[2]
    return None if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text) else text


def _is_plain_url(text: str) -> bool:
    """Whether a URL is unambiguous: not chained, without `.` and `..`, user name, blanks or escaped separators."""
    hidden = re.search(r"%2e|%2f|%5c|\\|[\x00-\x20\x7f]", text, re.IGNORECASE)
    climbs = {".", ".."} & set(re.split(r"[/?#]", text))
    return bool(_URL.match(text)) and "::" not in text and not hidden and not climbs and "@" not in _authority(text)


def _authority(url: str) -> str:
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]


def _url_below(url: str, root: str) -> bool:
    if not root.endswith("://"):
        revision = (f"{root}@",) if root.startswith("hf://") else ()
        return url == root or url.startswith((f"{root.rstrip('/')}/", *revision))
    scheme = root.removesuffix("://")
    if not url.startswith(root):
        return False
    try:
        host = urlsplit(url).hostname
        return scheme in _NO_HOST or (host is not None and not is_internal(host))
    except (OSError, ValueError):
        return False
