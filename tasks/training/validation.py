"""Validation during training: predictions shared among all processes, and the scores that select the best epoch."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import EvalPrediction

from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.tasks.data.tag_schemes import entity_types
from nerbench.tasks.inference.prediction import BATCH_PIECES, batches
from nerbench.tasks.scoring.counts import OVERALL, count
from nerbench.tasks.scoring.score import score
from nerbench.tasks.scoring.tagged_words import from_tags
from nerbench.tasks.training.batches import Examples, collate
from nerbench.tasks.training.distributed import Ranks
from nerbench.tasks.training.tokenized_corpora import IGNORED

Sentences = Sequence[Sequence[str]]
"""Tags by sentence."""


def entity_scores(predictions: Sentences, references: Sentences) -> dict[str, float]:
    """Micro-averaged entity scores of IOB2 tags and token accuracy; undefined numbers are 0, as in seqeval."""
    predicted, gold = ([tag for sentence in tags for tag in sentence] for tags in (predictions, references))
    words = from_tags(
        gold,
        predicted,
        types=entity_types([*gold, *predicted]),
        sentences=[number for number, sentence in enumerate(references) for _ in sentence],
    )
    rows = [row for row in score(count([words]), OVERALL) if row["label"] == OVERALL]
    micro = {(row["mode"], row["metric"]): row["value"] or 0.0 for row in rows if row["average"] == "micro"}
    return {
        "precision": micro["strict", "precision"],
        "recall": micro["strict", "recall"],
        "f1": micro["strict", "f1"],
        "conlleval_f1": micro["conlleval", "f1"],
        "accuracy": micro["tag", "accuracy"],
    }


def evaluate_scores(predictions: Sentences, references: Sentences) -> dict[str, float]:
    """Like `entity_scores`, but computed by the `evaluate` metric `nerbench_entities`.

    Not the default: `import evaluate` takes 6 to 9 s and 500 MB.
    """
    from nerbench.tasks.metrics.nerbench_entities.nerbench_entities import NerbenchEntities

    with scratch_folder() as cache:
        metric = NerbenchEntities(cache_dir=str(cache))
        tags = {"predictions": predictions, "references": references}
        strict, conlleval = (metric.compute(**tags, mode=mode, zero=0.0) for mode in ("strict", "conlleval"))
    pairs = [pair for each in zip(predictions, references, strict=True) for pair in zip(*each, strict=True)]
    return {
        **{name: strict[name] for name in ("precision", "recall", "f1")},
        "conlleval_f1": conlleval["f1"],
        "accuracy": sum(predicted == gold for predicted, gold in pairs) / len(pairs) if pairs else 0.0,
    }


SCORERS: dict[str, Callable[[Sentences, Sentences], dict[str, float]]] = {
    "scorer": entity_scores,
    "evaluate": evaluate_scores,
}
"""Scorers by the value of the key `compute_metrics`."""


def metrics_of(scorer: str, examples: Examples) -> Callable[[EvalPrediction], dict[str, float]]:
    """The `compute_metrics` of a Trainer that validates on these examples; it takes (words,) label indexes."""
    return lambda predicted: SCORERS[scorer](examples.tagged(predicted.predictions), examples.corpus.tags)


class Validation(NamedTuple):
    """A validation corpus, and the processes that share it."""

    examples: Examples
    pad: int
    """The padding id."""
    ranks: Ranks

    def predict(self, network: nn.Module, device: torch.device) -> tuple[np.ndarray, float]:
        """(words,) predicted label indexes, and the mean loss per word; equal in all processes."""
        network.eval()
        runs = list(batches(self.examples.lengths, BATCH_PIECES[device.type]))
        mine = range(self.ranks.number, len(runs), self.ranks.count)
        found = dict(zip(mine, self._judge(network, device, [runs[number] for number in mine]), strict=True))
        together = {number: judged for part in self.ranks.all_gather(found) for number, judged in part.items()}
        judged = [together[number] for number in range(len(runs))]
        predicted = np.concatenate([batch.labels for batch in judged])
        return predicted, sum(batch.loss for batch in judged) / len(predicted)

    def _judge(self, network: nn.Module, device: torch.device, runs: Sequence[range]) -> "list[Judged]":
        with torch.inference_mode():
            on_device = list(self._forward(network, device, runs))
        return [Judged(labels.cpu().numpy(), float(loss)) for labels, loss in on_device]

    def _forward(
        self, network: nn.Module, device: torch.device, runs: Sequence[range]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Labels of the words and the sum of their losses, for each batch; does not wait for the device."""
        pinned = device.type == "cuda"
        loader = DataLoader(
            self.examples, batch_sampler=runs, collate_fn=partial(collate, pad=self.pad), pin_memory=pinned
        )
        for batch in loader:
            inputs = {name: tensor.to(device, non_blocking=pinned) for name, tensor in batch.items()}
            labels = inputs.pop("labels")
            learnt = labels != IGNORED
            logits = network(**inputs).logits[learnt].float()
            yield logits.argmax(dim=-1), cross_entropy(logits, labels[learnt], reduction="sum")


class Judged(NamedTuple):
    """A model's outputs for a batch."""

    labels: np.ndarray
    """(words,) label indexes."""
    loss: float
    """Summed over the words."""
