"""Whole models on other backends: the tags of torch, or a refusal; changed tags of int8 are reported."""

import logging
from pathlib import Path

import pytest
import torch
from tiny_models import SENTENCES

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.references import resolve
from nerbench.tasks.inference import backend_sessions
from nerbench.tasks.inference.backend_sessions import Logits, checked
from nerbench.tasks.inference.evaluation_key import EvaluationSettings
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.prediction import predict_block
from nerbench.tasks.inference.tagger_handles import tagger_handle

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tagger(tiny_model_folder: Path) -> LoadedModel:
    return load_tagger(tiny_model_folder, device=CPU)


class Other:
    """A backend whose logits differ: all by a share of the largest one, or only those of padded sentences."""

    def __init__(self, tagger: LoadedModel, *, by: float = 0.0, by_padding: float = 0.0) -> None:
        self.tagger, self.by, self.by_padding = tagger, by, by_padding

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Logits:
        logits = self.tagger.model(input_ids=input_ids, attention_mask=attention_mask).logits
        changed = self.by if attention_mask is None else self.by + self.by_padding
        return Logits(logits + changed * logits.abs().max() * torch.linspace(-1, 1, logits.shape[-1]))


def test_equal_logits_are_accepted(tagger: LoadedModel, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert checked(tagger, Other(tagger), "openvino", "fp32", "fred").batching == "padded"
    assert caplog.text == ""


def test_sentences_are_not_padded_if_this_would_change_them(tagger: LoadedModel) -> None:
    assert checked(tagger, Other(tagger, by_padding=0.1), "openvino", "fp32", "fred").batching == "even"


@pytest.mark.parametrize(("precision", "by"), [("fp32", 0.01), ("int8", 0.4), ("fp32", float("nan"))])
def test_a_backend_that_changes_logits_is_refused(tagger: LoadedModel, precision: str, by: float) -> None:
    says = rf"benchmark\.backend: onnxruntime changes logits of model fred in {precision} by .*; use torch"
    with pytest.raises(InputError, match=says):
        checked(tagger, Other(tagger, by=by), "onnxruntime", precision, "fred")


def test_changed_tags_of_int8_are_reported(tagger: LoadedModel, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        checked(tagger, Other(tagger, by=0.29), "onnxruntime", "int8", "fred")
    assert "fred on onnxruntime in int8: " in caplog.text
    assert "of the golden sentences get another label than in fp32" in caplog.text


def test_a_graph_that_exists_is_not_exported_again(
    tiny_model_folder: Path, tagger: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def open_model(path: Path, device: torch.device, width: int) -> Other:
        opened.append(path)
        return Other(tagger, by=0.0)

    monkeypatch.setattr(backend_sessions, "check_backend", lambda backend, device: None)
    monkeypatch.setattr(backend_sessions, "export_graph", lambda *given: pytest.fail("exported again"))
    monkeypatch.setattr(backend_sessions, "onnx_model", open_model)
    backend_sessions.use_backend(tagger, tiny_model_folder, "onnxruntime", "fp32", "fred", tmp_path / "model.onnx")
    assert opened == [tmp_path / "model.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "precision"), [("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("openvino", "fp32")]
)
def test_tags_are_those_of_torch(tiny_model_folder: Path, tagger: LoadedModel, backend: str, precision: str) -> None:
    for package in (backend, "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed; see the extras onnx and openvino")
    settings = EvaluationSettings(
        device="cpu", precision=precision, backend=backend, max_length=None, aggregation_strategy="first"
    )
    with tagger_handle(resolve(str(tiny_model_folder), "")[0], settings) as handle:
        assert not isinstance(handle.value.model, torch.nn.Module)
        expected, found = (predict_block(one, SENTENCES).labels for one in (tagger, handle.value))
    agreement = float((expected == found).mean())
    assert agreement == 1 if precision == "fp32" else agreement > 0.8
