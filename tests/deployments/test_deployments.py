"""Deployments as a team uses them: server, work pool, worker, `prefect deploy`, and every way to start a run."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from nightly_models import prepare
from postgres import running_postgres
from prefect_site import ROOT, Site, until

from nerbench.artifacts.tables.tables import read_results

pytestmark = pytest.mark.e2e
NIGHT = "2020-01-31 02:00:00+01:00"
NIGHT_RUN = "benchmark-nightly@2020-01-31T01:00:00.000000+00:00"
DEPLOYMENTS = {
    *("train/on-demand", "pipeline/on-demand", "publish/on-demand", "speed/on-demand", "curve/on-demand"),
    *("benchmark/on-demand", "benchmark/nightly", "benchmark/on-new-artifact"),
}


@contextmanager
def running_site(folder: Path, server: Mapping[str, str]) -> Iterator[Site]:
    """A site with all deployments; `server` adds to its environment."""
    site = Site(folder, server=server)
    try:
        site.start_server()
        prepare(site.work)
        site.await_server()
        site.deploy()
        site.start_worker()
        yield site
    finally:
        site.end()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A team's Prefect on SQLite, with everything deployed."""
    with running_site(tmp_path_factory.mktemp("site"), {}) as site:
        yield site


@pytest.fixture(scope="module")
def posted(site: Site) -> Iterator[list[dict[str, str]]]:
    """The posts to a webhook for failures and for a scheduled run that is overdue by ten seconds."""
    received: list[dict[str, str]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    from nerbench.flows.alerts import create_alerts

    with HTTPServer(("127.0.0.1", 0), Webhook) as server, site.client():
        threading.Thread(target=server.serve_forever, daemon=True).start()
        create_alerts(f"http://127.0.0.1:{server.server_port}/secret", overdue=timedelta(seconds=10))
        yield received
        server.shutdown()


@pytest.fixture(scope="module")
def refused(site: Site, posted: list[dict[str, str]]) -> "subprocess.Popen[str]":
    """A benchmark on demand with a failing gate."""
    arguments = ("deployment", "run", "benchmark/on-demand", "--param", "config=gate.yaml", "--watch")
    return site.begin("-m", "prefect", *arguments)


@pytest.fixture(scope="module")
def pushed(site: Site) -> "subprocess.Popen[str]":
    """The concurrent publication of a model."""
    return begin_push(site)


def begin_push(site: Site) -> "subprocess.Popen[str]":
    push = ("artifacts", "push", "new", "--name", "new", "--no-check", "--json")
    return site.begin("-m", "nerbench.flows.cli", *push, cwd=site.work)


def run_at(site: Site, name: str, when: str) -> None:
    """Schedule a run like `prefect deployment run --start-at`, without another process."""
    from prefect.states import Scheduled

    with site.client() as client:
        scheduled = Scheduled(scheduled_time=datetime.fromisoformat(when))
        run = client.create_flow_run_from_deployment(client.read_deployment_by_name(name).id, state=scheduled)

        def ended() -> Any:
            state = client.read_flow_run(run.id).state
            return state if state.is_final() else None

        assert until(ended, "the end of a run").is_completed()


def results(site: Site) -> str:
    return str(site.work / "var" / "results")


def runs(site: Site, prefix: str) -> list[dict[str, Any]]:
    rows = read_results(results(site), "runs").to_pylist()
    return [row for row in rows if row["run_id"].startswith(prefix)]


def written(site: Site, date: str) -> dict[Path, int]:
    """The files of the result tables of a day with their modification times."""
    return {path: path.stat().st_mtime_ns for path in Path(results(site)).glob(f"*/schema=*/date={date}/*.parquet")}


def strict_f1(site: Site, run_id: str) -> dict[str, float]:
    rows = read_results(results(site), "metrics", filters=[("run_id", "=", run_id)]).to_pylist()
    headline = {"slice": "all", "mode": "strict", "label": "overall", "average": "micro", "metric": "f1"}
    return {row["model"]: row["value"] for row in rows if headline.items() <= row.items()}


def test_deployments_name_no_folder_of_this_machine(site: Site) -> None:
    with site.client() as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        deployed = {f"{flows[one.flow_id]}/{one.name}": one for one in client.read_deployments()}
    assert set(deployed) == DEPLOYMENTS
    commit = subprocess.check_output(["git", "describe", "--always", "--dirty"], cwd=ROOT, text=True)
    for one in deployed.values():
        said = one.model_dump_json()
        assert str(ROOT) not in said
        assert str(site.work.parent) not in said
        assert (one.path, one.pull_steps, one.job_variables) == (None, [], {"working_dir": "."})
        assert one.version == commit.strip()
        assert one.concurrency_options.collision_strategy.value == "ENQUEUE"
        assert "nerbench" in one.tags


def test_the_form_explains_every_parameter(site: Site) -> None:
    with site.client() as client:
        schemas = [one.parameter_openapi_schema for one in client.read_deployments()]
    for schema in schemas:
        assert all(parameter["description"] for parameter in schema["properties"].values())
        for name, section in schema["definitions"].items():
            undescribed = [key for key, field in section.get("properties", {}).items() if not field.get("description")]
            assert undescribed == [], name


def test_nights_are_scheduled_in_local_time_and_one_a_week_refreshes(site: Site) -> None:
    def scheduled() -> list[Any]:
        with site.client() as client:
            found = client.read_flow_runs()
        coming = [run for run in found if run.state.type.value == "SCHEDULED" and run.auto_scheduled]
        return coming if any(run.parameters.get("refresh") for run in coming) else []

    coming = until(scheduled, "scheduled runs")
    local = {(run.expected_start_time.astimezone(ZoneInfo("Europe/Berlin")), bool(run.parameters)) for run in coming}
    assert {(f"{when:%H:%M}", refresh) for when, refresh in local} == {("02:00", False), ("04:30", True)}
    assert {f"{when:%a}" for when, refresh in local if refresh} == {"Sun"}


def test_a_night_writes_its_rows(site: Site) -> None:
    run_at(site, "benchmark/nightly", NIGHT)
    assert strict_f1(site, NIGHT_RUN) == {"right": 1.0, "wrong": 0.0}
    assert {path.parents[2].name for path in written(site, "2020-01-31")} >= {"metrics", "runs"}


@pytest.mark.slow
def test_the_same_night_again_writes_nothing_else(site: Site) -> None:
    """The tests of rows and tables verify the same for one file: a retry writes the same file."""
    run_at(site, "benchmark/nightly", NIGHT)
    first = written(site, "2020-01-31")
    run_at(site, "benchmark/nightly", NIGHT)
    assert written(site, "2020-01-31") == first
    assert [(row["run_id"], row["outcome"]) for row in runs(site, "benchmark-nightly@")] == [(NIGHT_RUN, "ok")]


@pytest.mark.slow
def test_publishing_a_model_benchmarks_it(site: Site, pushed: "subprocess.Popen[str]") -> None:
    published = json.loads(site.ended(pushed).splitlines()[0])

    def finished() -> list[Any]:
        with site.client() as client:
            deployment = client.read_deployment_by_name("benchmark/on-new-artifact")
            found = client.read_flow_runs()
        return [run for run in found if run.deployment_id == deployment.id and run.state.is_final()]

    (run,) = until(finished, "the benchmark of what was published", lambda: site.log("worker")[-2000:])
    assert run.state.is_completed()
    assert run.parameters["models"] == [published["uri"]]
    assert re.fullmatch(r"benchmark new@sha256:[0-9a-f]{12} on own", run.name)
    (row,) = runs(site, "benchmark-on-new-artifact@")
    assert set(strict_f1(site, row["run_id"])) == {"new"}


def test_unknown_parameters_are_refused(site: Site) -> None:
    with site.client() as client, pytest.raises(Exception, match="'stores' was unexpected"):
        client.create_flow_run_from_deployment(
            client.read_deployment_by_name("benchmark/nightly").id, parameters={"config": {"stores": "x"}}
        )


@pytest.mark.slow
def test_a_failing_gate_fails_the_run_with_exit_status_1_and_is_posted(
    site: Site, posted: list[dict[str, str]], refused: "subprocess.Popen[str]"
) -> None:
    site.ended(refused, status=1)
    assert [row["outcome"] for row in runs(site, "benchmark-on-demand@")] == ["failed"]
    texts = until(lambda: {post["text"] for post in posted if ": Failed: " in post["text"]}, "an alert")
    (text,) = texts  # the server may post it twice if its database was too busy to record the first post
    assert re.search(r"benchmark wrong on own: Failed: .*gate, wrong: .*F1.*-100", text, re.IGNORECASE)


def test_a_missing_night_is_posted(posted: list[dict[str, str]]) -> None:
    text = "nerbench: no run of the deployment nightly has ended for 0:00:10"
    until(lambda: {"text": text} in posted, "an alert")


@pytest.mark.slow
@pytest.mark.operations
def test_the_same_on_postgresql(tmp_path: Path) -> None:
    with (
        running_postgres() as url,
        running_site(tmp_path, {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}) as site,
    ):
        pushed = begin_push(site)
        test_nights_are_scheduled_in_local_time_and_one_a_week_refreshes(site)
        test_a_night_writes_its_rows(site)
        test_the_same_night_again_writes_nothing_else(site)
        test_publishing_a_model_benchmarks_it(site, pushed)
