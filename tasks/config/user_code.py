"""Loads the custom functions that the configuration names, and describes their errors in one line.

They run with the rights of the user who runs the command. `permissions` decides which ones may be loaded. No other
module loads custom code.
"""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from nerbench.artifacts.errors import InputError, pass_interrupts
from nerbench.artifacts.secrets import redact
from nerbench.tasks.config.permissions import code_folders, require_file, require_function, require_module


def load_function(name: str) -> Callable[..., Any]:
    """The function that `path/to/file.py:function` or `package.module:function` names.

    Modules are searched for on Python's path and in the folders of NERBENCH_CODE.

    Raises:
        InputError: the code may not be loaded or cannot be imported, or the name is missing or not a function.
    """
    place, _, path = name.rpartition(":")
    found: Any = load_file(place) if place.endswith(".py") else _load_module(place)
    for part in path.split("."):
        if not hasattr(found, part):
            raise InputError(name, f"{place} has no {path!r}", _choices(found))
        found = getattr(found, part)
    if not callable(found):
        raise InputError(name, f"is not a function but {type(found).__name__}", "name a function")
    require_function(name, found)
    function: Callable[..., Any] = found
    return function


def load_file(path: str | Path) -> ModuleType:
    """Run a Python file as a module. It may import modules in its folder.

    Each call runs the file again, since it may have changed.

    Raises:
        InputError: the file may not be loaded, does not exist, or fails; names the exception and its line.
    """
    file = require_file(path)
    if not file.is_file():
        raise InputError(str(path), "there is no such file", "name a Python file")
    _search(file.parent)
    name = f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    loader = _FreshLoader(name, str(file))
    spec = ModuleSpec(name, loader, origin=str(file))
    spec.has_location = True  # custom code may read data files relative to its __file__
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module while the file runs
    try:
        loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        pass_interrupts(error)
        raise InputError(str(path), f"it cannot be loaded ({explain(error)})", f"correct {place_of(error)}") from error
    return module


def explain(error: BaseException) -> str:
    """An exception in one line, as `ValueError: message`."""
    return redact(" ".join(f"{type(error).__name__}: {error}".split()).rstrip(": "))


def place_of(error: BaseException) -> str:
    """The deepest line in the called file that the error came from, as `file.py:3`.

    To be called where the caller of that file catches the error.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    called = frames[1:] or frames
    line = [frame.lineno for frame in called if frame.filename == called[0].filename][-1]
    return f"{called[0].filename}:{line}"


class _FreshLoader(SourceFileLoader):
    """Compiles the current source: cached bytecode is compared with it by whole seconds only."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _load_module(name: str) -> ModuleType:
    for folder in code_folders():
        _search(folder if folder.is_dir() else folder.parent)
    top = name.partition(".")[0]
    try:
        found = importlib.util.find_spec(top) if top else None
        if found is None:
            raise ModuleNotFoundError(f"No module named {name!r}")
        require_module(name, _files(found))
        module = importlib.import_module(name)
        if module.__spec__:
            require_module(name, _files(module.__spec__))
    except InputError:
        raise
    except BaseException as error:
        pass_interrupts(error)
        remedy = "name a module of a folder of NERBENCH_CODE, by default the working directory, or a file.py"
        raise InputError(name, f"it cannot be imported ({explain(error)})", remedy) from error
    return module


def _files(found: ModuleSpec) -> list[str]:
    """The file of a module, or the folders of a package without one."""
    return [found.origin] if found.has_location and found.origin else list(found.submodule_search_locations or ())


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # permanent: a function may import modules in its folder when it is called


def _choices(module: Any) -> str:
    has = [key for key, value in getattr(module, "__dict__", {}).items() if callable(value) and not key.startswith("_")]
    return f"choose among {', '.join(has[:8])}" if has else "define it"
