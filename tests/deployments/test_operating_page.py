"""Deployments, settings, files, commands and make targets in `docs/how-to/operate.md` exist."""

import re
from pathlib import Path

import yaml
from prefect_site import ROOT

PAGE = (ROOT / "docs/how-to/operate.md").read_text()


def test_the_table_has_every_deployment_and_its_schedules() -> None:
    declared = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    rows = dict(re.findall(r"^\| `([a-z]+/[a-z-]+)` \| (.*)$", PAGE, re.MULTILINE))
    assert set(rows) == {f"{one['entrypoint'].split('.')[-2]}/{one['name']}" for one in declared}
    crons = [schedule["cron"].split()[:2] for one in declared for schedule in one.get("schedules", ())]
    times = [f"{int(hour):02}:{int(minute):02}" for minute, hour in crons]
    assert times
    assert [time for time in times if time not in rows["benchmark/nightly"]] == []


def test_prefect_knows_every_setting_that_is_named() -> None:
    import prefect.logging
    from prefect.settings import Settings
    from prefect.settings.legacy import _get_valid_setting_names

    named = set(re.findall(r"\b(PREFECT_[A-Z_]+)", PAGE))
    assert len(named) > 5
    unknown = named - _get_valid_setting_names(Settings)
    assert unknown == {"PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL"}  # which overrides a key of its logging.yml
    logging = yaml.safe_load((Path(prefect.logging.__file__).parent / "logging.yml").read_text())
    assert "level" in logging["loggers"]["prefect.task_runs"]


def test_files_and_make_targets_are_there() -> None:
    files = re.findall(r"`(?:deployments/)?([\w-]+\.(?:yaml|json|py))`|`(Dockerfile)`|`(\.ci/\w+)`", PAGE)
    named = {next(filter(None, one)) for one in files}
    assert {"prefect.yaml", "compose.yaml", "Dockerfile", "s3-policy.json", ".ci/audit"} <= named
    known = {path.name for path in (ROOT / "deployments").iterdir()} | {".ci/audit", "nerbench.yaml"}
    assert named <= known
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", PAGE)) <= targets


def test_the_numbers_are_those_of_the_code() -> None:
    from nerbench.flows.alerts import OVERDUE, SILENT
    from nerbench.tasks.as_task import GPU_LEASE_S, GPU_LIMIT, STORAGE

    assert f"not ended for {OVERDUE.total_seconds() / 3600:.0f} hours" in PAGE
    assert (SILENT.total_seconds(), GPU_LEASE_S) == (9 * 60, 60)
    assert f"prefect gcl create {GPU_LIMIT} " in PAGE
    assert (STORAGE["retries"] + 1, sum(STORAGE["retry_delay_seconds"])) == (4, 90)
    assert 90 * (1 - STORAGE["retry_jitter_factor"]) > 60, "an outage of a minute is waited out"
