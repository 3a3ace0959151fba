"""What long work says while it goes on: plain log lines, at most one a second."""

import logging
import time
from collections.abc import Callable

from tasks.child import Job

EVERY_S = 1.0
logger = logging.getLogger("nerbench.progress")


def training_progress(name: str) -> Callable[[Job], None]:
    """A listener for training events that logs loss, rate and remaining time, and every evaluation."""
    started = time.monotonic()
    last = 0.0

    def listen(event: Job) -> None:
        nonlocal last
        now = time.monotonic()
        if "eval_f1" in event:
            logger.info("%s: epoch %.0f, validation F1 %.2f", name, event["epoch"], 100 * event["eval_f1"])
        elif "loss" in event and now - last >= EVERY_S:
            last = now
            left = (now - started) / event["step"] * (event["steps"] - event["step"])
            at = f"step {event['step']} of {event['steps']}"
            logger.info("%s: %s, loss %.3f, %s left", name, at, event["loss"], clock(left))

    return listen


def inference_progress(name: str, words: int) -> Callable[[int], None]:
    """A listener for the number of words done that logs rate and remaining time."""
    started = time.monotonic()
    last = started

    def listen(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY_S:
            last = now
            rate = done / (now - started)
            left = clock((words - done) / rate)
            logger.info("%s: %d of %d words, %.0f a second, %s left", name, done, words, rate, left)

    return listen


def clock(seconds: float) -> str:
    """`m:ss`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
