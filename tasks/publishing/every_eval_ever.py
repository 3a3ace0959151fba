"""Exports a run in the format of Every Eval Ever (https://github.com/evaleval/every_eval_ever): a JSON file per model.

The schema is `eval.schema.json` of the package `every-eval-ever`, version 0.3.0. The same rows give the same files.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from nerbench import __version__
from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError
from nerbench.artifacts.storage.paths import write_whole
from nerbench.tasks.config import Config
from nerbench.tasks.publishing.card import is_hub_id
from nerbench.tasks.results.export import check_target
from nerbench.tasks.results.summary import RunResults, read_run
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.slices import EVERYTHING

COLLECTION = "nerbench"
_COMPONENT = re.compile(r"[A-Za-z0-9]([\w.-]{0,94}[\w-])?", re.ASCII)


def export_run(config: Config, target: Path, organization: str, run_id: str | None, *, force: bool = False) -> int:
    """Write the files of a run, by default of the newest complete one, to `data/nerbench/…` in a folder.

    Returns the number of files. Raises InputError for an unknown run, an invalid organization, a run without models,
    and a file that exists, without `force`.
    """
    if not _COMPONENT.fullmatch(organization):
        raise InputError(
            f"--organization {organization!r}",
            "is not the name of an organization",
            "write it as on the Hub, e.g. my-org",
        )
    hub = {one.name: one.path for one in config.datasets if one.format == "hub" and one.path and is_hub_id(one.path)}
    found = records(read_run(config.results, run_id), organization, hub)
    if not found:
        raise InputError("results export", "the run has no scores of models", "name another one with --run")
    files = {target / path: record for path, record in found.items()}
    for path in files:
        check_target("--to", path, force=force)
    for path, record in files.items():
        write_whole(path, [(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()])
    return len(files)


def records(found: RunResults, organization: str, hub: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """One record per model of a run, by its path in the datastore. Taggers, imported predictions and means over seeds
    have none.

    Args:
        found: The rows of the run.
        organization: Who evaluated the models, and trained them: a model's id is `organization/name`. A model of the
            Hub keeps its id, and its own organization as the developer.
        hub: The Hub ids of data sets that come from there, by name.
    """
    rows: dict[str, list[Row]] = {}
    for row in found.metrics:
        if row.get("kind") in {None, "model"} and row["n_models"] is None and _is_exported(row):
            rows.setdefault(row["artifact_id"], []).append(row)
    return {
        f"data/{COLLECTION}/{_model_id(of_model[0], organization)}/{_uuid(found.run_id, artifact_id)}.json": _record(
            of_model, organization, hub
        )
        for artifact_id, of_model in rows.items()
    }


def _model_id(row: Row, organization: str) -> str:
    name: str = row["model"]
    return name if "/" in name else f"{organization}/{name}"


def _is_exported(row: Row) -> bool:
    """Micro averages in every mode, and strict scores of entity types, on the clean corpus."""
    if row["value"] is None or row["level"] != "entity" or row["slice"] != EVERYTHING or row.get("source"):
        return False
    overall = (row["label"], row["average"]) == (OVERALL, "micro")
    return row["metric"] in {"precision", "recall", "f1"} and (
        overall or (row["mode"] == "strict" and row["label"] != OVERALL)
    )


def _uuid(run_id: str, artifact_id: str) -> UUID:
    """An identifier of version 4, which the datastore demands, from a digest instead of random bytes."""
    return UUID(hex=sha256_hex(f"{run_id}\0{artifact_id}".encode(errors="surrogatepass"))[:32], version=4)


def _record(rows: list[Row], organization: str, hub: Mapping[str, str]) -> dict[str, Any]:
    first = rows[0]
    model = _model_id(first, organization)
    developer, _, name = model.partition("/")
    epoch = f"{first['started_at'].timestamp():.0f}"
    return {
        "schema_version": "0.3.0",
        "evaluation_id": f"{COLLECTION}/{model}@{first['artifact_id'][:12]}/{epoch}",
        "evaluation_timestamp": first["started_at"].isoformat(),
        "retrieved_timestamp": epoch,
        "source_metadata": {
            "source_name": "nerbench",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "first_party" if developer == organization else "third_party",
        },
        "eval_library": {"name": "nerbench", "version": __version__},
        "model_info": {
            "name": name,
            "id": model,
            "developer": developer,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                **_texts(first, ("artifact_id", "model_sha256", "dtype", "backend")),
            },
        },
        "evaluation_results": [_result(row, hub.get(row["dataset"])) for row in rows],
    }


def _result(row: Row, hub_id: str | None) -> dict[str, Any]:
    about = _texts(row, ("split", "gold", "words_sha256", "gold_sha256"))
    source = {"hf_repo": hub_id, "hf_split": row["split"], "source_type": "hf_dataset"} if hub_id else {}
    return {
        "evaluation_result_id": "/".join(str(row[name]) for name in ("dataset", "gold", "mode", "label", "metric")),
        "evaluation_name": row["dataset"] if row["gold"] == row["dataset"] else f"{row['dataset']} ({row['gold']})",
        "source_data": {"dataset_name": row["dataset"], "source_type": "other", "additional_details": about} | source,
        "metric_config": {
            "evaluation_description": f"named-entity recognition: {row['metric']} of entities, matching mode "
            f"{row['mode']}, {'micro average' if row['label'] == OVERALL else row['label']}",
            "metric_id": f"nerbench.{row['mode']}.{row['metric']}",
            "metric_name": f"{row['metric']} ({row['mode']})",
            "metric_kind": row["metric"],
            "metric_unit": "proportion",
            "metric_parameters": {"mode": row["mode"], "label": row["label"], "average": row["average"] or None},
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": row["value"],
            "details": _texts(row, ("tp", "n_pred", "n_gold")),
            **_uncertainty(row),
        },
    }


def _uncertainty(row: Row) -> dict[str, Any]:
    if row["ci_low"] is None or row["ci_high"] is None:
        return {}
    interval = {
        "lower": row["ci_low"],
        "upper": row["ci_high"],
        "confidence_level": row["confidence"],
        "method": row["ci_method"],
    }
    of = {} if row["n_documents"] is None else {"num_samples": row["n_documents"]}
    return {"uncertainty": {"confidence_interval": {k: v for k, v in interval.items() if v is not None}} | of}


def _texts(row: Row, names: Iterable[str]) -> dict[str, str]:
    """Columns with a value, as the texts that the schema wants."""
    return {name: str(row[name]) for name in names if row.get(name) is not None}
