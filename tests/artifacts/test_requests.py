"""The number of requests for a model does not depend on the number of other models in the store."""

from collections import Counter
from typing import Any

import pytest
from fake_models import MakeModel

from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.references import resolve
from nerbench.artifacts.storage.remote import FsspecRoot
from nerbench.artifacts.store import Store
from nerbench.tasks.comparison.quality_gate import find_baseline
from nerbench.tasks.config import GateConfig

OTHERS = 10


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of calls of a filesystem from now on, by name."""
    seen: Counter[str] = Counter()
    honest = FsspecRoot._once

    def counted(self: FsspecRoot, method: str, *arguments: Any, **options: Any) -> Any:
        seen[method] += 1
        return honest(self, method, *arguments, **options)

    monkeypatch.setattr(FsspecRoot, "_once", counted)
    return seen


@pytest.fixture
def models(make_model: MakeModel, requests: Counter[str]) -> list[ArtifactRef]:
    store = Store("memory://requests")
    folder = make_model("f")
    refs = [store.publish(folder, f"toy-{number}", Provenance()) for number in range(1 + OTHERS)]
    store.set_alias("toy-0", "champion", refs[0].artifact_id)
    requests.clear()
    return refs


def test_one_model_is_found_without_a_listing(models: list[ArtifactRef], requests: Counter[str]) -> None:
    assert resolve("toy-0@latest", "memory://requests") == models[:1]
    assert requests.total() <= 3
    assert not {"ls", "find", "walk"} & {*requests}


def test_all_models_are_found_with_one_listing(models: list[ArtifactRef], requests: Counter[str]) -> None:
    assert {ref.name for ref in resolve("*@latest", "memory://requests")} == {ref.name for ref in models}
    assert requests.pop("cat_file") == 2 * len(models)
    of_resolve = requests.copy()
    requests.clear()
    Store("memory://requests").keys()
    assert of_resolve == requests, "one listing"


def test_a_baseline_is_found_without_a_listing(models: list[ArtifactRef], requests: Counter[str]) -> None:
    gate = GateConfig.model_validate({"baseline": "champion", "promote": True})
    assert find_baseline(gate, models[0].name, "memory://requests") == models[0]
    assert find_baseline(gate, models[1].name, "memory://requests") is None
    assert requests.total() <= 5
    assert not {"ls", "find", "walk"} & {*requests}
