"""The golden check: outputs recorded at publication, and models with other outputs."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import save_bert, save_roberta
from transformers import AutoModelForTokenClassification, AutoTokenizer

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.manifest import Golden, Manifest, Provenance
from nerbench.artifacts.references import golden_of, resolve
from nerbench.artifacts.store import Store
from nerbench.tasks.inference.evaluation_key import EvaluationSettings
from nerbench.tasks.inference.golden_check import PIECES, SENTENCES, record
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.tagger_handles import tagger_handle

CPU = torch.device("cpu")


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return shutil.copytree(tiny_model_folder, tmp_path / "model")


@pytest.fixture
def golden(folder: Path) -> Golden:
    return record(load_tagger(folder, device=CPU))


def test_the_logits_are_those_of_transformers(folder: Path, golden: Golden) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    for sentence, pieces, logits in zip(SENTENCES, golden.pieces, golden.logits, strict=True):
        encoded = tokenizer(
            list(sentence), is_split_into_words=True, truncation=True, max_length=PIECES, return_tensors="pt"
        )
        assert tuple(encoded["input_ids"][0].tolist()) == pieces
        with torch.no_grad():
            expected = model(**encoded).logits[0].numpy()
        np.testing.assert_allclose(np.array(logits), expected, atol=2e-5)


def test_a_recording_fits_into_a_manifest(folder: Path, golden: Golden, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    ref = store.publish(folder, "tiny", Provenance(), golden)
    assert golden_of(ref) == golden
    assert len(store.manifest(ref).to_bytes()) < 50_000
    without = store.publish(folder, "old", Provenance())
    assert golden_of(without) is None
    assert b"golden" not in store.manifest(without).to_bytes()  # digests of older manifests stay what they are
    assert golden_of(resolve(str(folder), store.url)[0]) is None
    assert Manifest.from_bytes(store.manifest(ref).to_bytes()).golden == golden


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("window", [None, 16])
@pytest.mark.parametrize("make", [save_bert, save_roberta])
def test_an_unchanged_model_passes(
    tmp_path: Path, make: Callable[[Path], Path], precision: str, window: int | None
) -> None:
    folder = make(tmp_path / "model")
    golden = record(load_tagger(folder, device=CPU))
    load_tagger(folder, device=CPU, precision=precision, window=window, golden=golden)


def change_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def change_json(file: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        value = json.loads((folder / file).read_text())
        change(value)
        (folder / file).write_text(json.dumps(value))

    return spoil


def swap_pieces(tokenizer: dict[str, Any]) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["a"], vocabulary["e"] = vocabulary["e"], vocabulary["a"]


SPOILT = {
    "a layer scaled": (
        change_weights(lambda w: w["bert.encoder.layer.0.output.dense.weight"].mul_(1.2)),
        "logits differ",
    ),
    "another head": (change_weights(lambda w: w["classifier.bias"].add_(1.0)), "logits differ"),
    "no numbers": (change_weights(lambda w: w["classifier.bias"].mul_(float("nan"))), "logits differ by nan"),
    "an activation": (change_json("config.json", lambda c: c.update(hidden_act="relu")), "logits differ"),
    "a norm": (change_json("config.json", lambda c: c.update(layer_norm_eps=0.5)), "logits differ"),
    "pieces swapped": (change_json("tokenizer.json", swap_pieces), "cuts '.*' into other tokens"),
}


@pytest.mark.parametrize(("spoil", "problem"), SPOILT.values(), ids=SPOILT.keys())
def test_a_model_with_changed_predictions_is_refused(
    folder: Path, golden: Golden, spoil: Callable[[Path], None], problem: str
) -> None:
    spoil(folder)
    load_tagger(folder, device=CPU)  # nothing else notices
    with pytest.raises(CorruptArtifactError, match=f"model fred: its outputs differ .*{problem}") as caught:
        load_tagger(folder, device=CPU, name="fred", golden=golden)
    assert "\n" not in str(caught.value)


def test_fewer_labels_are_refused(folder: Path, golden: Golden, tmp_path: Path) -> None:
    other = save_bert(tmp_path / "other", labels=("O", "B-LOC"))
    with pytest.raises(CorruptArtifactError, match="gives 2 logits per token"):
        load_tagger(other, device=CPU, golden=golden)


def test_sentences_of_another_version_are_left_out(
    folder: Path, golden: Golden, caplog: pytest.LogCaptureFixture
) -> None:
    newer = golden.model_copy(update={"sentences": 99, "logits": ()})
    with caplog.at_level(logging.WARNING):
        load_tagger(folder, device=CPU, golden=newer)
    assert "golden sentences are of version 99; not compared" in caplog.text


def test_evaluation_compares(folder: Path, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    other = golden.model_copy(update={"logits": golden.logits[::-1]})
    store = Store(str(tmp_path / "store"))
    settings = EvaluationSettings(device="cpu", precision="fp32", max_length=None, aggregation_strategy="first")
    good, bad = (store.publish(folder, "tiny", Provenance(), said) for said in (golden, other))
    with tagger_handle(good, settings) as handle:
        assert handle.value.labels
    with tagger_handle(bad, settings) as handle, pytest.raises(CorruptArtifactError, match="its outputs differ"):
        assert handle.value
