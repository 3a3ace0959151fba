"""Freed memory stays with the process until it is trimmed, as measured by the kernel."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from nerbench.artifacts.malloc import trim_malloc, tune_malloc

def faults(n):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        blocks = [torch.empty(1 << 23, dtype=torch.uint8).fill_(1) for _ in range(8)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

tune_malloc()
tune_malloc()
faults(1)
print(faults(10))
held = resident()
trim_malloc()
print(held - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_freed_memory_is_used_again_and_then_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    faults, given_back = map(int, done.stdout.split())
    assert faults < 20_000  # 64 MiB in pages of 4 KiB are 16,384, each of 10 times
    assert given_back > 48 << 20
