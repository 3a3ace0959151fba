"""The measurements of an interrupted sweep, kept on this machine for a repetition of the sweep.

Each cell has a file of JSON lines in `<local cache>/sweeps/<machine key>/`. The file is removed after all rows of the
sweep are written: the repetition of a completed sweep measures everything again.
"""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.local_copies import cache_folder
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.tasks.child_process import Job
from nerbench.tasks.environment import environment, installed, machine

KEPT_S = 12 * 3600.0
"""Older measurements are ignored, so that a nightly sweep does not take over those of the previous night."""
SAME = (
    *("host", "cpu", "cpu_flags", "threads", "ram_bytes", "system", "governor"),
    *("gpu", "driver", "cuda", "gpus", "gpu_power_limit_w"),
    *("python", "torch", "transformers", "tokenizers", "onnxruntime", "code_commit", "code_dirty"),
)
"""Parts of the environment that must be equal for measurements to belong to one sweep."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Journal:
    """The measurements of cells of incomplete sweeps."""

    folder: Path

    def events(self, key: str) -> list[Job]:
        """The events of a cell, in order."""
        path = self._path(key)
        found = []
        for line in path.read_text().splitlines() if path.exists() else ():
            with suppress(ValueError):  # the process was killed while it wrote this line
                found.append(json.loads(line))
        return found

    def note(self, key: str, event: Job) -> None:
        """Append an event to a cell."""
        with self._path(key).open("a") as file:
            file.write(f"\n{json.dumps(event)}\n")

    def forget(self, keys: Iterable[str]) -> None:
        """Remove the cells of a completed sweep."""
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.jsonl"


@contextmanager
def opened_journal() -> Iterator[Journal]:
    """The journal for this machine, its versions and its code.

    If another sweep uses it, or the cache cannot be written, a temporary empty journal, with a warning.
    """
    folder = cache_folder() / "sweeps" / machine_key()
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(folder))
        except OSError as error:
            busy = "another sweep runs on this machine and disturbs the measurements"
            reason = busy if isinstance(error, BlockingIOError) else error
            log.warning("this sweep cannot be resumed if it is interrupted: %s", reason)
            folder = stack.enter_context(scratch_folder())
        yield Journal(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    import fcntl  # not available on Windows

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _drop_old(folder.parent)
        yield


def machine_key() -> str:
    """A digest of machine, versions and code. Measurements under another digest are ignored."""
    import torch

    known = environment() | machine()
    parts = {name: str(known[name]) for name in SAME}
    parts |= {"torch_threads": str(torch.get_num_threads()), "nerbench": str(installed("nerbench"))}
    return sha256_hex(canonical_json(parts))


def _drop_old(sweeps: Path) -> None:
    for path in sweeps.glob("*/*.jsonl"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()
