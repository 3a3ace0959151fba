"""What the how-to guides say to type: in a Prefect project, for a gate, on S3, and as a job of the Hub."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module, invalidate_caches
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from how_to import ROOT, blocks, commands
from s3_server import running_s3
from small_corpus import write_corpus

from nerbench.artifacts.errors import InputError
from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e
TAGGER = """
class Tagger:
    def __init__(self, known):
        self.known = known

    def predict(self, sentences):
        for words in sentences:
            yield ["B-LOC" if word in self.known else "O" for word in words]
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports code as a module of a file."""
    monkeypatch.syspath_prepend(tmp_path)
    names = (f"page{number}" for number in count())

    def imported(code: str) -> Any:
        name = next(names)
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
        invalidate_caches()
        return import_module(name)

    return imported


@pytest.fixture
def tagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None) -> Callable[..., None]:
    """Writes a configuration with one tagger that knows some places, here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tagger.py").write_text(TAGGER)
    files = {split: write_corpus(tmp_path / f"{split}.txt", 8) for split in ("train", "validation", "test")}

    def write(*known: str, **sections: Any) -> None:
        model = {"name": "minilm", "tagger": "tagger.py:Tagger", "options": {"known": known}}
        config = {"datasets": [{"name": "own", "files": files}], "models": [model], "benchmark": {"speed": False}}
        places = {"store": "./var/artifacts", "results": "./var/results"}
        (tmp_path / "nerbench.yaml").write_text(yaml.safe_dump(places | config | sections))

    return write


def test_your_flow_calls_ours(tagged: Callable[..., None], load: Callable[[str], Any]) -> None:
    tagged("Oslo", "Paris")
    assert status_of(["train"]) == 0
    assert 0.0 < load(blocks("own-prefect-project", "python")[0]).weekly()["minilm"] <= 1.0
    assert load((ROOT / "examples" / "own_flow.py").read_text()).choose() == "minilm"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the code of this checkout."""
    folder = tmp_path_factory.mktemp("clones") / "nerbench.git"
    for name in ("artifacts", "flows", "nerbench", "tasks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.min.js"))
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message", "x"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)


def test_a_flow_from_a_clone_is_that_of_the_installed_package(
    clone: Path,
    prefect_server: None,
    load: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [_, _, _, code, _] = blocks("own-prefect-project", "python")
    code = code.replace("https://example.org/nerbench.git", clone.as_uri())
    assert load(code).benchmark.name == "benchmark"
    (clone / "tasks" / "run_identity.py").write_text("changed = True\n")
    commit(clone)
    (tmp_path / "nerbench.yaml").write_text("datasets: []")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"its clone differs from the installed nerbench .*; install nerbench from"):
        load(code).benchmark()
    with pytest.raises(InputError, match=r"benchmark\.py: tasks/run_identity\.py differs from the installed nerbench"):
        runpy.run_path(str(clone / "flows" / "benchmark.py"))


def test_deployments_made_in_python_name_the_module(prefect_server: None, load: Callable[[str], Any]) -> None:
    from prefect.client.orchestration import get_client

    _, serve, deploy, _, subscribe = blocks("own-prefect-project", "python")
    nightly, pooled = load(serve).nightly, load(deploy).pooled
    assert nightly.entrypoint == pooled.entrypoint == "nerbench.flows.benchmark.benchmark"
    assert [str(one.schedule.cron) for one in nightly.schedules] == ["0 2 * * *"]
    applied = nightly.apply()
    with get_client(sync_client=True) as client:
        assert client.read_deployment(applied).entrypoint == "nerbench.flows.benchmark.benchmark"
    [trigger] = load(subscribe).subscribed.triggers
    assert trigger.expect == {"ner.artifact.stored"}


def test_the_commands_of_the_gate_page_run(tagged: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    gate = yaml.safe_load(blocks("gate", "yaml")[0])
    alias, benchmark, compare = (shlex.split(line)[1:] for line in commands("gate"))
    gate["gate"]["rules"][1]["label"] = "LOC"  # the corpus's only type that the tagger knows
    tagged("Oslo", "Paris", **gate)
    assert status_of(["train"]) == 0
    assert status_of(alias) == 0
    assert status_of(benchmark) == 0, capsys.readouterr().err
    tagged("Oslo", **gate)
    assert status_of(["train"]) == 0
    assert status_of(benchmark) == 1
    assert "regression" in capsys.readouterr().err
    assert status_of(compare) == 1
    assert "Paris" in capsys.readouterr().out


@pytest.mark.slow
def test_the_commands_of_the_s3_page_run(
    config: Config, finished: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = config.models[0].model_dump(mode="json") | {"name": "tiny-bert"}
    (tmp_path / "nerbench.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json") | {"models": [model]}))
    export, *lines = commands("s3")
    assert export.startswith("export AWS_ENDPOINT_URL=")
    with running_s3() as bucket:
        for line in lines:
            assert status_of(shlex.split(line.replace("s3://my-bucket", bucket))[1:]) == 0, line
    assert (tmp_path / "copy" / "model.safetensors").is_file()


def test_the_hub_accepts_the_job_and_its_command_runs(
    tagged: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [line] = commands("hugging-face-jobs")
    hf = Path(sys.executable).with_name("hf")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    dry = [str(hf), "jobs", "run", "--dry-run", *shlex.split(line)[3:]]
    done = subprocess.run(dry, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "t4-small" in done.stdout + done.stderr
    [inner] = [word for word in shlex.split(line) if "nerbench run" in word]
    command = re.sub(r"/ner/", f"{tmp_path}/ner/", inner.rpartition("&& ")[2])
    tagged("Oslo")
    assert status_of(shlex.split(command)[1:]) == 0
    assert (tmp_path / "ner" / "results" / "metrics").is_dir()
