"""Progress of long work as plain log lines, at most one per second; and one line when a model is trained or scored.

A record of `logger` may have the attribute `share`: the part of the work that is done, from 0 to 1.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from nerbench.tasks.child_process import Job

EVERY_S = 1.0
logger = logging.getLogger("nerbench.progress")
milestones = logging.getLogger("nerbench.models")
"""Two lines per model. Python's logging shows them from level INFO on, and a notebook always."""

T = TypeVar("T")


def training_progress(name: str) -> Callable[[Job], None]:
    """A callback for training events that logs loss and remaining time, and every evaluation."""
    started = time.monotonic()
    first = 0

    def steps(event: Job) -> None:
        nonlocal started, first
        if not first:  # after a resumption, the first reported step is not the first step
            started, first = time.monotonic(), event["step"]
        rate = (event["step"] - first) / max(time.monotonic() - started, 1e-9)
        left = f", {clock((event['steps'] - event['step']) / rate)} left" if rate else ""
        message = "%s: step %d of %d, loss %.3f%s"
        extra = {"share": event["step"] / event["steps"]}
        logger.info(message, name, event["step"], event["steps"], event["loss"], left, extra=extra)

    throttled = at_most_every(EVERY_S, steps)

    def listen(event: Job) -> None:
        if "eval_f1" in event:
            logger.info("%s: epoch %.0f, validation F1 %.2f", name, event["epoch"], 100 * event["eval_f1"])
        elif "loss" in event:
            throttled(event)

    return listen


def inference_progress(name: str, words: int) -> Callable[[int], None]:
    """A callback for the number of words done that logs rate and remaining time."""
    started = time.monotonic()

    def listen(done: int) -> None:
        rate = done / max(time.monotonic() - started, 1e-9)
        left = clock((words - done) / rate)
        extra = {"share": done / words}
        logger.info("%s: %d of %d words, %.0f a second, %s left", name, done, words, rate, left, extra=extra)

    return at_most_every(EVERY_S, listen)


def at_most_every(seconds: float, listen: Callable[[T], None], *, at_once: bool = True) -> Callable[[T], None]:
    """A callback that passes on at most one event every so many seconds; the first one if `at_once`."""
    last = float("-inf") if at_once else time.monotonic()

    def throttled(event: T) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= seconds:
            last = now
            listen(event)

    return throttled


def both(first: Callable[[T], None], second: Callable[[T], None]) -> Callable[[T], None]:
    """A callback that passes every event to two others."""

    def listen(event: T) -> None:
        first(event)
        second(event)

    return listen


def clock(seconds: float) -> str:
    """`m:ss`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
