"""Model folders of a few kilobytes that need gigabytes or minutes are refused before allocation."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_architectures import save_architecture

from nerbench.artifacts.errors import NerbenchError, UnsafeArtifactError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.model_folder import describe_folder, read_tensors, refuse_unsafe
from nerbench.artifacts.storage.open_root import open_root
from nerbench.tasks.inference.loading import load_tagger

pytestmark = pytest.mark.attacks
CPU = torch.device("cpu")


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return shutil.copytree(tiny_model_folder, tmp_path / "model")


def spoil(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def load(folder: Path) -> None:
    """Import a folder, as before any use of its model."""
    refuse_unsafe(open_root(str(folder)))
    load_tagger(folder, device=CPU)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"hidden_size": 8000}, r"builds 515,816,133 weights, and its files hold"),
        ({"intermediate_size": 10**9}, r"builds [\d,]+ weights"),
        ({"vocab_size": 10**9}, r"builds [\d,]+ weights"),
        ({"type_vocab_size": 10**9}, r"builds [\d,]+ weights"),
        ({"num_labels": 10**9, "id2label": None, "label2id": None}, "`num_labels` is 1000000000, more than"),
        ({"num_hidden_layers": 10**6}, "`num_hidden_layers` is 1000000, more than"),
        ({"num_hidden_layers": 127}, "lacks weights"),
        ({"max_position_embeddings": 10**12}, "`max_position_embeddings` is 1000000000000, more than"),
        ({"text_config": {"depths": [2, 10**9]}}, "`depths` is 1000000000, more than"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_configuration_that_its_weights_cannot_fill(folder: Path, settings: dict[str, Any], problem: str) -> None:
    spoil(folder, **settings)
    with pytest.raises(NerbenchError, match=problem):
        load(folder)


def test_layers_that_share_their_weights_are_bounded_too(tmp_path: Path) -> None:
    folder = save_architecture(tmp_path / "albert", "Albert")
    spoil(folder, num_hidden_layers=10**7)
    with pytest.raises(UnsafeArtifactError, match="num_hidden_layers"):
        load(folder)


def test_a_vocabulary_without_end_is_refused_unread(folder: Path) -> None:
    with (folder / "tokenizer.json").open("r+b") as stream:
        stream.truncate(1 << 33)  # a hole: it takes no disk
    for read in (load, lambda folder: describe_folder(folder, "toy", Provenance())):
        with pytest.raises(UnsafeArtifactError, match=r"tokenizer\.json: has 8589934592 bytes, more than"):
            read(folder)


@pytest.mark.parametrize(
    "shape",
    [[1] * 2_000_000, [2**63] * 4, [10**4000] * 500, [True], [-1]],
    ids=["ranks", "dimensions", "digits", "truth", "negative"],
)
def test_a_header_whose_product_takes_minutes(shape: list[int], tmp_path: Path) -> None:
    said = {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}
    text = json.dumps(said).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    part: Callable[[int, int], bytes] = partial(open_root(str(tmp_path)).part, path.name)
    with pytest.raises(UnsafeArtifactError, match="no header that can be read"):
        read_tensors(part, path.stat().st_size, "model.safetensors")
