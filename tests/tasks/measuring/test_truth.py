"""Accuracy of measurements: against external rates, repeated sweeps, and on a GPU against known kernels."""

import statistics
import time
import timeit
from pathlib import Path

import pytest
import torch
from sweeping import TINY

from nerbench.tasks.config import BenchmarkConfig, SpeedConfig
from nerbench.tasks.measuring.interrupted_sweeps import Journal
from nerbench.tasks.measuring.latency_statistics import summarise
from nerbench.tasks.measuring.plan import plan
from nerbench.tasks.measuring.process.clock import Limits, sample, stopwatch, warm_up
from nerbench.tasks.measuring.subjects import find_subjects
from nerbench.tasks.measuring.sweep import Measured, sweep

SIZE = 512
MODEL = "{model_type: bert, num_hidden_layers: 4, hidden_size: 256, num_attention_heads: 4, intermediate_size: 1024}"


@pytest.mark.slow
def test_a_matrix_product_has_the_rate_that_is_found_outside() -> None:
    """Interleaved with the standard library's timer; the minimum of each is not disturbed by other load."""
    left, right, out = (torch.rand(SIZE, SIZE) for _ in range(3))
    seconds = stopwatch(torch.device("cpu"))

    def multiply() -> None:
        torch.mm(left, right, out=out)

    warm_up([multiply], seconds)
    inside, outside = [], []
    for _ in range(300):
        inside += sample([multiply], seconds, Limits(1, 0.0))
        outside.append(timeit.timeit(multiply, number=1))
    rates = [2 * SIZE**3 / min(taken) for taken in (inside, outside)]
    print(f"inside {rates[0] / 1e9:.1f}, outside {rates[1] / 1e9:.1f} GFLOP/s")
    assert rates[0] == pytest.approx(rates[1], rel=0.1)


def _journal(folder: Path) -> Journal:
    folder.mkdir()
    return Journal(folder)


def agreeing(first: list[Measured], second: list[Measured]) -> float:
    """The share of cells in which the intervals of two sweeps overlap."""
    pairs = [
        (summarise(one.samples, one.amounts), summarise(two.samples, two.amounts))
        for one, two in zip(first, second, strict=True)
    ]
    return statistics.mean(
        one["ci_low_s"] <= two["ci_high_s"] and two["ci_low_s"] <= one["ci_high_s"] for one, two in pairs
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_run_twice_agrees_within_its_own_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.tasks.measuring.sweep._take_memory", lambda *_: None)  # it is about time
    speed = SpeedConfig(
        batch_sizes=(1, 4), sequence_lengths=(8, 16, 32, 48, 64), dtypes=("fp32", "bf16"), minimum_s=0.2
    )
    groups = plan(find_subjects([TINY], "unused"), speed, device="cpu", corpus=False)
    sweeps = (sweep(groups, speed, BenchmarkConfig(device="cpu"), [], _journal(tmp_path / name)) for name in "ab")
    first, second = ([one for cells in found for one in cells] for found in sweeps)
    assert {one.status for one in first + second} == {"ok"}
    share = agreeing(first, second)
    print(f"{share:.0%} of {len(first)} cells agree")
    assert share >= 0.9


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", ["eager", "int8"])
def test_cells_that_share_a_process_have_the_peaks_of_separate_ones(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absolute peaks: peaks above the baseline differ by up to a tenth between processes."""
    config = SpeedConfig(
        batch_sizes=(8,), sequence_lengths=(8, 128, 512), backends=(backend,), processes=1, minimum_s=0
    )
    groups = plan(find_subjects([MODEL], "unused"), config, device="cpu", corpus=False)
    monkeypatch.setattr("nerbench.tasks.measuring.sweep._time", lambda *_: None)  # it is about memory
    peaks = []
    for name in ("shared", "separate"):
        (cells,) = sweep(groups, config, BenchmarkConfig(device="cpu"), [], _journal(tmp_path / name))
        assert {one.status for one in cells} == {"ok"}
        assert sum(one.memory["first_call_s"] is not None for one in cells) == (1 if name == "shared" else 3)
        peaks.append([one.memory["peak_rss_bytes"] for one in cells])
        monkeypatch.setattr("nerbench.tasks.measuring.sweep._may_share", lambda *_: False)
    print([f"{shared / separate - 1:+.1%}" for shared, separate in zip(*peaks, strict=True)])
    assert peaks[0] == pytest.approx(peaks[1], rel=0.06)
    assert peaks[0][-1] > peaks[0][0] + 40e6


@pytest.mark.gpu
def test_an_asynchronous_kernel_has_its_true_duration() -> None:
    """A kernel that spins for a number of cycles: twice the cycles take twice as long, and the host waits."""
    device = torch.device("cuda")
    seconds = stopwatch(device)
    cycles = 50_000_000
    torch.cuda._sleep(cycles)
    torch.cuda.synchronize()
    started = time.perf_counter()
    torch.cuda._sleep(cycles)
    torch.cuda.synchronize()
    true_s = time.perf_counter() - started
    assert seconds(lambda: torch.cuda._sleep(cycles)) == pytest.approx(true_s, rel=0.05)
    assert seconds(lambda: torch.cuda._sleep(2 * cycles)) == pytest.approx(2 * true_s, rel=0.05)


@pytest.mark.gpu
def test_memory_of_an_accelerator_is_the_allocated_memory() -> None:
    from nerbench.tasks.measuring.process.machine_state import device_peaks, settle

    device = torch.device("cuda")
    torch.zeros(1, device=device)
    settle()
    before = device_peaks(device)["peak_device_bytes"] or 0
    held = torch.ones(200_000_000, dtype=torch.uint8, device=device)
    del held
    peaks = device_peaks(device)
    assert (peaks["peak_device_bytes"] or 0) - before == pytest.approx(200e6, abs=5e6)
    assert (peaks["peak_reserved_bytes"] or 0) >= (peaks["peak_device_bytes"] or 0)
