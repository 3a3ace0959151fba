"""Measurements of memory, in separate processes if the whole process counts."""

import subprocess
import sys

import pytest
import torch

from nerbench.tasks.environment import PROJECT
from nerbench.tasks.inference.quantized_linear import quantize_linear_layers
from nerbench.tasks.measuring.process.machine_state import device_peaks, weights_bytes

ALLOCATE = """
import numpy
from nerbench.tasks.measuring.process.machine_state import peak_bytes, resident_bytes, settle
before = numpy.ones(300_000_000, numpy.uint8)
del before
settle()
baseline = resident_bytes()
held = numpy.ones({size}, numpy.uint8)
del held
print(peak_bytes() - baseline, resident_bytes() - baseline)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="by the Linux kernel's accounts")
def test_an_allocation_of_200_mb_is_one_of_200_mb() -> None:
    code = ALLOCATE.format(size=200_000_000)
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    peak, after = map(int, done.stdout.split())
    assert peak == pytest.approx(200e6, abs=5e6)
    assert after < 5e6


def test_weights_are_counted_in_their_dtype() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.LayerNorm(32))
    linear, norm = 64 * 32 + 32, 64
    assert weights_bytes(model) == 4 * (linear + norm)
    assert weights_bytes(model.to(torch.bfloat16)) == 2 * (linear + norm)
    quantize_linear_layers(model.float())
    scales, zero, bias = 4 * 32, 4, 4 * 32
    assert weights_bytes(model) == 64 * 32 + scales + zero + bias + 4 * norm


def test_a_cpu_has_no_device_memory() -> None:
    assert set(device_peaks(torch.device("cpu")).values()) == {None}
