"""The strongest contenders: sentences sorted by length, padded batches of 2,048 tokens, a whole-model engine.

ONNX Runtime gets the graph that its own optimizer for BERT writes, in fp32 and dynamically quantized to int8 by
channel; OpenVINO gets the exported graph.
"""

import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evaluation_peers import Peers, Tag, Tags, Words
from transformers import AutoModelForTokenClassification

BUDGET = 2048
"""Tokens in a batch, including padding."""
Run = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Token ids and mask, int64 (sentences, tokens), to logits (sentences, tokens, labels)."""


class Engines:
    """A model behind every engine; it is exported once."""

    def __init__(self, peers: Peers, folder: Path, scratch: Path) -> None:
        self._peers, self._folder, self._scratch = peers, folder, scratch

    def torch(self) -> Tag:
        """transformers' model."""
        return length_sorted(self._peers, _torch(self._peers.model))

    def onnxruntime(self) -> Tag:
        """The graph that ONNX Runtime's optimizer for BERT writes."""
        return length_sorted(self._peers, _onnxruntime(self._fused))

    def onnxruntime_int8(self) -> Tag:
        """The same graph with weights quantized by channel, and activations when they occur."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantized = self._scratch / "int8.onnx"
        logging.getLogger().setLevel(logging.ERROR)  # it advises another step, which the optimizer has done
        quantize_dynamic(str(self._fused), str(quantized), per_channel=True, weight_type=QuantType.QInt8)
        return length_sorted(self._peers, _onnxruntime(quantized))

    def openvino(self) -> Tag:
        """The exported graph."""
        return length_sorted(self._peers, _openvino(self._exported))

    @cached_property
    def _exported(self) -> Path:
        return _export(self._folder, self._scratch / "model.onnx")

    @cached_property
    def _fused(self) -> Path:
        from onnxruntime.transformers.optimizer import optimize_model

        config = self._peers.model.config
        sizes = {"num_heads": config.num_attention_heads, "hidden_size": config.hidden_size}
        graph = optimize_model(str(self._exported), model_type="bert", **sizes)
        kinds = Counter(node.op_type for node in graph.model.graph.node)
        print("ONNX Runtime's graph:", ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()), file=sys.stderr)
        graph.save_model_to_file(str(self._scratch / "fused.onnx"))
        return self._scratch / "fused.onnx"


def length_sorted(peers: Peers, run: Run) -> Tag:
    """What a careful user writes around an engine."""

    def tag(sentences: Words) -> Tags:
        encodings = peers.tokenizer(list(sentences), is_split_into_words=True, truncation=True)
        rows: list[Sequence[int]] = encodings["input_ids"]
        tags: Tags = [[]] * len(rows)
        for batch in _batches(sorted(range(len(rows)), key=lambda i: len(rows[i])), rows):
            width = max(len(rows[i]) for i in batch)
            ids = np.full((len(batch), width), peers.tokenizer.pad_token_id, dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(rows[i])] = rows[i]
                mask[row, : len(rows[i])] = 1
            for i, best in zip(batch, run(ids, mask).argmax(-1).tolist(), strict=True):
                tags[i] = peers.of_words(best, encodings.word_ids(i), len(sentences[i]))
        return tags

    return tag


def _batches(order: Sequence[int], rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * len(rows[i]) > BUDGET:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _torch(model: Any) -> Run:
    @torch.inference_mode()
    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        logits: np.ndarray = model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
        return logits

    return run


def _export(folder: Path, path: Path) -> Path:
    """The model with plain attention, whose parts ONNX Runtime's optimizer knows."""
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.eval().config.return_dict = False
    ids = torch.arange(32).reshape(2, 16)
    mask = torch.ones_like(ids)
    mask[1, 12:] = 0
    free = {0: torch.export.Dim("sentences", max=1 << 20), 1: torch.export.Dim("tokens", max=512)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (ids, mask),
            dynamo=True,
            dynamic_shapes={"input_ids": free, "attention_mask": free},
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            verbose=False,
        )
    program.save(str(path))
    return path


def _onnxruntime(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        logits: np.ndarray = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    return run


def _openvino(path: Path) -> Run:
    os.environ.setdefault("OPENVINO_TELEMETRY_DISABLE", "1")
    import openvino

    hints = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", hints)
    request = compiled.create_infer_request()

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        logits: np.ndarray = request.infer({"input_ids": ids, "attention_mask": mask})["logits"]
        return logits

    return run
