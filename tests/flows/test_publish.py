"""The `publish` flow and command: a model on the Hub loads as the same model, and the token is only sent there."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_client import use_hub
from hub_server import TOKEN, FakeHub, running_hub

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.signatures import TRUSTED_KEYS
from nerbench.artifacts.tables.tables import read_results
from nerbench.flows.cli import status_of
from nerbench.tasks.config import CardConfig, Config
from nerbench.tasks.run_identity import Run, utc_now

TO = "acme/tiny"


@pytest.fixture
def job(config: Config, finished: dict[str, Any], tmp_path: Path) -> Config:
    """The finished job with a copy of the results."""
    results = shutil.copytree(config.results, tmp_path / "results")
    return config.model_copy(update={"results": str(results), "card": CardConfig(license="mit", language=("en",))})


@pytest.fixture
def arguments(job: Config, tmp_path: Path) -> list[str]:
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job.model_dump(mode="json")))
    return ["-c", str(tmp_path / "job.yaml")]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with running_hub() as found:
        use_hub(monkeypatch, found, tmp_path / "home")
        yield found


@pytest.mark.e2e
def test_a_published_model_is_benchmarked_as_itself(hub: FakeHub, job: Config, finished: dict[str, Any]) -> None:
    from nerbench.flows.benchmark import benchmark
    from nerbench.flows.publish import publish

    done = publish("tiny", TO, config=job)
    assert (done["commit"], done["changed"], done["private"]) == (hub.repos[TO].head, True, True)
    assert done["url"] == f"{hub.url}/{TO}"
    assert publish("tiny", TO, config=job)["changed"] is False
    run = next(row for row in read_results(job.results, "runs").to_pylist() if row["run_id"] == done["run_id"])
    assert (run["flow"], run["outcome"]) == ("publish", "ok")

    again = benchmark(job, models=[f"hf://{TO}"])
    assert (again["evaluated"], again["cached"]) == (0, 1)  # the same files: known predictions
    assert again["artifacts"][0]["uri"] == f"hf://{TO}@{done['commit']}"
    ours = [row for row in finished["metrics"] if row["model"] == "tiny"]
    assert {row["model_sha256"] for row in again["metrics"]} == {row["model_sha256"] for row in ours}
    key = ("slice", "level", "mode", "label", "average", "metric", "gold")
    values = [{tuple(row[name] for name in key): row["value"] for row in rows} for rows in (ours, again["metrics"])]
    known = {at: value for at, value in values[0].items() if "seen" not in at[0]}  # the Hub does not report these
    assert known.items() <= values[1].items()


@pytest.mark.e2e
def test_the_command_prints_the_location_and_not_the_token(
    hub: FakeHub, job: Config, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["publish", "tiny", "--to", TO, "--message", "First", *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.out.split() == [f"{hub.url}/{TO}", hub.repos[TO].head]
    assert "the card lacks its base model on the Hub: set `card.base_model`" in printed.err
    assert "private" in printed.err
    assert status_of(["publish", "tiny", "--to", TO, *arguments, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["changed"], again["commit"]) == (False, hub.repos[TO].head)
    assert "license: mit" in hub.repos[TO].files["README.md"].decode()
    written = [path for path in Path(job.results).rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]
    runs = read_results(job.results, "runs").to_pylist()
    assert len([row for row in runs if row["flow"] == "publish"]) == 2
    assert TOKEN not in json.dumps(again) + str(runs) + printed.out + printed.err
    from prefect import get_client

    with get_client(sync_client=True) as client:
        assert TOKEN not in str([run.model_dump() for run in client.read_flow_runs()])
        assert TOKEN not in str([log.message for log in client.read_logs()])


def test_a_push_of_an_unsigned_model_is_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nerbench.flows.run_context import RunRecorder
    from nerbench.flows.train import train_models

    model = {"name": "pushed", "base": {"model_type": "bert"}, "push_to_hub": True, "hub_model_id": TO}
    config = Config.model_validate({"store": str(tmp_path), "results": str(tmp_path), "models": [model]})
    run = Run(run_id="r", flow="train", date="2030-01-01", started_at=utc_now(), attempt=1, results=config.results)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv(TRUSTED_KEYS, "public.pem")
    with pytest.raises(InputError, match=r"models: pushed: push_to_hub: .*NERBENCH_TRUSTED_KEYS.*; set it to false"):
        train_models(RunRecorder(run=run), config)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_trained_model_is_pushed_once_it_is_stored(
    hub: FakeHub, job: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nerbench.flows.train import train

    changes = {"epochs": 1.0, "name": "pushed", "push_to_hub": True, "hub_model_id": TO}
    model = job.models[0].model_copy(update=changes)
    job = job.model_copy(update={"models": (model,), "store": str(tmp_path / "store")})
    done = train(job)
    assert hub.repos[TO].private
    (artifact,) = done["artifacts"]
    assert artifact["artifact_id"] in hub.repos[TO].files["README.md"].decode()
    assert {"model.safetensors", "config.json"} <= set(hub.repos[TO].files)
    assert "push_to_hub" not in hub.repos[TO].files["README.md"].decode()

    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="there is no token to publish with"):
        train(job)
    nowhere = model.model_copy(update={"hub_model_id": "acme/a--b"})
    with pytest.raises(
        InputError, match="models: pushed: hub_model_id 'acme/a--b': is not the name of a repository on the Hub"
    ):
        train(job.model_copy(update={"models": (nowhere,)}))


@pytest.mark.e2e
def test_a_dry_run_sends_no_request(
    hub: FakeHub, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert status_of(["publish", "tiny", "--to", TO, "--dry-run", *arguments, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    sizes = {file["path"]: file["size"] for file in shown["files"]}
    assert sizes["README.md"] == len(shown["card"].encode())
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(sizes)
    assert status_of(["publish", "tiny", "--to", TO, "--dry-run", *arguments]) == 0
    assert shown["card"] in capsys.readouterr().out
    assert not hub.requests


@pytest.mark.e2e
def test_a_card_is_shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["artifacts", "show", "tiny", "--card", *arguments]) == 0
    printed = capsys.readouterr()
    assert "\nlicense: mit\n" in printed.out.partition("\n---\n")[0]
    assert "# tiny" in printed.out
    assert "**Strict F1" in printed.out
    assert "hf://your-org/tiny" in printed.out
    assert "the card lacks its training data on the Hub" in printed.err


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("request_of", "says"),
    [
        (["tiny", "--to", TO], "Hub: there is no token to publish with; set HF_TOKEN, or run `hf auth login`"),
        (["tiny", "--to", "tiny"], "--to 'tiny': is not the name of a repository on the Hub; write org/name"),
        (["*@latest", "--to", TO, "--dry-run"], "artifacts; name one of them"),
        (["nothing", "--to", TO, "--dry-run"], "model 'nothing': is not in the store"),
    ],
)
def test_wrong_requests_are_one_line(
    hub: FakeHub,
    job: Config,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request_of: list[str],
    says: str,
) -> None:
    use_hub(monkeypatch, hub, tmp_path / "stranger", token=None)
    before = sorted(Path(job.results).rglob("*"))
    assert status_of(["publish", *request_of, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert sorted(Path(job.results).rglob("*")) == before
    assert not hub.requests


@pytest.mark.e2e
def test_a_refusal_of_the_hub_is_one_line(
    hub: FakeHub, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["publish", "tiny", "--to", "others/tiny", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
