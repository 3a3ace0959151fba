import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nerbench.artifacts.errors import InputError
from nerbench.tasks import environment
from nerbench.tasks.inference import hardware
from nerbench.tasks.inference.hardware import Processor, derived_processor, device_type, processor
from nerbench.tasks.inference.loading import resolve_device

KNOWN = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="torch is asked on other machines"
)
ASK = """
import json, sys
from nerbench.tasks.inference.evaluation_cache import EvaluationSettings, evaluation_key
from nerbench.tasks.inference.hardware import derived_processor, device_type

settings = EvaluationSettings(device="auto", precision="fp32", max_length=None, aggregation_strategy="first")
ours = [derived_processor(), device_type("auto"), evaluation_key("1" * 64, "2" * 64, settings)]
loaded = "torch" in sys.modules
import torch
torchs = [[torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()], device_type("auto")]
print(json.dumps([ours, [*torchs, evaluation_key("1" * 64, "2" * 64, settings)], loaded]))
"""


def plain(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """An environment with only these settings of threads."""
    for name in list(os.environ):
        if name.startswith(("MKL_", "OMP_", "GOMP_", "KMP_", "ATEN_")):
            monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@KNOWN
@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"OMP_NUM_THREADS": "1"},
        {"OMP_NUM_THREADS": "99", "GOMP_SPINCOUNT": "1000"},
        {"OMP_NUM_THREADS": "99", "MKL_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "avx2"},
        {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "99", "ATEN_CPU_CAPABILITY": "default"},
    ],
)
def test_torch_gives_the_same_answer(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    plain(monkeypatch, **settings)
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    ours, torchs, loaded = json.loads(done.stdout)
    assert ours == torchs
    assert loaded == hardware.may_have_accelerator()


@KNOWN
@pytest.mark.parametrize(
    ("flags", "capability"),
    [
        (hardware.AVX512, "AVX512"),
        (hardware.AVX512 - {"avx512dq"}, "AVX2"),
        ({"avx2", "fma", "avx512f"}, "AVX2"),
        ({"avx2"}, "DEFAULT"),
        (set(), None),
    ],
)
def test_the_instruction_set_follows_from_the_flags(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], capability: str | None
) -> None:
    plain(monkeypatch)
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset(flags))
    derived = derived_processor()
    assert (derived.capability if derived else None) == capability


@pytest.fixture
def four_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with four cores of two hardware threads each."""
    for number in range(8):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text("0\n")
        (folder / "core_id").write_text(f"{number % 4}\n")
    monkeypatch.setattr(hardware, "CPUS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(hardware, "_capability", lambda: "AVX2")


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ({}, 4),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "8"}, 4),
        ({"MKL_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, None),
        ({"OMP_NUM_THREADS": "0"}, None),
        ({"MKL_DYNAMIC": "FALSE"}, None),
        ({"OMP_PLACES": "cores"}, None),
    ],
)
def test_threads_are_at_most_the_cores_and_uncertain_with_unusual_settings(
    four_cores: None, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], threads: int | None
) -> None:
    plain(monkeypatch, **settings)
    derived = derived_processor()
    assert (derived.threads if derived else None) == threads


def test_only_the_cores_of_the_process_count(four_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 2, 5, 6}, raising=False)
    assert derived_processor() == Processor("AVX2", 2)


@pytest.mark.parametrize(
    "hide",
    [
        lambda patch: patch.setattr(platform, "machine", lambda: "aarch64"),
        lambda patch: patch.setattr(platform, "system", lambda: "Darwin"),
        lambda patch: patch.setattr(hardware, "CPUS", Path("/nowhere")),
        lambda patch: patch.setenv("ATEN_CPU_CAPABILITY", "AVX2"),
    ],
)
def test_torch_is_asked_where_its_answer_is_not_certain(
    monkeypatch: pytest.MonkeyPatch, hide: Callable[[pytest.MonkeyPatch], None]
) -> None:
    plain(monkeypatch)
    hide(monkeypatch)
    assert derived_processor() is None
    assert processor() == (torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())


def test_the_answer_of_a_loaded_torch_counts_and_a_difference_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "derived_processor", lambda: Processor("ABACUS", 99))
    hardware._report.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert processor() == processor() == (torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    (message,) = caplog.messages
    assert "ABACUS" in message


def test_the_derived_answer_serves_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "is_torch_loaded", lambda: False)
    monkeypatch.setattr(hardware, "derived_processor", lambda: Processor("ABACUS", 99))
    monkeypatch.setattr(hardware, "may_have_accelerator", lambda: False)
    assert processor() == ("ABACUS", 99)
    assert device_type("auto") == device_type("cpu") == "cpu"


def test_other_devices_are_found_by_torch() -> None:
    assert device_type("auto") == resolve_device("auto").type
    with pytest.raises(InputError, match=r"models: a: device: 'gpu' is not a device"):
        device_type("gpu", "models: a: device")


def test_a_driver_is_a_sign_of_an_accelerator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "CDLL", lambda name: None)
    assert hardware.may_have_accelerator.__wrapped__()


def test_flags_are_those_of_the_first_core(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags\t\t: fma avx2\n")
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    environment._cpu_field.cache_clear()
    assert environment.cpu_flags() == {"fma", "avx2"}
    environment._cpu_field.cache_clear()
