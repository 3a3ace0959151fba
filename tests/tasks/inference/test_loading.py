import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import LABELS, save_roberta

from nerbench.artifacts.errors import CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.references import resolve
from nerbench.tasks.inference.loading import dtype_of, load_tagger, load_tokenizer, resolve_device, usable_window
from nerbench.tasks.inference.prediction import predict_block

CPU = torch.device("cpu")
FROM_ONE = {str(number): label for number, label in enumerate(LABELS, start=1)}
Weights = dict[str, torch.Tensor]


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return shutil.copytree(tiny_model_folder, tmp_path / "model")


def change_weights(folder: Path, change: Callable[[Weights], Any]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def change_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_a_saved_model_is_ready_for_inference(folder: Path) -> None:
    tagger = load_tagger(folder, device=CPU)
    assert tagger.labels == LABELS
    assert tagger.window == 64
    assert tagger.ignored_keys == ()
    assert not tagger.model.training


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda w: w.pop("classifier.weight"), r"lacks weights \(classifier\.weight\)"),
        (lambda w: w.pop("bert.encoder.layer.1.output.dense.bias"), "lacks weights"),
        (
            lambda w: w.update({"classifier.weight": torch.zeros(9, 32)}),
            r"than its config\.json describes \(classifier\.weight: 9 × 32 for 5 × 32\); save model and configuration",
        ),
        (lambda w: w.update({"bert.adapter.weight": torch.zeros(2)}), r"does not use \(bert\.adapter\.weight\)"),
        (lambda w: w.update({"crf.transitions": torch.zeros(2)}), r"does not use \(crf\.transitions\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder: Path, change: Callable[[Weights], Any], problem: str) -> None:
    change_weights(folder, change)
    with pytest.raises(CorruptArtifactError, match=rf"model fred: .*{problem}"):
        load_tagger(folder, device=CPU, name="fred")


def test_unused_weights_are_recorded(folder: Path) -> None:
    unread = {
        "bert.pooler.dense.weight": torch.zeros(32, 32),
        "cls.predictions.bias": torch.zeros(3),
        "lm_head.bias": torch.zeros(3),
    }
    change_weights(folder, lambda w: w.update(unread))
    assert load_tagger(folder, device=CPU).ignored_keys == tuple(sorted(unread))


def test_position_ids_of_older_checkpoints_are_accepted(folder: Path) -> None:
    change_weights(folder, lambda w: w.update({"bert.embeddings.position_ids": torch.zeros(1, 64)}))
    load_tagger(folder, device=CPU)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_dtype_is_that_of_the_request_not_of_the_checkpoint(
    folder: Path, precision: str, dtype: torch.dtype
) -> None:
    change_weights(folder, lambda w: w.update({name: tensor.half() for name, tensor in w.items()}))
    change_json(folder / "config.json", lambda c: c.update(dtype="float16"))
    tagger = load_tagger(folder, device=CPU, precision=precision)
    assert {p.dtype for p in tagger.model.parameters()} == {dtype}
    assert (predict_block(tagger, [["Ada", "lives"]]).labels >= 0).all()


def test_loading_leaves_gradients_alone(folder: Path) -> None:
    load_tagger(folder, device=CPU)
    assert torch.is_grad_enabled()


def test_a_tokenizer_larger_than_the_embeddings_is_refused(folder: Path) -> None:
    tokenizer = load_tokenizer(folder).wrapper
    tokenizer.add_tokens(["unheard-of"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(CorruptArtifactError, match="numbers tokens up to 130, and there are 130 embeddings"):
        load_tagger(folder, device=CPU)


def test_a_tokenizer_with_gaps_in_its_numbers_is_refused(folder: Path) -> None:
    def renumber(tokenizer: dict[str, Any]) -> None:
        vocabulary = tokenizer["model"]["vocab"]
        vocabulary[max(vocabulary, key=vocabulary.get)] = 4000

    change_json(folder / "tokenizer.json", renumber)
    with pytest.raises(CorruptArtifactError, match="numbers tokens up to 4000"):
        load_tagger(folder, device=CPU)


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_no_kernel_is_fetched(folder: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Any] = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *given, **options: fetched.append(given))
    change_json(folder / "config.json", lambda c: c.update({key: "evil/kernel"}))
    with pytest.raises(UnsafeArtifactError, match="fetches a kernel"):
        resolve(str(folder), "memory://none")
    assert fetched == []


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda f: change_json(f / "config.json", lambda c: c.update(model_type="abacus")), "model fred: .*abacus"),
        (lambda f: change_json(f / "config.json", lambda c: c.update(model_type="whisper")), "WhisperConfig"),
        (lambda f: change_json(f / "config.json", lambda c: c.update(num_attention_heads=5)), "heads"),
        (lambda f: change_json(f / "config.json", lambda c: c.update(id2label=FROM_ONE)), "id2label"),
        (lambda f: (f / "config.json").write_text("{"), "model fred"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x07\x00\x00\x00\x00\x00\x00\x00{}"), "has no header"),
        (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer of"),
        (lambda f: (f / "tokenizer.json").write_text("nonsense"), "tokenizer of"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer of"),
    ],
)
def test_a_folder_that_cannot_be_loaded_is_one_line(folder: Path, spoil: Callable[[Path], Any], problem: str) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=problem) as caught:
        load_tagger(folder, device=CPU, name="fred")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_no_code_of_the_folder_is_run(folder: Path) -> None:
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    auto_map = {"AutoConfig": "evil.Config", "AutoModelForTokenClassification": "evil.Model"}
    change_json(folder / "config.json", lambda c: c.update(auto_map=auto_map, model_type="evil"))
    with pytest.raises(InputError):
        load_tagger(folder, device=CPU)
    assert not (folder / "ran").exists()


def test_pickled_weights_are_not_loaded(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="safetensors"):
        load_tagger(folder, device=CPU)


def test_a_window_is_at_most_the_models(folder: Path) -> None:
    assert load_tagger(folder, device=CPU, window=32).window == 32
    with pytest.raises(InputError, match="max_length: 65 tokens are more than the model's 64"):
        load_tagger(folder, device=CPU, window=65)


@pytest.mark.parametrize(
    ("config", "tokenizer_limit", "window"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 10**30, 512),
        ({"model_type": "bert", "max_position_embeddings": 512}, 128, 128),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 10**30, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 0}, 10**30, 513),
        ({"model_type": "xlnet"}, 10**30, 512),
    ],
)
def test_usable_window(config: dict[str, Any], tokenizer_limit: int, window: int) -> None:
    assert usable_window(config, tokenizer_limit) == window


