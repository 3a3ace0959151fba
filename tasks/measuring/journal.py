"""What an interrupted sweep has measured, kept on this machine for the sweep that repeats it.

A cell is a file of JSON lines in `<local cache>/sweeps/<key of the machine>/`. It goes when all rows of the sweep are
written: a finished sweep that is repeated measures everything again.
"""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.storage.cache import cache_folder
from nerbench.tasks.child import Job
from nerbench.tasks.environment import environment, installed, machine

KEPT_S = 12 * 3600.0
"""Older measurements do not count: a nightly sweep must not take over those of the night before."""
SAME = (
    *("host", "cpu", "cpu_flags", "threads", "ram_bytes", "system", "governor"),
    *("gpu", "driver", "cuda", "gpus", "gpu_power_limit_w"),
    *("python", "torch", "transformers", "tokenizers", "onnxruntime", "code_commit", "code_dirty"),
)
"""What of the environment must be the same for measurements to belong together."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Journal:
    """What is known of cells whose sweep is not finished."""

    folder: Path

    def events(self, key: str) -> list[Job]:
        """What was noted of a cell, in order."""
        path = self._path(key)
        found = []
        for line in path.read_text().splitlines() if path.exists() else ():
            with suppress(ValueError):  # the process was killed while it wrote this line
                found.append(json.loads(line))
        return found

    def note(self, key: str, event: Job) -> None:
        """Add what was measured of a cell."""
        with self._path(key).open("a") as file:
            file.write(f"\n{json.dumps(event)}\n")

    def forget(self, keys: Iterable[str]) -> None:
        """Remove cells whose sweep is finished."""
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.jsonl"


@contextmanager
def opened_journal() -> Iterator[Journal]:
    """The journal of this machine in this state.

    While another sweep uses it, or where the cache cannot be written, an empty one that is not kept, with a warning.
    """
    folder = cache_folder() / "sweeps" / machine_key()
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(folder))
        except OSError as error:
            busy = "another sweep runs on this machine, and disturbs it"
            reason = busy if isinstance(error, BlockingIOError) else error
            log.warning("this sweep cannot be resumed if it is interrupted: %s", reason)
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="nerbench-sweep-")))
        yield Journal(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    import fcntl  # which Windows lacks

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _drop_old(folder.parent)
        yield


def machine_key() -> str:
    """A digest of machine, versions and code: what was measured under another one never counts."""
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
