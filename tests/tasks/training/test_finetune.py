"""Fine-tuning in this process; `test_launch` runs it in a child process."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_corpus import TINY, write_corpus
from tiny_models import save_bert, save_roberta

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.prediction import predict_block
from nerbench.tasks.training.batches import TokenBatches
from nerbench.tasks.training.finetune import finetune
from nerbench.tasks.training.setup import build

TAGS = ["O", "B-LOC", "I-LOC", "B-MISC", "I-MISC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
Train = Callable[..., Any]


@pytest.fixture(autouse=True)
def _settings_of_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Train a model with these settings into a new folder; return the folder and the result."""
    path = write_corpus(tmp_path / "corpus.txt", 4)
    numbers = iter(range(99))

    def train(**settings: Any) -> tuple[Path, dict[str, Any]]:
        work = tmp_path / str(next(numbers))
        quick = {"epochs": 2, "learning_rate": 5e-3, "batch_tokens": 64, "precision": "fp32", "vocabulary": 200}
        model = ModelConfig.model_validate({"name": "tiny", "base": TINY} | quick | settings)
        dataset = DatasetConfig(name="own", files={"train": path, "validation": path})
        job = {"model": model.model_dump(mode="json"), "dataset": dataset.model_dump(mode="json")}
        (work / "model").mkdir(parents=True)
        job |= {"work": str(work / "checkpoints"), "output": str(work / "model")}
        return work / "model", finetune(job, lambda event: None)

    return train


@pytest.fixture
def words(tmp_path: Path) -> Corpus:
    return load_splits(DatasetConfig(name="own", files={"train": write_corpus(tmp_path / "words.txt", 1)}))["train"]


def weights(folder: Path) -> str:
    return sha256_file(folder / "model.safetensors")


