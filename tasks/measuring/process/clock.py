"""Timing of calls: the duration of a call, the warm-up, and the speed of the device on two fixed tasks."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

Call = Callable[[], Any]
Stopwatch = Callable[[Call], float]
"""Measures the seconds that a call takes on its device."""

WINDOW = 5
"""Number of calls whose median is compared with that of the calls before; rounds of several calls are compared
singly."""
TOLERANCE = 0.05
WARM_UP_LIMIT_S = 5.0
"""Maximum seconds of warm-up; a call that is still getting faster is measured anyway."""


class Limits(NamedTuple):
    """Minimum extent of a measurement."""

    iterations: int
    """Minimum number of calls."""
    minimum_s: float
    """Minimum seconds."""


def stopwatch(device: torch.device) -> Stopwatch:
    """A clock for work on a device: events on CUDA, otherwise the host's clock, which waits for the device."""
    if device.type == "cuda":
        return _cuda_seconds

    def seconds(call: Call) -> float:
        started = time.perf_counter()
        call()
        if device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter() - started

    return seconds


def host_seconds(call: Call) -> float:
    """The host's clock, for calls that copy their result to the host and therefore wait for the device."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _cuda_seconds(call: Call) -> float:
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    call()
    after.record()
    after.synchronize()
    return float(before.elapsed_time(after)) / 1e3


def warm_up(calls: Sequence[Call], seconds: Stopwatch, limit_s: float = WARM_UP_LIMIT_S) -> int:
    """Call until the times are steady. Returns the number of rounds over `calls`.

    Steady means that the median of the last WINDOW rounds is no more than TOLERANCE below that of the WINDOW rounds
    before. If there are several calls, whose lengths differ, single rounds are compared.
    """
    window = WINDOW if len(calls) == 1 else 1
    rounds: list[float] = []
    while True:
        rounds.append(sum(seconds(call) for call in calls))
        if sum(rounds) >= limit_s:
            return len(rounds)
        if len(rounds) >= 2 * window:
            before, last = rounds[-2 * window : -window], rounds[-window:]
            if statistics.median(last) >= (1 - TOLERANCE) * statistics.median(before):
                return len(rounds)


def sample(calls: Sequence[Call], seconds: Stopwatch, limits: Limits) -> list[float]:
    """Seconds of each call, in whole rounds over `calls`, until the limits are reached."""
    taken: list[float] = []
    while len(taken) < limits.iterations or sum(taken) < limits.minimum_s:
        taken += [seconds(call) for call in calls]
    return taken


SIZE = 1024
"""Rows and columns of the matrices: large enough for full speed, small enough to be fast."""
COPIED_BYTES = 1 << 26
REPEATS = 7


def calibrate(device: torch.device) -> dict[str, float]:
    """Floating-point operations per second of an fp32 matrix product, and bytes per second of a copy, read and
    written."""
    seconds = stopwatch(device)
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(SIZE, SIZE, generator=generator).to(device) for _ in range(2))
    product = torch.empty_like(left)
    source = torch.zeros(COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)

    def multiply() -> None:
        torch.mm(left, right, out=product)

    def copy() -> None:
        target.copy_(source)

    multiply()
    copy()
    return {
        "sgemm_flops_per_s": 2 * SIZE**3 / statistics.median(seconds(multiply) for _ in range(REPEATS)),
        "copy_bytes_per_s": 2 * COPIED_BYTES / statistics.median(seconds(copy) for _ in range(REPEATS)),
    }
