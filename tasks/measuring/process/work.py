"""The calls of a cell: a fixed shape repeatedly, or the sentences of a corpus in order."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch

from nerbench.tasks.child_process import Job
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import dtype_of
from nerbench.tasks.inference.prediction import predict_block
from nerbench.tasks.inference.tokenization import tokenize, windows
from nerbench.tasks.measuring.latency_statistics import Amount
from nerbench.tasks.measuring.plan import Cell
from nerbench.tasks.measuring.process.backends import SEED, Loaded, compiled
from nerbench.tasks.measuring.process.clock import Call, Stopwatch, host_seconds, stopwatch
from nerbench.tasks.training.batches import collate

Batch = dict[str, torch.Tensor]
LEARNING_RATE = 1e-5


class Work(NamedTuple):
    """A round of calls, the input of each, and the clock for them."""

    calls: list[Call]
    amounts: list[Amount]
    seconds: Stopwatch


def work_of(cell: Cell, loaded: Loaded, job: Job) -> Work:
    """The calls of a cell.

    At a fixed shape, a call runs only the model, on random tokens without padding. At real lengths, inference goes from
    words to tags, including tokenization, and a training step takes a padded batch.
    """
    real = cell.sequence_length is None
    if job["backend"] == "compile":
        loaded = compiled(loaded, dynamic=real)
    clock = stopwatch(loaded.device)
    if not real:
        batch = random_batch(loaded, cell.batch_size, int(cell.sequence_length or 0))
        shape = [Amount(cell.batch_size, None, batch["input_ids"].numel())]
        step = _training_step(loaded, job) if job["workload"] == "training" else partial(_forward, loaded)
        return Work([partial(step, batch)], shape, clock)
    chunks, amounts = real_chunks(_tagger(loaded), job["sentences"], cell.batch_size)
    if job["workload"] == "inference":
        return Work([partial(predict_block, _tagger(loaded), chunk) for chunk in chunks], amounts, host_seconds)
    step = _training_step(loaded, job)
    return Work([partial(step, _padded(loaded, chunk)) for chunk in chunks], amounts, clock)


def random_batch(loaded: Loaded, batch_size: int, sequence_length: int) -> Batch:
    """Seeded random tokens without the padding token, whose positions some models count differently; with labels."""
    generator = torch.Generator().manual_seed(SEED)
    shape = (batch_size, sequence_length)
    ids = torch.randint(loaded.config.vocab_size, shape, generator=generator)
    if (pad := loaded.config.pad_token_id) is not None:
        ids[ids == pad] = (pad + 1) % loaded.config.vocab_size
    labels = torch.randint(loaded.config.num_labels, shape, generator=generator)
    return {"input_ids": ids.to(loaded.device), "labels": labels.to(loaded.device)}


def real_chunks(
    tagger: LoadedModel, sentences: Sequence[list[str]], batch_size: int
) -> tuple[list[Sequence[list[str]]], list[Amount]]:
    """The sentences in order, `batch_size` at a time, and the amount of input in each batch."""
    chunks = [sentences[start : start + batch_size] for start in range(0, len(sentences), batch_size)]
    amounts = [
        Amount(
            sentences=len(chunk),
            words=sum(len(words) for words in chunk),
            pieces=sum(len(pieces.ids) for pieces in tokenize(tagger.tokenizer.backend, chunk)),
        )
        for chunk in chunks
    ]
    return chunks, amounts


def _tagger(loaded: Loaded) -> LoadedModel:
    assert loaded.tagger is not None, "real lengths are planned for models with a tokenizer only"
    return loaded.tagger


def _forward(loaded: Loaded, batch: Batch) -> torch.Tensor:
    with torch.inference_mode():
        outputs: torch.Tensor = loaded.model(input_ids=batch["input_ids"])[0]
        return outputs


def _training_step(loaded: Loaded, job: Job) -> Callable[[Batch], None]:
    """Forward, backward, optimizer step. The weights drift a little, which does not change the time.

    The loss of an encoder is the mean square of its output.
    """
    model: Any = loaded.model
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    scaler = torch.amp.GradScaler(enabled=job["precision"] == "fp16")

    def step(batch: Batch) -> None:
        with _autocast(loaded, job["precision"]):
            if job["head"] == "token":
                loss = model(**batch).loss
            else:
                loss = model(input_ids=batch["input_ids"])[0].float().square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

    return step


def _autocast(loaded: Loaded, precision: str) -> AbstractContextManager[Any]:
    if precision == "fp32":
        return nullcontext()
    context: AbstractContextManager[Any] = torch.autocast(loaded.device.type, dtype_of(precision, loaded.device))
    return context


def _padded(loaded: Loaded, sentences: Sequence[list[str]]) -> Batch:
    tagger = _tagger(loaded)
    special = tagger.tokenizer.special
    cut = windows(tokenize(tagger.tokenizer.backend, sentences), tagger.window, special)
    items = [{"input_ids": w.ids, "labels": [n % loaded.config.num_labels for n in range(len(w.ids))]} for w in cut]
    return {name: tensor.to(loaded.device) for name, tensor in collate(items, pad=special.pad).items()}