def test_the_same_seed_gives_the_same_weights_and_another_one_others(train: Train) -> None:
    digests = [weights(train(seed=seed)[0]) for seed in (7, 7, 8)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_dropout_and_order_change_with_the_seed_when_the_base_does_not(train: Train, tiny_model_folder: Path) -> None:
    base = str(tiny_model_folder)
    assert weights(train(base=base, seed=1, epochs=1)[0]) != weights(train(base=base, seed=2, epochs=1)[0])


def test_a_saved_model_gets_a_new_head_and_overrides(train: Train, tiny_model_folder: Path) -> None:
    folder, result = train(base=str(tiny_model_folder), config_overrides={"num_hidden_layers": 1})
    config = json.loads((folder / "config.json").read_text())
    assert config["num_hidden_layers"] == 1
    assert list(config["id2label"].values()) == TAGS
    assert config["label2id"] == {tag: number for number, tag in enumerate(TAGS)}
    assert str(tiny_model_folder.parent) not in json.dumps(config), "where the base lay is nobody's business"
    tagger = load_tagger(folder, device=torch.device("cpu"))
    assert len(tagger.model.bert.encoder.layer) == 1
    assert tagger.model.dtype == torch.float32
    assert (tagger.labels, tagger.window, tagger.ignored_keys) == (tuple(TAGS), result["window"], ())


def test_a_head_for_other_labels_is_not_taken_over(words: Corpus, tmp_path: Path) -> None:
    base = save_bert(tmp_path / "base", labels=TAGS)
    model = ModelConfig(name="x", base=str(base))
    known = load_tagger(base, device=torch.device("cpu")).model.state_dict()
    same = build(model, words, TAGS).network.state_dict()
    reordered = build(model, words, [*TAGS[2:], *TAGS[:2]]).network
    assert all(torch.equal(same[name], known[name]) for name in known)
    changed = [name for name, tensor in reordered.state_dict().items() if not torch.equal(tensor, known[name])]
    assert changed == ["classifier.weight"]
    assert reordered.config.id2label[0] == TAGS[2]


def test_a_byte_level_model_is_trained_and_loaded_with_the_same_pieces(train: Train, tmp_path: Path) -> None:
    folder, result = train(base=str(save_roberta(tmp_path / "roberta")), epochs=1)
    assert result["window"] == 32
    tagger = load_tagger(folder, device=torch.device("cpu"))
    assert predict_block(tagger, [["Anna", "visited", "Oslo"] * 30]).labels.shape == (90,)
    assert json.loads((folder / "tokenizer.json").read_text())["pre_tokenizer"]["add_prefix_space"] is True


def test_every_epoch_has_another_order(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs: list[int] = []
    original = TokenBatches.__iter__

    def watched(self: TokenBatches) -> Iterator[list[int]]:
        epochs.append(self.epoch)
        return original(self)

    monkeypatch.setattr(TokenBatches, "__iter__", watched)
    train(epochs=3)
    assert epochs == [0, 1, 2]


def test_part_of_an_epoch_is_enough(train: Train) -> None:
    folder, result = train(epochs=0.5)
    assert result["metrics"]["validation_f1"] >= 0
    assert weights(folder)


@pytest.mark.slow
def test_a_small_window_trains_on_every_word(train: Train) -> None:
    assert train(max_length=8)[1]["window"] == 8


def test_the_result_is_plain_json_with_every_number(train: Train) -> None:
    _, result = train()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {"validation_f1", "validation_precision", "validation_recall", "validation_loss"} <= set(result["metrics"])
    assert result["metrics"]["validation_f1"] == max(e["eval_f1"] for e in result["loss_curve"] if "eval_f1" in e)
    for name in ("steps", "train_s", "pieces", "window", "threads", "parameters"):
        assert result[name] > 0
    assert (result["device"], result["precision"]) == (str(torch.empty(0).device), "fp32")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"base": {**TINY, "hiden_size": 8}}, "a bert model has no setting hiden_size"),
        ({"base": {**TINY, "hidden_size": "x"}}, "hidden_size"),
        ({"base": {**TINY, "num_attention_heads": 5}}, "heads"),
        ({"base": {"model_type": "abacus"}}, "abacus"),
        ({"base": {"model_type": "whisper"}}, "WhisperConfig"),
        ({"base": "no/such/folder"}, "no/such/folder"),
        ({"config_overrides": {"num_hiden_layers": 1}}, "a bert model has no setting num_hiden_layers"),
        ({"config_overrides": {"hidden_size": 64}}, r"config_overrides: the weights .* another shape \(bert\."),
        ({"max_length": 500}, "max_length: 500 tokens are more than the model's 64"),
    ],
)
def test_a_base_that_cannot_be_used_is_one_line(
    words: Corpus, tiny_model_folder: Path, settings: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = ModelConfig.model_validate({"name": "fred", "base": str(tiny_model_folder)} | settings)
    with pytest.raises(InputError, match=problem) as caught:
        build(model, words, TAGS)
    assert "\n" not in str(caught.value)


def test_a_trained_tokenizer_knows_the_corpus(words: Corpus) -> None:
    base = build(ModelConfig.model_validate({"name": "x", "base": TINY, "vocabulary": 150}), words, TAGS)
    assert base.window == 64
    assert base.network.config.vocab_size == len(base.tokenizer.wrapper)
    pieces = base.tokenizer.backend.encode("Anna", add_special_tokens=False).tokens
    assert "[UNK]" not in pieces


def test_a_data_set_without_validation_is_refused(tmp_path: Path) -> None:
    dataset = DatasetConfig(name="own", files={"train": write_corpus(tmp_path / "corpus.txt", 1)})
    model = ModelConfig.model_validate({"name": "tiny", "base": TINY})
    job = {"model": model.model_dump(mode="json"), "dataset": dataset.model_dump(mode="json")}
    job |= {"work": str(tmp_path / "checkpoints"), "output": str(tmp_path / "model")}
    with pytest.raises(CorpusError, match="it has no validation split"):
        finetune(job, print)


CALLBACK = """
from pathlib import Path
from transformers import TrainerCallback

class Count(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        Path(__file__).with_name("steps").write_text(str(state.global_step))

class Broken(TrainerCallback):
    def __init__(self, needed):
        pass
"""


@pytest.mark.slow
def test_training_args_and_custom_callbacks(train: Train, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CALLBACK)
    _, result = train(
        training_args={"max_steps": 3, "lr_scheduler_type": "cosine"}, callbacks=[f"{tmp_path}/mine.py:Count"]
    )
    assert result["steps"] == 3
    assert (tmp_path / "steps").read_text() == "3"


@pytest.mark.slow
def test_validation_during_an_epoch_keeps_the_best_step(train: Train) -> None:
    steps = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 2, "save_steps": 2}
    _, result = train(training_args=steps)
    scores = [entry["eval_f1"] for entry in result["loss_curve"] if "eval_f1" in entry]
    assert len(scores) > 2
    assert result["metrics"]["validation_f1"] == max(scores)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Broken", "cannot be created .*define __init__ without arguments"),
        ("Path", "NERBENCH_CODE|is not a TrainerCallback"),
    ],
)
def test_an_invalid_callback(name: str, says: str, train: Train, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CALLBACK)
    with pytest.raises(InputError, match=says):
        train(callbacks=[f"{tmp_path}/mine.py:{name}"])


@pytest.mark.slow
def test_the_evaluate_metric_gives_the_numbers_of_the_scorer(train: Train) -> None:
    by_scorer, by_evaluate = (train(compute_metrics=kind)[1]["metrics"] for kind in ("scorer", "evaluate"))
    assert by_evaluate == pytest.approx(by_scorer)
