"""The cells of a sweep, unavailable cells, and the status of failures."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from evaluation_records import artifact_ref
from sweeping import tiny

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import SpeedConfig
from nerbench.tasks.inference import backends
from nerbench.tasks.measuring.plan import Cell, Group, failure, plan, why_unavailable
from nerbench.tasks.measuring.subjects import Subject

STORED = Subject(
    name="stored",
    artifact_id="a" * 64,
    artifact=artifact_ref("stored"),
    positions=200,
)
BASE = STORED.model_copy(update={"name": "base", "headless": True})


def planned(*subjects: Subject, corpus: bool = True, **speed: Any) -> list[Group]:
    return plan(subjects, SpeedConfig(**speed), device="cpu", corpus=corpus)


def cells(*subjects: Subject, **options: Any) -> list[tuple[str, list[tuple[int, int | None]]]]:
    return [(group.subject.name, [tuple(cell) for cell in group.cells]) for group in planned(*subjects, **options)]


def test_the_defaults_reach_as_far_as_positions_and_tokenizer_do() -> None:
    grid = [(8, 8), (8, 32), (8, 128)]
    assert cells(STORED) == [("stored", [*grid, (1, None), (8, None)])]
    assert cells(STORED, corpus=False) == [("stored", grid)]
    assert cells(tiny()) == [(tiny().name, [(8, 8), (8, 32)])]


def test_batch_sizes_times_lengths_and_real_lengths_on_request() -> None:
    assert cells(STORED, batch_sizes=(1, 4, 4), sequence_lengths=(16, "real")) == [
        ("stored", [(1, 16), (4, 16), (1, None), (4, None)])
    ]
    assert cells(STORED, sequence_lengths=("real",), workloads=("training",)) == [("stored", [(8, None)])]


def test_every_way_of_computing_is_a_group() -> None:
    groups = planned(
        tiny(),
        sequence_lengths=(8,),
        workloads=("inference", "training"),
        backends=("eager", "int8"),
        dtypes=("fp32", "bf16"),
    )
    ways = [(group.workload, group.backend, group.precision) for group in groups]
    assert len(set(ways)) == len(ways) == 8
    possible = [way for way, group in zip(ways, groups, strict=True) if group.unavailable is None]
    assert possible == [
        ("inference", "eager", "fp32"),
        ("inference", "eager", "bf16"),
        ("inference", "int8", "fp32"),
        ("training", "eager", "fp32"),
        ("training", "eager", "bf16"),
    ]


def test_a_model_is_measured_with_its_own_head_by_default() -> None:
    def heads(**speed: Any) -> list[str]:
        return [group.head for group in planned(STORED, BASE, tiny(), **speed)]

    assert heads() == ["token", "none", "token"]
    assert heads(head="none") == ["none"] * 3
    with pytest.raises(InputError, match=r"speed.head: base is not a token classifier.*give none"):
        heads(head="token")


def test_an_encoder_alone_tags_no_words() -> None:
    assert cells(BASE, sequence_lengths=(8, "real")) == [("base", [(8, 8)])]
    assert cells(STORED, sequence_lengths=(8, "real"), head="none") == [("stored", [(8, 8)])]


def test_a_length_beyond_the_positions_is_a_wrong_request() -> None:
    with pytest.raises(InputError, match=r"65 tokens are more than the 64 that bert-L1.*give at most 64"):
        planned(STORED, tiny(), sequence_lengths=(8, 65))


@pytest.mark.parametrize(("subject", "corpus"), [(tiny(), True), (STORED, False)])
def test_real_lengths_alone_need_words_and_a_tokenizer(subject: Subject, corpus: bool) -> None:
    with pytest.raises(InputError, match="real lengths need"):
        planned(subject, corpus=corpus, sequence_lengths=("real",))


@pytest.mark.parametrize(
    ("way", "says"),
    [
        (("eager", "fp16", "inference", "cpu"), "fp16"),
        (("int8", "fp32", "training", "cpu"), "does not train"),
        (("onnx", "bf16", "inference", "cpu"), "fp32"),
        (("int8", "fp32", "inference", "cuda"), "on a CPU only"),
        (("onnx", "fp32", "inference", "cuda"), r"onnxruntime.*nerbench\[onnx\]"),
    ],
)
def test_unavailable_computations_have_a_reason(
    way: tuple[str, str, str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "is_importable", lambda package: False)
    with pytest.raises(ValueError, match=says):
        raise ValueError(why_unavailable(*way))


def test_available_computations_have_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for way in (("eager", "fp16", "training", "cuda"), ("compile", "bf16", "training", "cpu")):
        assert why_unavailable(*way) is None


def test_onnx_runtime_computes_on_devices_with_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    def why(device: str, *providers: str) -> str | None:
        monkeypatch.setattr(backends, "is_importable", lambda package: True)
        fake = SimpleNamespace(get_available_providers=lambda: [f"{name}ExecutionProvider" for name in providers])
        monkeypatch.setitem(sys.modules, "onnxruntime", fake)
        return why_unavailable("onnx", "fp32", "inference", device)

    assert why("cpu", "CPU") is why("cuda", "CUDA", "CPU") is None
    assert why("cuda", "CPU") == (
        "ONNX Runtime does not compute on cuda here; pip uninstall onnxruntime && pip install onnxruntime-gpu"
    )
    assert why("mps", "CPU") == "ONNX Runtime does not compute on mps here"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 1 GiB", "out of memory"),
        ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", "out of memory"),
        ("MemoryError: ", "out of memory"),
        ("RuntimeError: mat1 and\n mat2", "failed: RuntimeError: mat1 and mat2"),
    ],
)
def test_the_status_of_a_failure(text: str, status: str) -> None:
    assert failure(text) == status


def test_a_long_failure_is_cut() -> None:
    assert len(failure("x" * 1000)) == 200
    assert Cell(8, None).sequence_length is None
