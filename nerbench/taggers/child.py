"""Runs one tagger in a separate process. Needs Python 3.9 or later and its standard library, and nothing of nerbench.

nerbench starts this file by its path, perhaps with another interpreter, and writes requests to its standard input. The
replies go to a copy of the descriptor that was standard output. What libraries print goes to standard error.

A message is a length (4 bytes, big-endian) and so many bytes of JSON. The requests, and their replies, in this order:

- `{"adapter": {"file" or "module", "name", …}, "options": {…}}`: load; `{"ready": {…}}`.
- `{"sentences": [[word, …], …]}`: for each sentence, in order, `{"tags": [tag, …]}` or `{"spans": [[start word, end
  word, type, score], …]}`; then `{"done": number of sentences, "counts": {name: number}}`.

`{"error": text}` in place of a reply is the last message.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import signal
import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

MAX_BYTES = 16 << 20


def main() -> None:
    """Answer requests until their pipe is closed."""
    die_with_parent()
    requests, replies = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # a library that prints must not spoil the replies
    with os.fdopen(requests, "rb") as reading, os.fdopen(replies, "wb") as writing:
        try:
            baseline = resident_bytes()
            tagger, ready = load(read(reading))
            write(writing, {"ready": {**ready, "baseline_rss_bytes": baseline}})
            for request in iter(lambda: read(reading), None):
                answer(tagger, request["sentences"], writing)
            getattr(tagger, "close", lambda: None)()
        except BrokenPipeError:
            pass
        except BaseException as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            write(writing, {"error": text[:2000]})


def load(job: Any) -> tuple[Any, dict[str, Any]]:
    """The tagger, and its description."""
    started = time.perf_counter()
    module, source = module_of(job["adapter"])
    made = getattr(module, job["adapter"]["name"])
    if made.__module__ != module.__name__:
        raise ImportError(f"{made.__name__} is defined in {made.__module__}, not in the adapter")
    tagger = made(**job["options"])
    versions = {name: importlib.metadata.version(name) for name in getattr(tagger, "packages", ())}
    labels = getattr(tagger, "labels", None)
    return tagger, {
        "sha256": hashlib.sha256(source).hexdigest(),
        "versions": {"python": platform.python_version(), **versions, **getattr(tagger, "versions", {})},
        "labels": None if labels is None else list(labels),
        "load_s": time.perf_counter() - started,
    }


def module_of(adapter: Any) -> tuple[ModuleType, bytes]:
    """The module of an adapter, and its source."""
    if "file" in adapter:
        sys.path.extend(adapter.get("search", ()))
        loader = FreshLoader("adapter", adapter["file"])
        spec = spec_from_loader("adapter", loader)
        assert spec is not None
        module = module_from_spec(spec)
        sys.modules["adapter"] = module  # dataclasses look their module up
        loader.exec_module(module)
        return module, loader.source
    sys.path[:0] = adapter.get("search", ())
    module = importlib.import_module(adapter["module"])
    file = str(module.__file__)
    if os.path.realpath(adapter.get("expected", file)) != os.path.realpath(file):
        raise ImportError(f"{adapter['module']} is {file}, not {adapter['expected']}")
    return module, Path(file).read_bytes()


class FreshLoader(SourceFileLoader):
    """Compiles the source as it is now, without bytecode that may be older, and keeps it."""

    source = b""

    def get_code(self, fullname: str) -> Any:
        self.source = self.get_data(self.path)
        return self.source_to_code(self.source, self.path)


def answer(tagger: Any, sentences: list[list[str]], writing: BinaryIO) -> None:
    """Write one reply for each sentence as soon as the tagger gives it, and a last one."""
    n = 0
    for n, result in enumerate(tagger.predict(sentences), start=1):
        if n > len(sentences):
            raise ValueError(f"the tagger gives more results than the {len(sentences)} sentences that it got")
        items = list(result)
        is_tags = bool(items) and all(isinstance(item, str) for item in items)
        write(writing, {"tags": items} if is_tags else {"spans": [list(item) for item in items]})
    write(writing, {"done": n, "counts": dict(getattr(tagger, "counts", {}))})


def read(stream: BinaryIO) -> Any:
    """The next message; None at the end."""
    header = stream.read(4)
    if len(header) < 4:
        return None
    size = int.from_bytes(header, "big")
    if size > MAX_BYTES:
        raise ValueError(f"a message of {size} bytes")
    return json.loads(stream.read(size).decode("utf-8"))


def write(stream: BinaryIO, message: Any) -> None:
    """Write a message at once, so that it is known where a crash happened."""
    data = json.dumps(message, ensure_ascii=False, default=float).encode("utf-8", "backslashreplace")
    if len(data) > MAX_BYTES:
        raise ValueError(f"a reply of {len(data)} bytes")
    stream.write(len(data).to_bytes(4, "big") + data)
    stream.flush()


def resident_bytes() -> int | None:
    """Memory of this process; None if the system does not report it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def die_with_parent() -> None:
    """Have the kernel end this process with the one that started it; on Linux only."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != int(os.environ.get("NERBENCH_PARENT", os.getppid())):
            os._exit(1)


if __name__ == "__main__":
    main()