def test_truncation_and_padding_of_a_saved_tokenizer_are_disabled(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.backend.enable_truncation(4)
    tokenizer.backend.enable_padding(length=30)
    tokenizer.backend.save(str(folder / "tokenizer.json"))
    assert json.loads((folder / "tokenizer.json").read_text())["truncation"]["max_length"] == 4
    found = load_tokenizer(folder)
    assert len(found.backend.encode(["."] * 20, is_pretokenized=True).ids) == 22
    assert len(found.backend.encode(["."], is_pretokenized=True).ids) == 3
    found.wrapper.save_pretrained(folder)
    assert json.loads((folder / "tokenizer.json").read_text())["truncation"] is None


def test_special_tokens_are_those_of_the_post_processor(folder: Path) -> None:
    special = load_tokenizer(folder).special
    wrapper = load_tokenizer(folder).wrapper
    assert special == ((wrapper.cls_token_id,), (wrapper.sep_token_id,), wrapper.pad_token_id)


@pytest.mark.parametrize("tokenizer_class", ["TokenizersBackend", "RobertaTokenizer"])
def test_byte_level_words_begin_with_a_space(tmp_path: Path, tokenizer_class: str) -> None:
    save_roberta(tmp_path)
    change_json(
        tmp_path / "tokenizer_config.json", lambda c: c.update(tokenizer_class=tokenizer_class, add_prefix_space=False)
    )
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.special == ((0,), (2,), 1)
    encoding = tokenizer.backend.encode(["Ada", "lives"], is_pretokenized=True, add_special_tokens=False)
    assert encoding.word_ids[0] == 0
    assert tokenizer.backend.decode(encoding.ids[:1]).startswith(" ")
    assert encoding.tokens[encoding.word_ids.index(1)].startswith("Ġ")


def test_a_tokenizer_does_not_contain_its_folder(folder: Path, tmp_path: Path) -> None:
    before = json.loads((folder / "tokenizer_config.json").read_text())
    load_tokenizer(folder).wrapper.save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text()) == before


def test_a_roberta_loses_positions_to_its_padding(tmp_path: Path) -> None:
    tagger = load_tagger(save_roberta(tmp_path, positions=34, padding=1), device=CPU)
    assert tagger.window == 32
    fitting = predict_block(tagger, [["a"] * 60])
    assert (fitting.labels >= 0).all()


def test_devices() -> None:
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(InputError, match="'gpu' is not a device"):
        resolve_device("gpu")
    with pytest.raises(InputError, match="cuda:99 is not available here"):
        resolve_device("cuda:99")


def test_fp16_is_not_computed_on_a_cpu() -> None:
    with pytest.raises(InputError, match=r"benchmark\.dtype"):
        dtype_of("fp16", CPU)
