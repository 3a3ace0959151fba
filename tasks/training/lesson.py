"""What is taught, made ready: a base with its data, and a Trainer set up to be fast and to repeat itself."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import TrainerCallback, set_seed

from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.corpora.corpus import load_splits, pick_split
from nerbench.tasks.corpora.labels import tag_vocabulary
from nerbench.tasks.training.arguments import arguments
from nerbench.tasks.training.bases import Base, build
from nerbench.tasks.training.dropout import use_frugal_dropout
from nerbench.tasks.training.examples import Examples, collate
from nerbench.tasks.training.ranks import ALONE, Ranks, training_device
from nerbench.tasks.training.scores import metrics_of
from nerbench.tasks.training.trainer import TaggerTrainer
from nerbench.tasks.training.validation import Validation
from nerbench.tasks.training.vocabulary import narrow


class Lesson(NamedTuple):
    """A model, the examples it learns from, and those it is judged by."""

    base: Base
    train: Examples
    held_out: Examples
    widen: Callable[[], None]
    """Gives the network its whole vocabulary back, once it has learnt."""

    @property
    def pad(self) -> int:
        """The id of padding."""
        return self.base.tokenizer.special.pad


def prepare(model: ModelConfig, dataset: DatasetConfig) -> Lesson:
    """Read the train and validation splits and load the base; the same seed gives the same head."""
    splits = load_splits(dataset)
    train, validation = (pick_split(splits, split, dataset) for split in ("train", "validation"))
    tags = tag_vocabulary(train.types)
    set_seed(model.seed)
    base = build(model, train, tags)
    examples, held_out = (Examples(corpus, base.tokenizer, base.window, tags) for corpus in (train, validation))
    pieces = examples.occurring | held_out.occurring | {base.tokenizer.special.pad}
    return Lesson(base, examples, held_out, narrow(base.network, pieces))


def make_trainer(
    model: ModelConfig, lesson: Lesson, work: Path, callbacks: Sequence[TrainerCallback], ranks: Ranks = ALONE
) -> TaggerTrainer:
    """The Trainer of a lesson; checkpoints go to `work`. It changes settings of torch for the whole process."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs time
    # Attention with dropout has no kernel of its own on a CPU; what stands in would compute bf16 in fp32, slowly.
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(training_device(model).type == "cpu")
    use_frugal_dropout(lesson.base.network)
    trainer = TaggerTrainer(
        model_config=model,
        validation=Validation(lesson.held_out, lesson.pad, ranks),
        model=lesson.base.network,
        args=arguments(model, work),
        train_dataset=lesson.train,
        data_collator=partial(collate, pad=lesson.pad),
        processing_class=lesson.base.tokenizer.wrapper,
        compute_metrics=metrics_of(model.compute_metrics, lesson.held_out),
        callbacks=[*callbacks],
    )
    if ranks.number:
        torch.manual_seed(model.seed + ranks.number)  # other dropout for other sentences
    return trainer
