"""No gate passes a destroyed model, and every gate passes the model itself, whatever the size of the corpus."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from scored_runs import score
from tagging import Sentences

from nerbench.tasks.comparison import paired_differences
from nerbench.tasks.comparison.quality_gate import decide, measure, measure_stored
from nerbench.tasks.config import Config, GateConfig
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.counts import Counts, count_both_ways
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.tagged_words import from_tags

TYPES = ("A", "B", "C", "D")
LEAST_DROP = 0.2
UNHURRIED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)


class Case(NamedTuple):
    """A corpus, the predictions of its baseline, and those of destroyed models."""

    gold: Sentences
    documents: list[int]
    baseline: Sentences
    destroyed: dict[str, Sentences]
    types: tuple[str, ...]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """1 to 200 documents, 5 to 5,000 entities of two types or more; sizes are log-uniform."""
    n_documents = round(200 ** draw(st.floats(0, 1)))
    n_entities = round(5 * 1000 ** draw(st.floats(0, 1)))
    types = TYPES[: draw(st.integers(2, 4))]
    errors = draw(st.sampled_from([0.0, 0.03, 0.2, 0.5]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    gold = _gold(rng, n_entities, types)
    begins = rng.choice(np.arange(1, len(gold)), min(n_documents, len(gold)) - 1, replace=False)
    documents = np.isin(np.arange(len(gold)), begins).cumsum().tolist()
    baseline = [_worse(rng, tags, types, errors) for tags in gold]
    moved = dict(zip(types, np.roll(types, draw(st.integers(1, len(types) - 1))).tolist(), strict=True))
    vocabulary = tag_vocabulary(types)
    destroyed = {
        "all O": [["O"] * len(tags) for tags in gold],
        "random tags": [rng.choice(vocabulary, len(tags)).tolist() for tags in gold],
        "permuted labels": [[tag[:2] + moved.get(tag[2:], "") if tag != "O" else tag for tag in t] for t in baseline],
    }
    return Case(gold, documents, baseline, destroyed, types)


def _gold(rng: np.random.Generator, n_entities: int, types: Sequence[str]) -> Sentences:
    """Gold tags with every type, and 0 to 3 entities of one or two words per sentence."""
    kinds = [*types, *rng.choice(types, n_entities - len(types)).tolist()]
    sentences: Sentences = []
    while kinds:
        tags = ["O"]
        for _ in range(min(len(kinds), int(rng.integers(0, 4)))):
            kind = kinds.pop()
            tags += [f"B-{kind}", f"I-{kind}", "O"] if rng.random() < 0.3 else [f"B-{kind}", "O"]
        sentences.append(tags)
    return sentences


def _worse(rng: np.random.Generator, tags: list[str], types: Sequence[str], errors: float) -> list[str]:
    """Tags with missed entities, other types and spurious entities."""
    found = list(tags)
    for at, tag in enumerate(tags):
        if tag.startswith("B-") and rng.random() < errors:
            found[at] = rng.choice(["O", *(f"B-{kind}" for kind in types)])
        elif tag == "O" and rng.random() < errors / 10:
            found[at] = f"B-{rng.choice(types)}"
    return found


def counts(case: Case, predicted: Sentences) -> list[Counts]:
    sentences = [number for number, tags in enumerate(case.gold) for _ in tags]
    flat = ([tag for tags in one for tag in tags] for one in (case.gold, predicted))
    documents = [case.documents[number] for number in sentences]
    tagged = from_tags(*flat, types=case.types, sentences=sentences, documents=documents)
    return count_both_ways(lambda: [tagged])


def rules_of(case: Case) -> list[dict[str, str]]:
    return [{}, {"metric": "recall"}, {"label": case.types[0]}, {"label": case.types[-1], "metric": "precision"}]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_differences, "PERMUTATIONS", 499)
    monkeypatch.setattr(paired_differences, "RESAMPLES", 200)


def check_destroyed(case: Case, margin: float) -> None:
    base = counts(case, case.baseline)
    for name, predicted in case.destroyed.items():
        candidate = counts(case, predicted)
        for n_rules in (1, 4):
            gate = GateConfig.model_validate({"margin": margin, "rules": rules_of(case)[:n_rules]})
            rows = decide(gate, measure(gate, dict(enumerate(gate.rules, 1)), base, candidate, seed=1))
            overall = rows[0]
            if -overall["delta"] < LEAST_DROP:
                continue
            event(f"{name}, {n_rules} rules: {overall['verdict']}, unit {overall['unit']}")
            assert overall["verdict"] in {"regression", "undecided"}, (name, overall)
            assert overall["failed"], (name, overall)


@settings(UNHURRIED, max_examples=25)
@given(cases(), st.floats(0, 19.9))
def test_no_gate_passes_a_destroyed_model(case: Case, margin: float) -> None:
    check_destroyed(case, margin)


@pytest.mark.slow
@settings(UNHURRIED, max_examples=500)
@given(cases(), st.floats(0, 19.9))
def test_no_gate_passes_a_destroyed_model_many_times(case: Case, margin: float) -> None:
    check_destroyed(case, margin)


@settings(UNHURRIED, max_examples=8)
@given(cases())
def test_every_gate_passes_the_model_itself(tmp_path_factory: pytest.TempPathFactory, case: Case) -> None:
    assume(any("B-" in tag for tags in case.baseline for tag in tags))
    results = tmp_path_factory.mktemp("results")
    for row in judged_again(results, case):
        assert (row["verdict"], row["failed"], row["delta"]) == ("pass", False, 0)


def judged_again(results: Path, case: Case) -> list[Row]:
    gate = {"margin": 0, "on_undecided": "fail", "rules": rules_of(case)[:3]}
    dataset = {"name": "own", "files": {"test": "nowhere"}}
    data = {"store": str(results / "store"), "results": str(results), "datasets": [dataset], "gate": gate}
    config = Config.model_validate(data)
    assert config.gate
    base, again = (
        score(str(results), n, case.gold, case.baseline, documents=case.documents, version=n) for n in (1, 2)
    )
    return decide(config.gate, measure_stored(config, again, base))


@pytest.mark.parametrize("n_documents", [19, 1])
def test_a_destroyed_model_on_few_documents_is_a_regression(n_documents: int) -> None:
    """19 documents with 4,997 entities, F1 97.5 against 0.04; and one document with as many."""
    rng = np.random.default_rng(0)
    gold = _gold(rng, 4997, TYPES)
    documents = [number * n_documents // len(gold) for number in range(len(gold))]
    baseline = [_worse(rng, tags, TYPES, 0.025) for tags in gold]
    destroyed = [["O"] * len(tags) for tags in gold]
    destroyed[0] = gold[0]
    case = Case(gold, documents, baseline, {}, TYPES)
    gate = GateConfig(on_undecided="warn")
    measured = measure(gate, {1: gate.rules[0]}, counts(case, baseline), counts(case, destroyed), seed=1)
    (row,) = decide(gate, measured)
    assert (row["verdict"], row["failed"], row["resampling_unit"]) == ("regression", True, "sentence")
    assert row["base"] > 0.96
    assert row["candidate"] < 0.01
