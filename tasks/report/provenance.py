"""The provenance of the numbers in a report: runs, machines, versions, configurations and digests, without secrets."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from nerbench.tasks.publishing.card_from_results import aligned, repaired
from nerbench.tasks.report.history import Change
from nerbench.tasks.report.model_scores import ModelScores
from nerbench.tasks.results.query import SelectedRun
from nerbench.tasks.results.redaction import recorded_configuration, shareable_host, shareable_value

Plain = dict[str, Any]
_FACTS = (
    *("flow", "outcome", "code_commit", "host", "cpu", "threads", "ram_bytes", "gpu", "driver", "cuda"),
    *("python", "torch", "transformers", "tokenizers", "prefect", "evaluated", "cached"),
    *("train_s", "evaluate_s", "score_s", "total_s"),
)
_DIGESTS = ("artifact_id", "model_sha256", "words_sha256", "gold_sha256", "predictions_digest")


class Provenance(NamedTuple):
    """One run: its environment and its configuration."""

    run_id: str
    date: str
    started_at: str
    facts: list[tuple[str, str]]
    configuration: str
    """YAML, without secrets and folders; empty if it is not known."""


def provenance(run: SelectedRun) -> Provenance:
    """The row of a run in `runs`; its host is a digest and its paths are shortened, as in an export."""
    row = run.row | ({"host": shareable_host(run.row["host"])} if run.row.get("host") else {})
    facts = [(_called(name), _value(name, row[name])) for name in _FACTS if row.get(name) is not None]
    if row.get("code_dirty"):
        facts = [(name, f"{value} with uncommitted changes" if name == "code" else value) for name, value in facts]
    return Provenance(run.run_id, run.date, f"{run.started_at:%Y-%m-%d %H:%M} UTC", facts, _configuration(run))


def keeps_text(runs: Iterable[SelectedRun]) -> bool:
    """Whether no run was configured to leave out the words of the corpus."""
    return all(_configured(run).get("benchmark", {}).get("text", "keep") == "keep" for run in runs)


def has_gate(runs: Iterable[SelectedRun]) -> bool:
    """Whether a run was configured with a gate."""
    return any(_configured(run).get("gate") is not None for run in runs)


def digests(entries: Sequence[ModelScores]) -> list[Plain]:
    """The digests of everything that was scored."""
    return [
        {"model": entry.name, "place": entry.place, "split": entry.about["split"], "run_id": entry.run.run_id}
        | {name: entry.about[name] or "" for name in _DIGESTS}
        for entry in entries
    ]


def repairs(entries: Iterable[ModelScores]) -> dict[str, str]:
    """The repairs of each corpus, and what an aligned annotation lacks, by `conllpp, test split`."""
    found = (
        (entry, " ".join(filter(None, (repaired(entry.find("accuracy", mode="tag")), aligned(entry.find())))))
        for entry in entries
    )
    return {f"{entry.place}, {entry.about['split']} split": text for entry, text in found if text}


def changes(found: Iterable[Change]) -> list[Plain]:
    """For each change of the environment, a list of `name`, `before` and `after`."""
    return [
        {
            "at": f"{one.started_at:%Y-%m-%dT%H:%M:%SZ}",
            "run_id": one.run_id,
            "columns": [
                {"name": _called(name), "before": _value(name, pair["base"]), "after": _value(name, pair["candidate"])}
                for name, pair in one.columns.items()
            ],
        }
        for one in found
    ]


def _configured(run: SelectedRun) -> Plain:
    return recorded_configuration(run.row.get("configuration"))


def _configuration(run: SelectedRun) -> str:
    import yaml

    found = shareable_value(_configured(run))
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100) if found else ""


def _called(name: str) -> str:
    names = {"code_commit": "code", "ram_bytes": "memory", "cpu": "processor", "cpu_flags": "processor flags"}
    return names.get(name, name.removesuffix("_s"))


def _value(name: str, value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if name == "ram_bytes":
        return f"{value / 1e9:.1f} GB"
    if name == "host":
        return str(value) if str(value).startswith("host-") else shareable_host(value)
    return f"{value:.1f} s" if name.endswith("_s") else str(value)
