"""Other ways to tag a corpus with a token classifier, each from words in memory to one tag per word."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

Words = Sequence[list[str]]
Tags = list[list[str]]
Tag = Callable[[Words], Tags]


class Peers:
    """All peers, with one model loaded by transformers."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.labels = [model.config.id2label[number] for number in range(model.config.num_labels)]

    @torch.inference_mode()
    def one_at_a_time(self, sentences: Words) -> Tags:
        """The plain loop: one sentence, one forward pass, the tag of each word's first token."""
        tags = []
        for words in sentences:
            encoding = self.tokenizer(words, is_split_into_words=True, return_tensors="pt", truncation=True)
            best = self.model(**encoding).logits[0].argmax(-1).tolist()
            tags.append(self.of_words(best, encoding.word_ids(), len(words)))
        return tags

    @torch.inference_mode()
    def padded_batches(self, sentences: Words) -> Tags:
        """The loop of nnbench's Hugging Face example: batches of 8 in corpus order, padded by a collator."""
        from torch.utils.data import DataLoader

        encodings = self.tokenizer(list(sentences), is_split_into_words=True, truncation=True)
        loader = DataLoader(self._features(encodings), batch_size=8, collate_fn=self._collator())
        rows = [row for batch in loader for row in self.model(**batch).logits.argmax(-1).tolist()]
        return [self.of_words(row, encodings.word_ids(i), len(sentences[i])) for i, row in enumerate(rows)]

    def trainer(self, sentences: Words) -> Tags:
        """`Trainer.predict` with its default batches of 8."""
        import tempfile

        from datasets import Dataset
        from transformers import Trainer, TrainingArguments

        encodings = self.tokenizer(list(sentences), is_split_into_words=True, truncation=True)
        with tempfile.TemporaryDirectory() as folder:
            options = TrainingArguments(output_dir=folder, report_to="none", use_cpu=True, disable_tqdm=True)
            trainer = Trainer(model=self.model, args=options, data_collator=self._collator())
            logits = trainer.predict(Dataset.from_list(self._features(encodings))).predictions
        rows = np.argmax(logits, axis=-1).tolist()
        return [self.of_words(row, encodings.word_ids(i), len(sentences[i])) for i, row in enumerate(rows)]

    def pipeline_of(self, batch_size: int) -> Tag:
        """`pipeline("token-classification")` over words joined by blanks; one by one is its default."""

        def tag(sentences: Words) -> Tags:
            texts = [" ".join(words) for words in sentences]
            found = self._pipeline(batch_size)(texts, ignore_labels=[])
            return [self._of_text(words, pieces) for words, pieces in zip(sentences, found, strict=True)]

        return tag

    def evaluator(self, sentences: Words) -> Tags:
        """`evaluate`'s TokenClassificationEvaluator, with a metric that takes no time and keeps the tags."""
        import transformers
        from datasets import Dataset
        from evaluate import evaluator

        # evaluate 0.4.6 asks for a class that transformers 5 no longer has
        transformers.__dict__.setdefault("TFPreTrainedModel", type("TFPreTrainedModel", (), {}))
        data = Dataset.from_dict({"tokens": list(sentences), "ner_tags": [["O"] * len(words) for words in sentences]})
        keeping = _keeping_metric()
        judge = evaluator("token-classification")
        judge.compute(model_or_pipeline=self._pipeline(1), data=data, metric=keeping)
        tags: Tags = keeping.kept
        return tags

    def _pipeline(self, batch_size: int) -> Any:
        from transformers import pipeline

        model, tokenizer = self.model, self.tokenizer
        return pipeline("token-classification", model=model, tokenizer=tokenizer, batch_size=batch_size, device=-1)

    def _collator(self) -> Any:
        from transformers import DataCollatorWithPadding

        return DataCollatorWithPadding(self.tokenizer)

    def _features(self, encodings: Any) -> list[dict[str, list[int]]]:
        return [{name: encodings[name][i] for name in encodings} for i in range(len(encodings["input_ids"]))]

    def of_words(self, best: list[int], word_ids: list[int | None], n_words: int) -> list[str]:
        tags = ["O"] * n_words
        for (_, before), (position, word) in pairwise([(-1, None), *enumerate(word_ids)]):
            if word is not None and word != before:
                tags[word] = self.labels[best[position]]
        return tags

    def _of_text(self, words: list[str], pieces: list[dict[str, Any]]) -> list[str]:
        starts = {piece["start"]: piece["entity"] for piece in reversed(pieces)}
        offsets = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])
        return [starts.get(int(offset), "O") for offset in offsets]


def _keeping_metric() -> Any:
    import datasets
    import evaluate

    class Keeping(evaluate.Metric):  # type: ignore[misc]
        def _info(self) -> Any:
            tags = datasets.Sequence(datasets.Value("string"))
            features = datasets.Features({"predictions": tags, "references": tags})
            return evaluate.MetricInfo(description="", citation="", features=features)

        def _compute(self, predictions: Tags, references: Tags) -> dict[str, float]:
            self.kept = predictions
            return {}

    return Keeping()
