"""How far a sweep is, in log lines that a terminal shows as one."""

import time
from collections.abc import Callable

from nerbench.tasks.progress import clock, logger


def sweep_progress(steps: int) -> Callable[[str], None]:
    """A listener for what was just done that logs how many steps are, and the time that the others will take."""
    started = time.monotonic()
    done = 0

    def listen(what: str) -> None:
        nonlocal done
        done += 1
        left = (time.monotonic() - started) / done * (steps - done)
        logger.info("%d of %d, about %s left; %s", done, steps, clock(left), what)

    return listen
