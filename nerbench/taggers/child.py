"""Runs one tagger in a process of its own. Needs Python 3.9 or later and its standard library, and nothing of nerbench.

nerbench starts this file by its path, perhaps with another interpreter, and writes requests to its standard input. The
replies go to a copy of the descriptor that was standard output. What libraries print goes to standard error.

A message is a length (4 bytes, big-endian) and so many bytes of JSON. The requests, and their replies, in this order:

- `{"adapter": {"file" or "module", "name", "search"}, "options": {…}}`: load; `{"ready": {…}}`.
- `{"sentences": [[word, …], …]}`: for each sentence, in order, `{"tags": [tag, …]}` or `{"spans": [[start word, end
  word, type, score], …]}`; then `{"done": number of sentences, "counts": {name: number}}`.

`{"error": text}` in place of a reply is the last message.
"""

import ctypes
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import signal
import sys
import time

MAX_BYTES = 16 << 20


def main():
    """Answer requests until their pipe is closed."""
    die_with_parent()
    requests, replies = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # a library that prints must not spoil the replies
    with os.fdopen(requests, "rb") as reading, os.fdopen(replies, "wb") as writing:
        try:
            baseline = resident_bytes()
            tagger, ready = load(read(reading))
            write(writing, {"ready": dict(ready, baseline_rss_bytes=baseline)})
            for request in iter(lambda: read(reading), None):
                answer(tagger, request["sentences"], writing)
            getattr(tagger, "close", lambda: None)()
        except BrokenPipeError:
            pass
        except BaseException as error:
            text = " ".join("{}: {}".format(type(error).__name__, error).split())
            write(writing, {"error": text[:2000]})


def load(job):
    """The tagger, and what it says of itself."""
    started = time.perf_counter()
    adapter, options = job["adapter"], job["options"]
    sys.path.extend(adapter.get("search", ()))
    if "file" in adapter:
        with open(adapter["file"], "rb") as file:
            source = file.read()
        module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("adapter", adapter["file"]))
        sys.modules["adapter"] = module  # dataclasses look their module up
        exec(compile(source, adapter["file"], "exec"), module.__dict__)
    else:
        module = importlib.import_module(adapter["module"])
        with open(module.__file__, "rb") as file:
            source = file.read()
    tagger = getattr(module, adapter["name"])(**options)
    packages = getattr(tagger, "packages", ())
    versions = {name: importlib.metadata.version(name) for name in packages}
    labels = getattr(tagger, "labels", None)
    return tagger, {
        "sha256": hashlib.sha256(source).hexdigest(),
        "versions": dict({"python": platform.python_version()}, **dict(versions, **getattr(tagger, "versions", {}))),
        "labels": None if labels is None else list(labels),
        "load_s": time.perf_counter() - started,
    }


def answer(tagger, sentences, writing):
    """Write one reply for each sentence as soon as the tagger gives it, and a last one."""
    n = 0
    for n, result in enumerate(tagger.predict(sentences), start=1):
        if n > len(sentences):
            raise ValueError("the tagger gives more results than the {} sentences it got".format(len(sentences)))
        items = list(result)
        if items and all(isinstance(item, str) for item in items):
            write(writing, {"tags": items})
        else:
            write(writing, {"spans": [list(item) for item in items]})
    write(writing, {"done": n, "counts": dict(getattr(tagger, "counts", {}))})


def read(stream):
    """The next message; None at the end."""
    header = stream.read(4)
    if len(header) < 4:
        return None
    size = int.from_bytes(header, "big")
    if size > MAX_BYTES:
        raise ValueError("a message of {} bytes".format(size))
    return json.loads(stream.read(size).decode("utf-8"))


def write(stream, message):
    """Write a message at once, so that it is known where a crash happened."""
    data = json.dumps(message, ensure_ascii=False, default=float).encode("utf-8", "backslashreplace")
    if len(data) > MAX_BYTES:
        raise ValueError("a reply of {} bytes".format(len(data)))
    stream.write(len(data).to_bytes(4, "big") + data)
    stream.flush()


def resident_bytes():
    """Memory of this process; None where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def die_with_parent():
    """Have the kernel end this process with the one that started it; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != int(os.environ.get("NERBENCH_PARENT", os.getppid())):
            os._exit(1)


if __name__ == "__main__":
    main()
