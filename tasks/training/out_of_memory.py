"""What a training does if memory runs out: it halves the size of its batches, or fails with a remedy."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate.utils import find_executable_batch_size

from nerbench.artifacts.errors import RunFailedError
from nerbench.tasks.child_process import Job
from nerbench.tasks.config import ModelConfig

SMALLEST_BATCH = 8
"""Tokens; training fails if a batch of this size does not fit into memory either."""


def largest_that_fits(train: Callable[[ModelConfig], Job], model: ModelConfig, work: Path) -> Job:
    """Train with the largest batches that fit into memory: each attempt halves their size and doubles the accumulation.

    `work` is the folder of checkpoints. It also holds the size, with which an interrupted training resumes.
    """
    halved = work / "batch_tokens"
    batch_tokens = int(halved.read_text()) if halved.exists() else model.batch_tokens

    def halve() -> int:
        nonlocal batch_tokens
        batch_tokens //= 2
        shutil.rmtree(work, ignore_errors=True)  # its checkpoints are from larger batches
        work.mkdir(parents=True)
        halved.write_text(str(batch_tokens))
        return batch_tokens if batch_tokens >= SMALLEST_BATCH else 0

    def attempt(batch_tokens: int) -> Job:
        accumulation = model.gradient_accumulation * round(model.batch_tokens / batch_tokens)
        return train(model.model_copy(update={"batch_tokens": batch_tokens, "gradient_accumulation": accumulation}))

    search = find_executable_batch_size(attempt, starting_batch_size=batch_tokens, reduce_batch_size_fn=halve)
    result: Job = search()
    return result


@contextmanager
def memory_errors(model: ModelConfig) -> Iterator[None]:
    """Raise a RunFailedError with a remedy in place of an error that says that memory ran out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).lower()
        if "no executable batch size" in text:
            remedy = "give a smaller max_length, or a smaller base"
            raise RunFailedError(f"out of memory even with batch_tokens {SMALLEST_BATCH}; {remedy}") from error
        if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
            problem = f"out of memory with batch_tokens {model.batch_tokens} and max_length {model.max_length}"
            raise RunFailedError(f"{problem}; halve batch_tokens, or give a smaller max_length") from error
        raise
