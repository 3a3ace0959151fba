"""Handles load lazily and free memory."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from fake_models import MakeModel

from nerbench.artifacts.lazy_artifact import ArtifactHandle
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store

MEGABYTES = 40
ROOT = Path(__file__).parents[2]


def test_nothing_is_loaded_before_it_is_used(store: Store, make_model: MakeModel) -> None:
    ref = store.publish(make_model(), "toy", Provenance(seed=5))
    loads: list[Path] = []

    def load(folder: Path) -> object:
        loads.append(folder)
        return object()

    with ArtifactHandle(ref, load) as handle:
        assert handle.manifest.provenance.seed == 5
        assert loads == []
        assert handle.value is handle.value
        assert len(loads) == 1
    assert handle.value
    assert len(loads) == 2


def test_models_with_reference_cycles_are_freed(store: Store, make_model: MakeModel) -> None:
    """Earlier objects remain collectable."""

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    ref = store.publish(make_model(), "toy", Provenance())
    before = Cycle()
    with ArtifactHandle(ref, lambda folder: Cycle()) as handle:
        older, loaded = weakref.ref(before), weakref.ref(handle.value)
    assert loaded() is None
    del before
    gc.collect()
    assert older() is None


@pytest.mark.parametrize("first_out", [0, 1])
def test_each_of_two_models_is_freed_when_its_own_handle_is_closed(
    store: Store, make_model: MakeModel, first_out: int
) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    ref = store.publish(make_model(), "toy", Provenance())
    handles = [ArtifactHandle(ref, lambda folder: Cycle()) for _ in range(2)]
    models = [weakref.ref(handle.value) for handle in handles]
    handles[first_out].evict()
    assert models[first_out]() is None
    assert models[1 - first_out]() is not None
    handles[1 - first_out].evict()
    assert models[1 - first_out]() is None


def test_the_garbage_collector_of_the_process_is_not_changed(
    store: Store, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = store.publish(make_model(), "toy", Provenance())
    for name in ("disable", "enable", "freeze", "set_threshold", "unfreeze"):
        monkeypatch.setattr(gc, name, None)
    with ArtifactHandle(ref, lambda folder: object()) as handle:
        assert handle.value
    with pytest.raises(ZeroDivisionError), ArtifactHandle(ref, lambda folder: 1 / 0) as failing:
        assert failing.value


MEASURE = """
import sys
import psutil
from safetensors.numpy import load_file
from nerbench.artifacts.lazy_artifact import ArtifactHandle
from nerbench.artifacts.references import resolve

def load(folder):
    return {name: array + 0 for name, array in load_file(folder / "model.safetensors").items()}

store, policy = sys.argv[1:]
process = psutil.Process()
baseline, kept = process.memory_info().rss, []
for ref in resolve("*@latest", store):
    handle = ArtifactHandle(ref, load)
    assert handle.value["weight"].nbytes
    print(process.memory_info().rss - baseline)
    handle.evict() if policy == "evict" else kept.append(handle)
"""


def measured(store: Store, policy: str) -> list[float]:
    """Resident MiB above the baseline after each loaded model."""
    command = [sys.executable, "-c", MEASURE, store.url, policy]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return [int(number) / 2**20 for number in printed.split()]


def test_three_models_need_the_memory_of_one(make_model: MakeModel, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    for number in range(3):
        folder = make_model(f"m{number}", value=number, numbers=MEGABYTES * 2**18)
        store.publish(folder, f"m{number}", Provenance())
    evicted, kept = measured(store, "evict"), measured(store, "keep")
    assert len(evicted) == len(kept) == 3
    assert evicted[0] > 0.9 * MEGABYTES
    assert max(evicted) < 1.5 * evicted[0] < max(kept)
