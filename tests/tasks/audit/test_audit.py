"""The audit detects planted faults, gates that always pass or always fail, and changes nothing else."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_models import write_key_pair
from tiny_models import LABELS, save_bag

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import ConfigError, InputError, UnsafeArtifactError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.signatures import TRUSTED_KEYS, sign
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.flows.cli import status_of
from nerbench.tasks.audit import audit as audits
from nerbench.tasks.audit import gates
from nerbench.tasks.audit.audit import FAULTS, NOTHING, Audit, audit, find_model
from nerbench.tasks.config import Config
from nerbench.tasks.data import corpus_refs
from nerbench.tasks.inference import evaluation_cache

NAMES = [fault.name for fault in FAULTS]


def digests(folder: Path) -> dict[str, str]:
    return {str(path): sha256_file(path) for path in folder.rglob("*") if path.is_file() and "cache" not in path.parts}


def audited(config: Config) -> Audit:
    return audit(config, find_model(config.store, None))


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Restrict the audit to some faults, to save time."""
    monkeypatch.setattr(audits, "FAULTS", tuple(fault for fault in FAULTS if fault.name in names))


@pytest.mark.slow
def test_exactly_the_faults_are_detected(config: Config, tmp_path: Path) -> None:
    before, told = digests(tmp_path), []
    found = audit(config, find_model(config.store, None), told.append)
    assert [outcome.fault for outcome in found.outcomes] == [NOTHING, *NAMES]
    assert [outcome.outcome for outcome in found.outcomes] == ["passes", *["caught"] * len(FAULTS)], found.outcomes
    assert found.ok
    assert (found.model, found.dataset, found.split, found.sentences, found.words) == ("bag", "own", "test", 64, 576)
    assert len(told) == len(found.outcomes) + 1
    assert not any(str(tmp_path) in outcome.message or "\n" in outcome.message for outcome in found.outcomes)
    assert digests(tmp_path) == before
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_issue_s_faults_are_all_there() -> None:
    for words in (
        "shuffled label",
        "truncation",
        "dropped model",
        "flipped weight byte",
        "changed gold",
        "tag swapped",
    ):
        assert any(words in name for name in NAMES), words


DISABLED: dict[str, tuple[str, Any]] = {
    "shuffled label order": ("judge", lambda *given: []),
    "dropped baseline: not scored": ("refuse", lambda rows: None),
    "the same model predicts otherwise": ("changed", lambda *given: []),
}


@pytest.mark.parametrize("fault", DISABLED)
def test_a_gate_that_always_passes_is_detected(fault: str, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, fault)
    monkeypatch.setattr(gates, *DISABLED[fault])
    found = audited(config)
    control, missed = found.outcomes[:2]
    assert control.ok
    assert (missed.fault, missed.outcome, missed.ok) == (fault, "NOT CAUGHT", False)
    assert not found.ok


def test_a_store_without_checks_is_detected(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "one flipped weight byte")
    monkeypatch.setattr("nerbench.artifacts.store.Store._problem", lambda store, entry: None)
    monkeypatch.setattr("nerbench.artifacts.local_copies._check", lambda *given: None)
    found = audited(config)
    assert [outcome.outcome for outcome in found.outcomes] == ["passes", "NOT CAUGHT", "NOT CAUGHT"]
    assert [outcome.message for outcome in found.outcomes[1:]] == ["nothing", "nothing"]


def test_a_cache_without_checks_is_detected(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "a tag swapped in cached predictions")
    monkeypatch.setattr(evaluation_cache, "sha256_and_hold", lambda root, path: Path(path).stem)
    assert [outcome.outcome for outcome in audited(config).outcomes] == ["passes", "NOT CAUGHT"]


def test_a_gate_that_always_fails_is_a_false_alarm(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "dropped baseline: gone from the store")

    def refuse(*given: object) -> None:
        raise InputError("model", "is not in the store", "never mind")

    monkeypatch.setattr(gates, "find_baseline", refuse)
    found = audited(config)
    assert [outcome.outcome for outcome in found.outcomes] == ["FALSE ALARM", "caught"]
    assert "is not in the store" in found.outcomes[0].message
    assert not found.ok


