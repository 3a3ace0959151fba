"""The provenance of the numbers, without hosts, secrets and folders."""

import json
from datetime import UTC, datetime
from typing import Any

from nerbench.tasks.report.history import Change
from nerbench.tasks.report.provenance import changes, has_gate, keeps_text, provenance
from nerbench.tasks.results.query import SelectedRun

MOMENT = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


def run(configuration: dict[str, Any] | None = None, **columns: Any) -> SelectedRun:
    row = columns | ({"configuration": json.dumps(configuration)} if configuration is not None else {})
    return SelectedRun("night", "2030-01-02", MOMENT, row)


def test_hosts_secrets_and_folders_stay_out() -> None:
    configuration = {"store": "/home/ada/store", "results": "s3://bucket/x", "password": "hunter2", "token": "t0ken"}
    found = provenance(run(configuration, host="ada-laptop", code_commit="abc", code_dirty=True, ram_bytes=16e9))
    said = f"{found}"
    for secret in ("ada", "hunter2", "t0ken"):
        assert secret not in said
    assert "s3://bucket/x" in found.configuration
    facts = dict(found.facts)
    assert facts["code"] == "abc with uncommitted changes"
    assert facts["memory"] == "16.0 GB"
    assert facts["host"].startswith("host-")
    assert found.started_at == "2030-01-02 03:04 UTC"


def test_a_run_without_a_row_has_no_facts() -> None:
    found = provenance(run())
    assert (found.facts, found.configuration) == ([], "")
    assert keeps_text([run()])
    assert not has_gate([run()])


def test_text_is_dropped_if_any_run_drops_it() -> None:
    keep, drop = ({"benchmark": {"text": text}} for text in ("keep", "drop"))
    assert keeps_text([run(keep), run()])
    assert not keeps_text([run(keep), run(drop)])
    assert has_gate([run({"gate": None}), run({"gate": {"rules": []}})])


def test_changes_of_the_environment_are_sentences() -> None:
    columns = {"host": {"base": "a", "candidate": "b"}, "torch": {"base": None, "candidate": "2"}}
    (found,) = changes([Change(MOMENT, "night", columns)])
    assert (found["at"], found["run_id"]) == ("2030-01-02T03:04:00Z", "night")
    host, torch = found["columns"]
    assert host["before"].startswith("host-")
    assert host["before"] != host["after"]
    assert torch == {"name": "torch", "before": "nothing", "after": "2"}
