"""Ways to train one model on one corpus, each in a process that `training_speed.py` runs in turns.

Such a process reads a number of steps from a line of its standard input, takes them, and answers with a line: tokens
(without padding), seconds, seconds of CPU. It ends with its input.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_linear_schedule_with_warmup,
    set_seed,
)

from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.training.batches import Batches, TokenBatches, collate
from nerbench.tasks.training.distributed import training_device
from nerbench.tasks.training.setup import TrainingSetup, make_trainer, prepare
from nerbench.tasks.training.trainer import TaggerTrainer

GUIDE_BATCH, GUIDE_RATE = 8, 2e-5
SIMPLE_BATCH, SIMPLE_RATE = 32, 3e-4


class Turns:
    """Counts the tokens of a training's steps, and makes it wait for its next turn."""

    def __init__(self) -> None:
        self.left, self.pieces = 0, 0
        self.started = (0.0, 0.0)

    def step(self, inputs: dict[str, torch.Tensor]) -> None:
        """Called before each step with its inputs. Reports the counts at the end of a turn."""
        while not self.left:
            self._answer()
            if not (line := sys.stdin.readline()):
                raise SystemExit
            self.left, self.pieces = int(line), 0
            self.started = self._now()
        self.left -= 1
        mask = inputs.get("attention_mask")
        self.pieces += int(inputs["input_ids"].numel() if mask is None else mask.sum())

    def _now(self) -> tuple[float, float]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def _answer(self) -> None:
        wall, cpu = (now - before for now, before in zip(self._now(), self.started, strict=True))
        print(json.dumps({"pieces": self.pieces, "wall": wall, "cpu": cpu}), flush=True)


def paced(kind: type[Trainer], turns: Turns) -> type[Trainer]:
    """A Trainer that waits for its turns."""

    class Paced(kind):  # type: ignore[misc, valid-type]
        def training_step(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
            turns.step(inputs)
            return super().training_step(model, inputs, *arguments, **options)

    return Paced


def guide_items(corpus: Corpus, tokenizer: Any, tags: list[str]) -> list[dict[str, list[int]]]:
    """The guide's examples: every token has a label; tokens after the first one of a word have its inside label."""
    number = {tag: i for i, tag in enumerate(tags)}
    encodings = tokenizer([list(words) for words in corpus.words], is_split_into_words=True, truncation=True)
    items = []
    for row, sentence in enumerate(corpus.tags):
        labels, previous = [], None
        for word in encodings.word_ids(row):
            tag = "" if word is None else sentence[word]
            inside = tag.replace("B-", "I-") if word == previous else tag
            labels.append(-100 if word is None else number[inside])
            previous = word
        items.append({"input_ids": encodings["input_ids"][row], "labels": labels})
    return items


def guide(
    model: ModelConfig, dataset: DatasetConfig, work: Path, kind: type[Trainer], callbacks: list[TrainerCallback]
) -> Trainer:
    """nnbench's recipe, as its guide and the course behind it write it: Trainer, batch 8, fp32, padded, 2e-5."""
    setup = prepare(model, dataset)  # for the same labels and windows; its network is not used
    tokenizer = AutoTokenizer.from_pretrained(model.base, model_max_length=setup.base.window)
    tokenizer.backend_tokenizer.no_padding()
    tags = setup.train.tags
    network = AutoModelForTokenClassification.from_pretrained(
        model.base, id2label=dict(enumerate(tags)), label2id={tag: i for i, tag in enumerate(tags)}, dtype=torch.float32
    )
    arguments = TrainingArguments(
        output_dir=str(work),
        learning_rate=GUIDE_RATE,
        per_device_train_batch_size=GUIDE_BATCH,
        num_train_epochs=model.epochs,
        weight_decay=0.01,
        use_cpu=training_device(model).type == "cpu",
        seed=model.seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    return kind(
        model=network,
        args=arguments,
        train_dataset=guide_items(setup.train.corpus, tokenizer, list(tags)),
        data_collator=DataCollatorForTokenClassification(tokenizer),
        callbacks=callbacks,
    )


class Eights(TokenBatches):
    """The guide's eight sentences a batch, but of similar length."""

    def __init__(self, lengths: list[int], seed: int) -> None:
        super().__init__(lengths, 8, seed)
        self.runs = [range(at, min(at + GUIDE_BATCH, len(lengths))) for at in range(0, len(lengths), GUIDE_BATCH)]


def ours(model: ModelConfig, dataset: DatasetConfig, work: Path, turns: Turns) -> Trainer:
    """nerbench's training by its configuration."""
    return _paced_lesson(model, prepare(model, dataset), work, paced(TaggerTrainer, turns))


def guide_by_ours(model: ModelConfig, dataset: DatasetConfig, work: Path, turns: Turns) -> Trainer:
    """The guide's recipe on nerbench's engine."""
    recipe = model.model_copy(update={"learning_rate": GUIDE_RATE, "precision": "fp32", "warmup": 0.0})
    setup = prepare(recipe, dataset)

    class InEights(TaggerTrainer):
        def get_train_dataloader(self) -> Batches:
            sampler = Eights(setup.train.lengths, recipe.seed)
            return Batches(self.train_dataset, sampler, self.data_collator, self.args.device)

    return _paced_lesson(recipe, setup, work, paced(InEights, turns))


def _paced_lesson(model: ModelConfig, setup: TrainingSetup, work: Path, kind: type[Trainer]) -> Trainer:
    trainer = make_trainer(model, setup, work, [])
    trainer.__class__ = kind
    return trainer


def simple_loop(model: ModelConfig, dataset: DatasetConfig, turns: Turns) -> None:
    """A simple handwritten loop: length groups of 32, bf16 autocast, AdamW."""
    setup = prepare(model, dataset)
    setup.restore_embeddings()
    device, network = training_device(model), setup.base.network.train()
    network.to(device)
    items = list(setup.train)
    batches = [items[at : at + SIMPLE_BATCH] for at in range(0, len(items), SIMPLE_BATCH)]  # they are sorted by length
    loader = DataLoader(batches, batch_size=None, shuffle=True, collate_fn=lambda batch: collate(batch, pad=setup.pad))
    optimizer = torch.optim.AdamW(network.parameters(), lr=SIMPLE_RATE, fused=True)
    total = round(model.epochs * len(batches))
    schedule = get_linear_schedule_with_warmup(optimizer, int(0.06 * total), total)
    while True:
        for batch in loader:
            turns.step(batch)
            inputs = {name: tensor.to(device) for name, tensor in batch.items()}
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss = network(**inputs).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


CONTENDERS: dict[str, Callable[[ModelConfig, DatasetConfig, Path, Turns], Any]] = {
    "guide": lambda model, dataset, work, turns: guide(model, dataset, work, paced(Trainer, turns), []).train(),
    "nerbench": lambda *arguments: ours(*arguments).train(),
    "guide's recipe by nerbench": lambda *arguments: guide_by_ours(*arguments).train(),
    "simple loop": lambda model, dataset, work, turns: simple_loop(model, dataset, turns),
}


def main() -> None:
    """The child's side: `name model dataset` as arguments, the last two as JSON."""
    name, model, dataset = sys.argv[1], *(json.loads(argument) for argument in sys.argv[2:])
    chosen = ModelConfig.model_validate(model)
    set_seed(chosen.seed)
    with tempfile.TemporaryDirectory() as work:
        CONTENDERS[name](chosen, DatasetConfig.model_validate(dataset), Path(work), Turns())


if __name__ == "__main__":
    main()
