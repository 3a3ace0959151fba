"""Accepted and refused contents of a model folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_models import LABELS, MakeModel

from nerbench.artifacts.errors import InputError, UnsafeArtifactError
from nerbench.artifacts.manifest import Manifest, Provenance
from nerbench.artifacts.model_folder import describe_folder
from nerbench.artifacts.storage.open_root import open_root


def describe(folder: Path) -> Manifest:
    return describe_folder(folder, "model", Provenance())


def test_only_files_of_a_model_are_collected(make_model: MakeModel) -> None:
    folder = make_model()
    for extra in ("training_args.bin", "README.md", "modeling_x.py", "optimizer.pt", ".env", "manifest.json"):
        (folder / extra).write_text("x")
    manifest = describe(folder)
    assert [entry.path for entry in manifest.files] == ["config.json", "model.safetensors", "tokenizer.json"]
    assert manifest.labels == LABELS


def test_labels_follow_their_numbers(make_model: MakeModel) -> None:
    folder = make_model(id2label={str(number): f"T{number}" for number in reversed(range(12))})
    assert describe(folder).labels == tuple(f"T{number}" for number in range(12))


def test_a_folder_has_one_artifact_id_wherever_it_lies(make_model: MakeModel, root_url: str) -> None:
    folder = make_model()
    root = open_root(root_url)
    for file in folder.iterdir():
        root.create(f"copy/{file.name}", file.read_bytes())
    elsewhere = describe_folder(f"{root_url}/copy", "model", Provenance())
    assert elsewhere.artifact_id == describe(folder).artifact_id


def test_shards_need_their_index(make_model: MakeModel) -> None:
    folder = make_model()
    shard = "model-00001-of-00001.safetensors"
    (folder / "model.safetensors").rename(folder / shard)
    with pytest.raises(InputError, match=r"has no model\.safetensors\.index\.json"):
        describe(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "../../elsewhere.safetensors"}}))
    with pytest.raises(InputError, match="elsewhere"):
        describe(folder)
    index.write_text(json.dumps({"weight_map": {"weight": shard}}))
    assert shard in [entry.path for entry in describe(folder).files]


@pytest.mark.parametrize(
    "config",
    [
        {"auto_map": {"AutoModel": "modeling.Evil"}},
        {"quantization_config": {"quant_method": "gptq"}},
        {"transformers_weights": "pytorch_model.bin"},
        {"attn_implementation": "org/kernel"},
        {"_attn_implementation": "org/kernel"},
        {"_attn_implementation_internal": "paged|org/kernel:fn"},
        {"attn_implementation": {"text": {"": "org/kernel"}}},
        {"experts_implementation": "org/kernel"},
        {"text_config": {"auto_map": {"AutoModel": "modeling.Evil"}}},
        {"layers": [{"_attn_implementation": "org/kernel"}]},
    ],
)
def test_configurations_that_bring_code(make_model: MakeModel, config: dict[str, object]) -> None:
    with pytest.raises(UnsafeArtifactError, match=r"config\.json: `"):
        describe(make_model(**config))


def test_configurations_that_only_seem_to_need_code(make_model: MakeModel) -> None:
    assert describe(make_model(_attn_implementation="sdpa", auto_map=None, _name_or_path="org/model")).files


def replace_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def link(name: str) -> Callable[[Path], None]:
    def replace_by_link(folder: Path) -> None:
        (folder / name).rename(folder.parent / "secret")
        (folder / name).symlink_to(folder.parent / "secret")

    return replace_by_link


def slow_tokenizer(folder: Path) -> None:
    """A tokenizer as CANINE saves it, without a vocabulary."""
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (replace_weights, UnsafeArtifactError, r"pytorch_model\.bin.*safe_serialization"),
        (write("adapter_config.json", "{}"), UnsafeArtifactError, r"adapter_config\.json.*merge"),
        (write("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": "x"}}'), UnsafeArtifactError, "auto_map"),
        (link("model.safetensors"), UnsafeArtifactError, r"model\.safetensors: is a link"),
        (link("tokenizer.json"), UnsafeArtifactError, r"tokenizer\.json: is a link"),
        (remove("model.safetensors"), InputError, r"has no model\.safetensors"),
        (remove("config.json"), InputError, r"has no config\.json"),
        (remove("tokenizer.json"), InputError, r"has no tokenizer\.json; save the tokenizer there too"),
        (
            slow_tokenizer,
            InputError,
            r"has no tokenizer\.json: CanineTokenizer has no fast version, .*; choose a model",
        ),
        (write("config.json", "{"), InputError, "is not a JSON object"),
        (write("config.json", "[]"), InputError, "is not a JSON object"),
        (write("config.json", '{"id2label": {"x": "O"}}'), InputError, "id2label"),
        (write("config.json", " " * (8 * 2**20 + 1)), UnsafeArtifactError, "more than"),
    ],
)
def test_folders_that_are_refused(
    make_model: MakeModel, spoil: Callable[[Path], None], kind: type[InputError], message: str
) -> None:
    folder = make_model()
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        describe(folder)
    assert type(caught.value) is kind


def test_links_of_the_hubs_cache_are_followed(make_model: MakeModel, tmp_path: Path) -> None:
    folder = make_model()
    blobs, snapshot = tmp_path / "models--org--m/blobs", tmp_path / "models--org--m/snapshots/abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in folder.iterdir():
        file.rename(blobs / f"digest-of-{file.name}")
        (snapshot / file.name).symlink_to(f"../../blobs/digest-of-{file.name}")
    assert len(describe(snapshot).files) == 3
    (snapshot / "vocab.txt").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeArtifactError, match=r"vocab\.txt: is a link"):
        describe(snapshot)