def test_an_objection_for_another_reason_does_not_count(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "a changed gold")
    monkeypatch.setattr("nerbench.tasks.comparison.scored_runs.reasons", lambda base, candidate: ["it rains"])
    found = audited(config)
    assert found.outcomes[1].outcome == "NOT CAUGHT"
    assert "it rains" in found.outcomes[1].message


def test_a_model_of_one_tag_cannot_be_audited_with(config: Config, tmp_path: Path) -> None:
    silent = save_bag(tmp_path / "silent", lambda piece: 0, positions=64)
    with pytest.raises(InputError, match="predicts O for every word; name a trained one"):
        audit(config, find_model(config.store, str(silent)))


def test_trusted_keys_concern_the_model_and_not_its_copies(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = write_key_pair(tmp_path, "alice")
    monkeypatch.setenv(TRUSTED_KEYS, str(public))
    only(monkeypatch, "a tag swapped in cached predictions")
    with pytest.raises(UnsafeArtifactError, match=r"model bag: sha256:.* has no valid signature"):
        audited(config)
    sign(open_root(config.store), find_model(config.store, None), private)
    assert [outcome.outcome for outcome in audited(config).outcomes] == ["passes", "caught"]
    assert os.environ[TRUSTED_KEYS] == str(public)


def test_a_missing_data_set_is_reported(config: Config) -> None:
    with pytest.raises(ConfigError, match="there is no corpus to audit with"):
        audited(config.model_copy(update={"datasets": ()}))


def test_the_newest_model_is_the_default(config: Config, model: Path) -> None:
    first = find_model(config.store, None)
    second: ArtifactRef = Store(config.store).publish(model, "another", Provenance())
    assert find_model(config.store, None) == second != first
    assert find_model(config.store, "bag") == first
    with pytest.raises(InputError, match="means 2 models"):
        find_model(config.store, "*")


def command(config: Config, tmp_path: Path, *arguments: str) -> int:
    path = tmp_path / "nerbench.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return status_of(["doctor", *arguments, "-c", str(path)])


def test_the_command_prints_a_line_a_fault(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only(monkeypatch, "a tag swapped in stored predictions")
    assert command(config, tmp_path, "--audit", "bag") == 0
    printed = capsys.readouterr()
    assert "a tag swapped in stored predictions  stored predictions  caught" in printed.out
    assert "bag on the first 64 sentences of own, test" in printed.out
    assert "planting: a tag swapped" in printed.err
    monkeypatch.setattr(gates, "read_predictions", lambda *given: None)
    assert command(config, tmp_path, "--audit", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert [(row["fault"], row["outcome"], row["ok"]) for row in found["faults"]] == [
        (NOTHING, "passes", True),
        ("a tag swapped in stored predictions", "NOT CAUGHT", False),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--audit", "--store", "nowhere"], ["nowhere", "holds no model to audit with", "nerbench train"]),
        (["--audit", "bagg"], ["bagg", "is not in the store", "bag"]),
        (["bag"], ["'bag'", "add --audit"]),
    ],
)
def test_wrong_requests_are_one_line(
    arguments: list[str], says: list[str], config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(config, tmp_path, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert all(word in printed.err for word in says)


def test_outputs_without_names_are_shuffled_by_their_declared_names(
    config: Config, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "shuffled label order")
    nameless = tmp_path / "nameless"
    nameless.mkdir()
    for path in model.iterdir():
        (nameless / path.name).write_bytes(path.read_bytes())
    told = json.loads((nameless / "config.json").read_text())
    told["id2label"] = {str(number): f"LABEL_{number}" for number in range(len(LABELS))}
    (nameless / "config.json").write_text(json.dumps(told))
    benchmark = config.benchmark.model_copy(update={"labels_of": {"nameless": LABELS}})
    found = audit(config.model_copy(update={"benchmark": benchmark}), find_model(config.store, str(nameless)))
    assert [outcome.outcome for outcome in found.outcomes] == ["passes", "caught"]


def test_the_first_sentences_keep_words_tags_and_documents(config: Config, tmp_path: Path) -> None:
    from nerbench.tasks.audit.copies import prepare, private_cache

    whole = corpus_refs.describe(config, config.datasets[0])[0]
    with private_cache(tmp_path / "copy" / "cache"):
        copy = prepare(config, find_model(config.store, None), tmp_path / "copy")
        corpus = copy.corpus()
    assert (corpus.words_sha256, corpus.gold_sha256) == (whole.words_sha256, whole.gold_sha256)
