"""Backends of an evaluation: refused in one line where they cannot compute, and part of the evaluation's key."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.inference import backends
from nerbench.tasks.inference.backend_sessions import use_backend
from nerbench.tasks.inference.backends import check_backend, missing_packages
from nerbench.tasks.inference.evaluation_key import evaluation_key, settings_of


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Only these packages are installed."""
    monkeypatch.setattr(backends, "is_importable", lambda name: name in request.param)
    monkeypatch.setattr(backends, "installed", lambda name: "1.0" if name in request.param else None)


ALL = ["onnx", "onnxruntime", "onnxscript", "openvino"]


@pytest.mark.parametrize("only", [["onnx"]], indirect=True)
@pytest.mark.parametrize(
    ("backend", "says"),
    [
        (
            "onnxruntime",
            r"onnxruntime needs .* not installed: onnxruntime, onnxscript; pip install 'nerbench\[onnx\]'",
        ),
        (
            "openvino",
            r"openvino needs .* not installed: onnxscript, openvino; pip install 'nerbench\[openvino\]', or use",
        ),
    ],
)
@pytest.mark.usefixtures("only")
def test_missing_packages_are_named_with_their_extra(backend: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_backend(backend, "cpu")
    with pytest.raises(InputError, match=says):
        evaluation_key("1", "2", settings_of(BenchmarkConfig(backend=backend, device="cpu")))
    assert missing_packages("torch") == []
    check_backend("torch", "cuda")


@pytest.mark.parametrize("only", [ALL], indirect=True)
@pytest.mark.usefixtures("only")
def test_accelerators_are_refused() -> None:
    check_backend("openvino", "cpu")
    with pytest.raises(InputError, match="onnxruntime computes on a CPU only, and the device is cuda; use torch, or"):
        check_backend("onnxruntime", "cuda")
    tagger = cast(Any, SimpleNamespace(device=torch.device("cuda")))
    with pytest.raises(InputError, match="openvino computes on a CPU only"):
        use_backend(tagger, Path(), "openvino", "fp32", "fred")


@pytest.mark.parametrize("only", [ALL], indirect=True)
@pytest.mark.usefixtures("only")
def test_backend_and_its_versions_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(backend: str) -> str:
        return evaluation_key("1", "2", settings_of(BenchmarkConfig(backend=backend, device="cpu")))

    before = [key(backend) for backend in ("torch", "onnxruntime", "openvino")]
    assert len({*before}) == 3
    monkeypatch.setattr(backends, "installed", lambda name: "2.0")
    after = [key(backend) for backend in ("torch", "onnxruntime", "openvino")]
    assert before[0] == after[0]
    assert {*before[1:]}.isdisjoint(after)


@pytest.mark.parametrize(("backend", "dtype"), [("onnxruntime", "bf16"), ("openvino", "int8")])
def test_a_dtype_that_a_backend_does_not_compute_is_refused(backend: str, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"backend {backend} computes fp32.*and dtype is {dtype}; give dtype: "):
        BenchmarkConfig(backend=backend, dtype=dtype)
