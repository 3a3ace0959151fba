"""Validation against one sentence at a time, and seqeval."""

from pathlib import Path

import numpy as np
import pytest
import torch
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from tiny_models import LABELS, SENTENCES
from torch.nn.functional import cross_entropy
from transformers import AutoModelForTokenClassification, EvalPrediction

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.loading import load_tokenizer
from nerbench.tasks.inference.tokenization import tokenize, windows
from nerbench.tasks.training.batches import IGNORED, Examples
from nerbench.tasks.training.distributed import ALONE
from nerbench.tasks.training.trainer import token_loss
from nerbench.tasks.training.validation import Validation, metrics_of


def test_scores_are_those_of_one_sentence_at_a_time(tiny_model_folder: Path) -> None:
    tags = [[LABELS[(n + i) % 5] for i in range(len(words))] for n, words in enumerate(SENTENCES)]
    corpus = Corpus(name="own", split="validation", words=SENTENCES, tags=tags, documents=None)
    network = AutoModelForTokenClassification.from_pretrained(tiny_model_folder, dtype=torch.float32)
    tokenizer = load_tokenizer(tiny_model_folder)
    examples = Examples(corpus, tokenizer, 64, LABELS)
    by_length = sorted(windows(tokenize(tokenizer.backend, SENTENCES), 64, tokenizer.special), key=lambda w: len(w.ids))
    predicted_labels, loss = Validation(examples, 0, ALONE).predict(network.train(), torch.device("cpu"))
    evaluated = EvalPrediction(predictions=predicted_labels, label_ids=examples.gold)
    found = metrics_of("scorer", examples)(evaluated)
    losses, predicted = [], {}
    with torch.no_grad():
        for item, window in zip(examples, by_length, strict=True):
            logits = network(input_ids=torch.tensor(item["input_ids"][None]).long()).logits[0]
            labels = torch.tensor(item["labels"]).long()
            losses.extend(cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")[labels != IGNORED])
            predicted[window.sentence] = [LABELS[i] for i in logits.argmax(-1)[labels != IGNORED]]
    assert loss == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)
    strict = f1_score(tags, [predicted[n] for n in range(len(tags))], mode="strict", scheme=IOB2)
    assert found["f1"] == pytest.approx(strict)
    assert found["accuracy"] == np.mean(predicted_labels == examples.gold)
    assert metrics_of("evaluate", examples)(evaluated) == pytest.approx(found)


def test_the_loss_of_a_step_is_the_mean_over_its_labels_however_it_is_cut() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 5, 4), torch.randint(0, 4, (6, 5))
    labels[0, 1:] = labels[4] = IGNORED

    class Outputs:
        def __init__(self, part: torch.Tensor) -> None:
            self.logits = part

    n = (labels != IGNORED).sum()
    whole = cross_entropy(logits.flatten(0, 1), labels.flatten())
    parts = [token_loss(Outputs(logits[rows]), labels[rows], n) for rows in (slice(0, 1), slice(1, 4), slice(4, 6))]
    torch.testing.assert_close(sum(parts), whole)
    torch.testing.assert_close(token_loss(Outputs(logits), labels), whole)
    assert token_loss(Outputs(logits[4:5]), labels[4:5], n) == 0, "a blank item adds nothing"
