"""The work of a measuring process, in this process: timing, memory, agreement, and failures of a cell."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sweeping import job, tiny
from tiny_models import SENTENCES, save_masked

from nerbench.artifacts.errors import CorruptArtifactError, RunFailedError
from nerbench.tasks.inference.backend_sessions import onnx_model
from nerbench.tasks.measuring.plan import Cell
from nerbench.tasks.measuring.process.backends import load, load_eager
from nerbench.tasks.measuring.process.child import measure
from nerbench.tasks.measuring.process.work import real_chunks, work_of

CPU = torch.device("cpu")


def events_of(**changes: Any) -> tuple[dict[int, dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """The events by cell, all events, and the result of a process."""
    events: list[dict[str, Any]] = []
    result = measure(job(tiny(), **changes), events.append)
    return {event["cell"]: event for event in events if event["event"] == "timed"}, events, result


def memory_of(**changes: Any) -> list[dict[str, Any]]:
    """The memory of each cell that a process reports."""
    events: list[dict[str, Any]] = []
    assert measure(job(tiny(), **{"take": "memory"} | changes), events.append) == {}
    assert [event["event"] for event in events] == ["cell", "used"] * (len(events) // 2)
    return events[1::2]


def test_every_cell_is_timed_and_announced_before() -> None:
    timed, events, result = events_of(cells=[(2, 8), (1, 16)])
    assert events[0]["event"] == "host"
    assert events[0]["device"] == "cpu"
    assert events[0]["sgemm_flops_per_s"] > 1e8 < events[0]["copy_bytes_per_s"]
    kinds = [(event["event"], event["cell"]) for event in events[1:]]
    assert sorted(kinds[:2]) == sorted([("cell", kinds[0][1]), ("timed", kinds[0][1])])
    assert {cell for _, cell in kinds} == {0, 1}
    assert result == {"agreement": None}
    for number, amount in ((0, (2, None, 16)), (1, (1, None, 16))):
        assert timed[number]["status"] == "ok"
        assert len(timed[number]["samples"]) == 3
        assert all(seconds > 0 for seconds in timed[number]["samples"])
        assert timed[number]["amounts"] == [amount]


def test_processes_measure_the_cells_in_different_orders() -> None:
    cells = [(1, length) for length in range(2, 6)]
    orders = []
    for number in (0, 1, 0):
        _, events, _ = events_of(cells=cells, round=number, iterations=1)
        orders.append([event["cell"] for event in events if event["event"] == "cell"])
    assert sorted(orders[0]) == list(range(4))
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_step_moves_the_weights(precision: str) -> None:
    wanted = job(tiny(), workload="training", precision=precision)
    loaded = load(wanted, CPU)
    before = [p.detach().clone() for p in loaded.model.parameters()]
    work_of(Cell(2, 8), loaded, wanted).calls[0]()
    assert all(p.dtype == torch.float32 for p in loaded.model.parameters())
    moved = [not torch.equal(old, new) for old, new in zip(before, loaded.model.parameters(), strict=True)]
    assert sum(moved) > len(moved) * 0.8


def test_missing_memory_is_a_status_and_the_next_cell_is_timed() -> None:
    timed, _, _ = events_of(cells=[(2**31 - 1, 64), (2, 8)])
    assert timed[0] == {"event": "timed", "cell": 0, "status": "out of memory"}
    assert timed[1]["status"] == "ok"


def test_real_lengths_one_by_one_and_in_batches(tiny_model_folder: Path) -> None:
    timed, _, _ = events_of(folder=tiny_model_folder, sentences=SENTENCES, cells=[(1, None), (3, None)])
    words = [len(sentence) for sentence in SENTENCES]
    assert [amount.words for amount in timed[0]["amounts"]] == words
    assert [amount.sentences for amount in timed[1]["amounts"]] == [3, 1]
    assert sum(amount.words for amount in timed[1]["amounts"]) == sum(words)
    assert all(amount.pieces > amount.words for amount in timed[0]["amounts"])
    assert len(timed[0]["samples"]) == 4


def test_training_on_real_lengths_takes_padded_batches(tiny_model_folder: Path) -> None:
    wanted = job(tiny(), tiny_model_folder, workload="training", sentences=SENTENCES)
    loaded = load(wanted, CPU)
    assert loaded.tagger is not None
    work = work_of(Cell(3, None), loaded, wanted)
    assert len(work.calls) == len(real_chunks(loaded.tagger, SENTENCES, 3)[0]) == 2
    work.calls[1]()


@pytest.mark.parametrize("workload", ["inference", "training"])
def test_memory_load_and_first_call_of_one_cell(workload: str) -> None:
    (event,) = memory_of(workload=workload)
    taken = event["used"]
    assert event["status"] == "ok"
    assert taken["loaded_weights_bytes"] == 4 * taken["parameters"] > 0
    assert taken["peak_rss_bytes"] > taken["baseline_rss_bytes"] * 0.9 > 10e6
    assert taken["load_s"] > 0 < taken["first_call_s"]
    assert taken["peak_device_bytes"] is None


def test_only_the_first_call_of_a_process_is_the_first() -> None:
    first, second = (event["used"] for event in memory_of(cells=[(2, 8), (2, 16)]))
    assert first["first_call_s"] > 0
    assert second["first_call_s"] is None
    assert {name for name in first if first[name] == second[name]} >= {"load_s", "baseline_rss_bytes", "parameters"}


def test_an_encoder_alone_is_loaded_from_any_checkpoint(tiny_model_folder: Path, tmp_path: Path) -> None:
    for folder in (tiny_model_folder, save_masked(tmp_path), None):
        loaded = load(job(tiny(), folder, head="none"), CPU)
        assert loaded.tagger is None
        assert loaded.model(input_ids=torch.zeros((2, 8), dtype=torch.long))[0].shape == (2, 8, 32)
    timed, _, _ = events_of(folder=tmp_path, head="none", backend="int8")
    assert timed[0]["status"] == "ok"


@pytest.mark.slow
def test_an_encoder_alone_is_trained_and_its_memory_taken(tmp_path: Path) -> None:
    wanted = job(tiny(), save_masked(tmp_path), head="none", workload="training")
    loaded = load(wanted, CPU)
    before = [p.detach().clone() for p in loaded.model.encoder.parameters()]
    work_of(Cell(2, 8), loaded, wanted).calls[0]()
    assert not any(torch.equal(old, new) for old, new in zip(before, loaded.model.encoder.parameters(), strict=True))
    (event,) = memory_of(**wanted | {"take": "memory"})
    assert event["used"]["parameters"] == sum(p.numel() for p in loaded.model.parameters())


def test_an_encoder_without_its_weights_is_not_measured(tmp_path: Path) -> None:
    config = save_masked(tmp_path) / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(CorruptArtifactError, match=r"lacks weights \(encoder.layer.2"):
        load(job(tiny(), tmp_path, head="none"), CPU)


@pytest.mark.parametrize("multi_process", [True, False])
def test_missing_memory_is_a_status_of_one_cell_only(multi_process: bool) -> None:
    events = memory_of(cells=[(2**31 - 1, 64), (2, 8)], multi_process=multi_process)
    assert [event["status"] for event in events] == ["out of memory", "ok"]
    assert events[0]["used"] == {}


@pytest.mark.parametrize("take", ["time", "memory"])
def test_an_error_of_a_model_is_a_status_or_an_error_when_debugging(take: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def work_of(*_: Any) -> Any:
        raise RuntimeError("mat1 and mat2")

    monkeypatch.setattr("nerbench.tasks.measuring.process.child.work_of", work_of)
    events: list[dict[str, Any]] = []
    measure(job(tiny(), take=take), events.append)
    assert events[-1]["status"] == "failed: RuntimeError: mat1 and mat2"
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        measure(job(tiny(), take=take, multi_process=False, timeout_s=None), events.append)


def test_random_weights_are_the_same_in_every_process() -> None:
    first, second = (load_eager(job(tiny()), CPU, "fp32").model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("backend", "precision"), [("int8", "fp32"), ("eager", "bf16")])
def test_predictions_are_compared_with_those_of_eager_fp32(
    backend: str, precision: str, tiny_model_folder: Path
) -> None:
    way = {"backend": backend, "precision": precision, "compare": True}
    _, _, on_random = events_of(**way)
    assert 0.5 < on_random["agreement"] <= 1
    _, _, on_words = events_of(folder=tiny_model_folder, sentences=SENTENCES, **way)
    n = sum(len(sentence) for sentence in SENTENCES)
    assert on_words["agreement"] * n == pytest.approx(round(on_words["agreement"] * n))
    assert on_words["agreement"] > 0.5


def test_quantized_weights_take_less() -> None:
    plain, quantized = (load(job(tiny(), backend=backend), CPU) for backend in ("eager", "int8"))
    assert plain.parameters == quantized.parameters
    assert quantized.loaded_bytes is not None
    assert quantized.loaded_bytes < 0.6 * 4 * plain.parameters


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["inference", "training"])
def test_a_compiled_model_computes_the_same(workload: str) -> None:
    compare = workload == "inference"
    timed, _, result = events_of(backend="compile", workload=workload, compare=compare, cells=[(2, 8), (2, 16)])
    assert [timed[0]["status"], timed[1]["status"]] == ["ok", "ok"]
    assert result["agreement"] == (1 if compare else None)


def test_onnx_runtime_does_not_fall_back_to_another_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    class Session:
        def __init__(self, *_: Any, providers: list[Any]) -> None:
            asked.extend(providers)

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    fake = SimpleNamespace(InferenceSession=Session, SessionOptions=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    onnx_model(tmp_path / "m.onnx", CPU, 3)
    with pytest.raises(RunFailedError, match="cannot load its CUDAExecutionProvider"):
        onnx_model(tmp_path / "m.onnx", torch.device("cuda:1"), 3)
    assert asked == [("CPUExecutionProvider", {}), ("CUDAExecutionProvider", {"device_id": 1})]


@pytest.mark.slow
def test_onnx_computes_the_same(tiny_model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from nerbench.tasks.measuring.process.export import export

    for folder in (None, tiny_model_folder):
        onnx = str(tmp_path / f"{folder is None}.onnx")
        way = {"folder": folder, "sentences": SENTENCES, "backend": "onnx", "onnx": onnx, "compare": True}
        export(job(tiny(), **{**way, "folder": folder}), lambda event: None)
        cells = [(2, 8), (1, 17), *([(3, None)] if folder else [])]
        timed, _, result = events_of(**way, cells=cells)
        assert [event["status"] for event in timed.values()] == ["ok"] * len(cells)
        assert result["agreement"] == 1
        assert load(job(tiny(), **way), CPU).parameters > 1000
