"""What the device can do, by two fixed pieces of work: rates that tell hosts, and states of a host, apart."""

import statistics

import torch

from nerbench.tasks.measuring.process.clock import stopwatch

SIZE = 1024
"""Rows and columns of the matrices: large enough for full speed, small enough for a moment."""
COPIED_BYTES = 1 << 26
REPEATS = 7


def calibrate(device: torch.device) -> dict[str, float]:
    """Floating-point operations a second of an fp32 matrix product, and bytes a second read and written by a copy."""
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
