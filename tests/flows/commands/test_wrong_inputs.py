"""Wrong requests: each row ends with one line on stderr that names field or file, value and remedy; nothing is written.

Add rows for new features. `{own}` stands for a valid corpus file, `{broken}` for the file written by the row.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from small_corpus import write_corpus

from nerbench.flows.cli import status_of

VALID: dict[str, Any] = {
    "datasets": [{"name": "own", "files": {"train": "{own}", "validation": "{own}", "test": "{own}"}}],
    "models": [{"name": "tiny", "base": {"model_type": "bert"}}],
}


class Row(NamedTuple):
    """A wrong request."""

    change: dict[str, Any]
    """New values of dotted keys of VALID."""
    says: tuple[str, ...]
    """Texts that the line contains."""
    arguments: tuple[str, ...] = ("run",)
    broken: bytes | None = None
    """Content of the file `{broken}`."""


CONFIGURATIONS = {
    "unknown key": Row({"stoer": "x"}, ("stoer", "unknown key", "store")),
    "unknown nested key": Row({"models.0.epoch": 3}, ("models[0].epoch", "unknown key", "epochs")),
    "unknown benchmark key": Row({"benchmark.sped": True}, ("benchmark.sped", "speed")),
    "text for a number": Row({"models.0.epochs": "many"}, ("models[0].epochs", "'many'")),
    "no epochs": Row({"models.0.epochs": 0}, ("models[0].epochs", "0", "greater than 0")),
    "negative learning rate": Row({"models.0.learning_rate": -1}, ("models[0].learning_rate", "-1")),
    "tiny batch": Row({"models.0.batch_tokens": 1}, ("models[0].batch_tokens", "1", "8")),
    "warm-up beyond the end": Row({"models.0.warmup": 1.5}, ("models[0].warmup", "1.5")),
    "negative seed": Row({"models.0.seed": -1}, ("models[0].seed", "-1")),
    "training on no processes": Row({"models.0.processes": 0}, ("models[0].processes", "0", "1")),
    "a step of no batches": Row({"models.0.gradient_accumulation": 0}, ("models[0].gradient_accumulation", "0", "1")),
    "several processes on one device": Row(
        {"models.0.processes": 2, "models.0.device": "cuda:1"}, ("models[0]", "2 processes", "cuda:1", "give cuda")
    ),
    "bad model name": Row({"models.0.name": "a/b"}, ("models[0].name", "'a/b'")),
    "a push without a place": Row({"models.0.push_to_hub": True}, ("models[0]", "push_to_hub", "add hub_model_id")),
    "a place without a push": Row(
        {"models.0.hub_model_id": "acme/x"}, ("models[0]", "hub_model_id", "push_to_hub: true")
    ),
    "a place without an organization": Row(
        {"models.0.push_to_hub": True, "models.0.hub_model_id": "x"}, ("models[0].hub_model_id", "'x'")
    ),
    "bad base": Row({"models.0.base": 3}, ("models[0].base", "3")),
    "missing base folder": Row({"models.0.base": "./nowhere"}, ("models[0].base", "nowhere")),
    "unknown dtype": Row({"benchmark.dtype": "fp8"}, ("benchmark.dtype", "'fp8'", "fp32")),
    "unknown split": Row({"benchmark.split": "dev"}, ("benchmark.split", "'dev'", "validation")),
    "unknown mode": Row({"benchmark.modes": ["strict", "loose"]}, ("benchmark.modes[1]", "'loose'", "partial")),
    "without the headline's mode": Row({"benchmark.modes": ["type"]}, ("benchmark.modes", "strict", "add it")),
    "unknown strategy": Row(
        {"benchmark.aggregation_strategy": "last"}, ("benchmark.aggregation_strategy", "'last'", "first")
    ),
    "backend without the dtype": Row(
        {"benchmark.backend": "openvino", "benchmark.dtype": "bf16"}, ("benchmark", "openvino computes fp32", "torch")
    ),
    "tiny window": Row({"benchmark.max_length": 2}, ("benchmark.max_length", "2", "8")),
    "unknown device": Row({"benchmark.device": "tpu"}, ("benchmark.device", "'tpu'", "cuda")),
    "training on an absent accelerator": Row({"models.0.device": "cuda:9"}, ("models: tiny: device", "cuda:9", "cpu")),
    "more processes than cores": Row(
        {"models.0.processes": 999, "models.0.device": "cpu"}, ("models: tiny: processes", "999", "cores", "at most")
    ),
    "half precision on a processor": Row(
        {"benchmark.dtype": "fp16", "benchmark.device": "cpu"}, ("benchmark.dtype", "fp16", "bf16")
    ),
    "absent accelerator": Row({"benchmark.device": "cuda:9"}, ("benchmark.device", "cuda:9", "cpu")),
    "unknown label": Row({"benchmark.labels": ["PRE"]}, ("benchmark.labels", "PRE", "PER")),
    "unknown format": Row({"datasets.0.format": "xml"}, ("datasets[0].format", "'xml'", "conll")),
    "no files": Row({"datasets.0.files": {}}, ("datasets[0]", "files")),
    "unknown split of files": Row(
        {"datasets.0.files.dev": "x"}, ("datasets[0].files", "dev", "validation or test, or all")
    ),
    "missing file": Row({"datasets.0.files.test": "nowhere.txt"}, ("datasets[0].files.test", "nowhere.txt")),
    "no train split": Row({"datasets.0.files": {"test": "{own}"}}, ("train", "files")),
    "the same name twice": Row({"models": [{"name": "a", "base": "b/c"}] * 2}, ("models", "a", "twice")),
    "gold of nothing": Row({"golds": [{"name": "g", "dataset": "x", "file": "{own}"}]}, ("golds", "x", "own")),
    "model on nothing": Row({"models.0.dataset": "x"}, ("models", "x", "own")),
    "no models": Row({"models": []}, ("models", "no model")),
    "no data sets": Row({"datasets": []}, ("datasets", "no corpus"), ("benchmark",)),
    "unset variable": Row({"store": "${NERBENCH_UNSET}"}, ("store", "NERBENCH_UNSET", "export")),
    "list for a mapping": Row({"benchmark": []}, ("benchmark",)),
    "slice without a condition": Row({"slices": [{"name": "s"}]}, ("slices[0]", "slice s", "where", "function")),
    "slice with two conditions": Row(
        {"slices": [{"name": "s", "where": "word > 1", "function": "a:b"}]}, ("slices[0]", "slice s", "both")
    ),
    "slice of a condition that is none": Row({"slices": [{"name": "s", "where": "word >"}]}, ("slice s", "word >")),
    "slice of a number": Row({"slices": [{"name": "s", "where": "word + 1"}]}, ("slice s", "a condition is needed")),
    "slice of an unknown column": Row(
        {"slices": [{"name": "s", "where": "length > 3"}]}, ("slice s", "no column length", "sentence_length")
    ),
    "slice called as a standard one": Row(
        {"slices": [{"name": "unseen", "where": "word > 1"}]}, ("slice unseen", "has the name of a standard slice")
    ),
    "slice called all": Row(
        {"slices": [{"name": "all", "where": "word > 1"}]}, ("slice all", "has the name of a standard slice")
    ),
    "slices of one name": Row({"slices": [{"name": "s", "where": "word > 1"}] * 2}, ("slices", "s", "twice")),
    "slice of a missing file": Row(
        {"slices": [{"name": "s", "function": "nowhere.py:f"}]}, ("slices[0].function", "nowhere.py")
    ),
    "slice of a missing function": Row({"slices": [{"name": "s", "function": "own.py:f"}]}, ("own.py", "'f'")),
    "missing metrics": Row({"metrics": ["nowhere.py"]}, ("metrics[0]", "nowhere.py")),
    "a metric of the Hub": Row({"metrics": [{"evaluate": "seqeval"}]}, ("metrics[0].evaluate", "seqeval", "download")),
    "a metric behind a URL": Row({"metrics": [{"evaluate": "https://x.org/m.py"}]}, ("no script https://x.org/m.py",)),
    "a misspelled metric of evaluate": Row({"metrics": [{"evaluat": "m.py"}]}, ("metrics[0].evaluat", "evaluate?")),
    "file without a metric": Row({"metrics": ["own.py"]}, ("own.py", "no metric", "@metric")),
    "metrics with a syntax error": Row({"metrics": ["{broken}"]}, ("broken.py:2", "SyntaxError"), broken=b"\nf(\n"),
    "unknown tag": Row({"benchmark.tags": ["shape"]}, ("tags", "'shape'", "builtin")),
    "confidence of a coin": Row({"benchmark.confidence": 0.5}, ("benchmark.confidence", "0.5")),
    "rule on an unknown data set": Row({"gate.rules": [{"dataset": "x"}]}, ("gate", "data set x", "own")),
    "rule on an unknown gold": Row({"gate.rules": [{"gold": "x"}]}, ("gate", "gold x", "own")),
    "rule on a perturbation that is not measured": Row(
        {"gate.rules": [{"perturbation": "ocr"}]}, ("gate", "perturbation ocr", "robustness")
    ),
    "unknown perturbation": Row({"robustness.perturbations": ["shout"]}, ("robustness.perturbations[0]", "'shout'")),
    "no perturbations": Row({"robustness.perturbations": []}, ("robustness.perturbations", "a list of 1 or more")),
    "a seed that no table holds": Row({"robustness.seed": 2**64}, ("robustness.seed", "less than 4.29497e+09")),
    "a benchmark that cannot be on the Hub": Row(
        {"card.eval_results": [{"dataset": "own", "id": "../x", "task_id": "ner"}]},
        ("card.eval_results[0].id", "'../x'"),
    ),
    "mentions of an unknown type": Row(
        {"robustness.mentions": {"GPE": ["Suva"]}}, ("robustness.mentions", "GPE", "PER")
    ),
    "rule on an unknown metric": Row({"gate.rules": [{"metric": "f2"}]}, ("gate.rules[0].metric", "'f2'", "f1")),
    "rule with a negative margin": Row({"gate.rules": [{"margin": -1}]}, ("gate.rules[0].margin", "-1")),
    "an unknown tracker": Row({"track": "tensorboard"}, ("track:", "'tensorboard'", "mlflow")),
    "tracking to somewhere without a tracker": Row({"tracking_uri": "http://x"}, ("tracking_uri", "track: mlflow")),
    "a password in the tracker's address": Row(
        {"track": "mlflow", "tracking_uri": "http://me:secret@x"}, ("tracking_uri", "MLFLOW_TRACKING_PASSWORD")
    ),
    "gate without rules": Row({"gate.rules": []}, ("gate.rules",)),
    "negative margin": Row({"gate.margin": -0.5}, ("gate.margin", "-0.5")),
    "unknown choice of the gate": Row({"gate.on_undecided": "skip"}, ("gate.on_undecided", "'skip'", "fail")),
    "strict that contradicts": Row({"gate.strict": True, "gate.on_undecided": "warn"}, ("gate", "strict", "warn")),
    "unknown key of the gate": Row({"gate.champion": "x"}, ("gate.champion", "unknown key")),
    "promotion of a reference": Row(
        {"gate.promote": True, "gate.baseline": "tiny@champion"}, ("gate", "promote", "tiny@champion", "champion")
    ),
    "promotion on the reported split": Row(
        {"gate.promote": True, "gate.promote_on": "test"}, ("gate", "promote_on", "test", "promote_on_reported")
    ),
    "unknown runner": Row({"runner": "spark"}, ("runner", "'spark'", "threads, processes, dask or ray")),
    "Ray without an address": Row({"runner": "ray"}, ("runner", "ray://head:10001", "processes")),
    "a worker of threads": Row({"runner.worker": 2}, ("runner.worker", "workers")),
    "an address without Dask": Row(
        {"runner.address": "tcp://127.0.0.1:1"}, ("runner", "address", "threads", "kind dask or ray")
    ),
    "an address without a port": Row(
        {"runner.kind": "dask", "runner.address": "scheduler"}, ("runner.address", "scheduler", "tls://scheduler:8786")
    ),
    "workers of somebody else's cluster": Row(
        {"runner.kind": "dask", "runner.address": "tcp://127.0.0.1:1", "runner.workers": 2},
        ("runner", "workers", "tcp://127.0.0.1:1"),
    ),
    "an unreachable scheduler": Row(
        {"runner.kind": "dask", "runner.address": "tcp://127.0.0.1:9"}, ("runner.address", "tcp://127.0.0.1:9", "start")
    ),
    "no cells a task": Row({"runner.cells_per_task": 0}, ("runner.cells_per_task", "0", "1")),
    "no shards": Row({"benchmark.shards": 0}, ("benchmark.shards", "0", "1")),
    "no batch size": Row({"speed.batch_sizes": []}, ("speed.batch_sizes",)),
    "an unknown key of the sweep": Row({"speed.batch_size": 8}, ("speed.batch_size", "batch_sizes")),
    "unknown backend": Row({"speed.backends": ["tensorrt"]}, ("speed.backends[0]", "'tensorrt'", "eager")),
    "unknown workload": Row({"speed.workloads": ["predict"]}, ("speed.workloads[0]", "'predict'", "inference")),
    "a length in words": Row({"speed.sequence_lengths": ["long"]}, ("speed.sequence_lengths[0]", "'long'")),
    "no processes": Row({"speed.processes": 0}, ("speed.processes", "0", "1")),
}
CORPORA = {
    "a word without a tag": Row({}, ("broken.txt:2", "Berg"), broken=b"Anna B-PER\nBerg\n"),
    "an unknown scheme": Row({}, ("broken.txt:1", "X-PER"), broken=b"Anna X-PER\n"),
    "mixed schemes": Row({}, ("broken.txt:4", "BIOES"), broken=b"a B-X\nb I-X\n\nc S-X\n"),
    "an invalid tag to be refused": Row(
        {"datasets.0.invalid": "refuse"}, ("broken.txt:3", "begins with I-"), broken=b"a B-X\n\nb I-X\n"
    ),
    "another encoding": Row({}, ("broken.txt", "utf-8"), broken=b"Andr\xe9 B-PER\n"),
    "an empty split": Row({}, ("broken.txt",), broken=b"-DOCSTART- O\n\n"),
}
COMMANDS = {
    "unknown command": Row({}, ("bench",), ("bench",)),
    "unknown option": Row({}, ("--fast",), ("run", "--fast")),
    "missing configuration": Row({}, ("configuration", "nowhere.yaml"), ("run", "-c", "nowhere.yaml")),
    "an override that is none": Row({}, ("--set", "epochs"), ("run", "--set", "epochs")),
    "an override of nothing": Row({}, ("models.7.epochs", "7"), ("run", "--set", "models.7.epochs=1")),
    "unknown model": Row({}, ("'nobody'", "store"), ("benchmark", "nobody")),
    "missing folder": Row({}, ("nowhere", "folder"), ("benchmark", "./nowhere")),
    "short digest": Row({}, ("tiny@sha256:12",), ("artifacts", "show", "tiny@sha256:12")),
    "nothing to verify": Row({}, ("nobody",), ("artifacts", "verify", "nobody")),
    "pushing an empty folder": Row({}, ("config.json",), ("artifacts", "push", ".", "--name", "a")),
    "pushing from nowhere": Row({}, ("nowhere", "folder"), ("artifacts", "push", "./nowhere", "--name", "a")),
    "collecting what is new": Row({}, ("grace", "give more"), ("artifacts", "gc", "--grace", "0", "--delete")),
    "comparing with nobody": Row({}, ("'nobody'",), ("artifacts", "diff", "nobody", "tiny")),
    "an alias of nobody": Row({}, ("'nobody'",), ("artifacts", "alias", "nobody", "champion", "--expect", "none")),
    "the lineage of nobody": Row({}, ("'nobody'",), ("artifacts", "show", "nobody", "--lineage")),
    "pushing under a bad name": Row({}, ("a/b",), ("artifacts", "push", ".", "--name", "a/b")),
    "no results": Row({}, ("hold no scores",), ("results", "show")),
    "compacting predictions": Row({}, ("'predictions'", "runs"), ("results", "compact", "--table", "predictions")),
    "less than no grace": Row({}, ("--grace", "0"), ("results", "compact", "--grace", "-1")),
    "exporting nowhere": Row({}, ("--bundle", "--to"), ("results", "export")),
    "exporting twice": Row({}, ("one target",), ("results", "export", "--bundle", "a.zip", "--to", "a.csv")),
    "exporting no table": Row({}, ("--table",), ("results", "export", "--to", "a.csv")),
    "exporting an unknown table": Row(
        {}, ("'scores'", "metrics"), ("results", "export", "--to", "a.csv", "--table", "scores")
    ),
    "exporting an empty table": Row(
        {}, ("speed", "no rows"), ("results", "export", "--to", "a.csv", "--table", "speed")
    ),
    "exporting to an unknown kind": Row(
        {}, ("a.xlsx", ".parquet or .csv"), ("results", "export", "--to", "a.xlsx", "--table", "metrics")
    ),
    "a bundle of an unknown kind": Row({}, ("a.tar", ".zip"), ("results", "export", "--bundle", "a.tar")),
    "a bundle over a file": Row({}, ("old.zip", "--force"), ("results", "export", "--bundle", "old.zip")),
    "a bundle since no date": Row(
        {}, ("'yesterday'", "YYYY-MM-DD"), ("results", "export", "--bundle", "a.zip", "--since", "yesterday")
    ),
    "a bundle of nothing": Row({}, ("hold no rows", "benchmark"), ("results", "export", "--bundle", "a.zip")),
    "metrics of no file": Row({}, ("nowhere.py", "no such file"), ("benchmark", "--metrics", "nowhere.py")),
    "metrics of no file, scored": Row({}, ("nowhere.py", "no such file"), ("score", "--metrics", "nowhere.py")),
    "metrics without a metric": Row({}, ("own.py", "no metric"), ("score", "--metrics", "own.py")),
    "metrics that are no Python": Row({}, ("own.txt", "ends in .py"), ("score", "--metrics", "own.txt")),
    "metrics with an unknown tag": Row({}, ("'shape'", "builtin"), ("benchmark", "--tags", "builtin,shape")),
    "a report of nothing": Row({}, ("hold no scores", "benchmark"), ("report",)),
    "a report of an unknown run": Row({}, ("hold no scores",), ("report", "night-9")),
    "a report of no kind": Row({}, ("-o report.pdf", "does not end in .html"), ("report", "-o", "report.pdf")),
    "a report over a folder": Row({}, ("-o .", "is a folder"), ("report", "-o", ".")),
    "a report over something else": Row({}, ("-o mine.html", "not a report", "--force"), ("report", "-o", "mine.html")),
    "a benchmark with half a report": Row({"benchmark.report": "half"}, ("benchmark.report", "'half'"), ("benchmark",)),
    "scoring nothing": Row({}, ("hold no scores", "benchmark"), ("score",)),
    "scoring since no date": Row({}, ("'monday'", "YYYY-MM-DD"), ("score", "--since", "monday")),
    "scoring since tomorrow": Row({}, ("hold no scores since 2999-01-01",), ("score", "--since", "2999-01-01")),
    "an alias of nothing": Row({}, ("'nobody'",), ("artifacts", "alias", "nobody", "champion")),
    "an alias of a missing folder": Row({}, ("nowhere",), ("artifacts", "alias", "./nowhere", "champion")),
    "unknown protocol": Row({}, ("gopher",), ("artifacts", "ls", "--store", "gopher://x")),
    "sweeping an empty batch": Row(
        {}, ("speed.batch_sizes[1]", "0", "1 or more"), ("speed", "bert-base", "--batch-sizes", "8,0")
    ),
    "sweeping half a batch": Row({}, ("speed.batch_sizes[0]", "'1.5'"), ("speed", "bert-base", "--batch-sizes", "1.5")),
    "sweeping a huge batch": Row(
        {}, ("speed.batch_sizes[0]", "2147483648"), ("speed", "bert-base", "--batch-sizes", "2147483648")
    ),
    "sweeping an unknown workload": Row(
        {}, ("speed.workloads[0]", "'predict'", "training"), ("speed", "bert-base", "--workloads", "predict")
    ),
    "sweeping an unknown backend": Row(
        {}, ("speed.backends[1]", "'tpu'", "onnx"), ("speed", "bert-base", "--backends", "eager,tpu")
    ),
    "sweeping an unknown precision": Row(
        {}, ("speed.dtypes[0]", "'int4'", "bf16"), ("speed", "bert-base", "--dtypes", "int4")
    ),
    "sweeping nothing": Row({}, ("speed.backends",), ("speed", "bert-base", "--backends", ",")),
    "sweeping beyond the positions": Row(
        {},
        ("speed.sequence_lengths", "1024", "512", "bert-base"),
        ("speed", "bert-base", "--sequence-lengths", "8,1024"),
    ),
    "sweeping real lengths without a tokenizer": Row(
        {}, ("speed.sequence_lengths", "tokenizer"), ("speed", "bert-base", "--sequence-lengths", "real")
    ),
    "sweeping nobody": Row({}, ("'nobody'", "bert-base", "model_type"), ("speed", "nobody")),
    "sweeping a missing folder": Row({}, ("nowhere", "folder"), ("speed", "./nowhere")),
    "sweeping without a model type": Row(
        {}, ("has no model_type", "model_type: bert"), ("speed", "{num_hidden_layers: 6}")
    ),
    "sweeping an unknown setting": Row({}, ("no setting layers",), ("speed", "{model_type: bert, layers: 6}")),
    "sweeping what is no mapping": Row({}, ("is not YAML",), ("speed", "{model_type: bert")),
    "sweeping on an absent accelerator": Row(
        {"benchmark.device": "cuda:9"}, ("benchmark.device", "cuda:9"), ("speed", "bert-base")
    ),
    "sweeping into a missing folder": Row(
        {}, ("--csv", "nowhere/a.csv"), ("speed", "bert-base", "--csv", "nowhere/a.csv")
    ),
    "sweeping over a file": Row({}, ("--csv", "own.txt", "new"), ("speed", "bert-base", "--csv", "own.txt")),
    "sweeping into a file": Row(
        {}, ("--csv", "own.txt/out", "cannot be written"), ("speed", "bert-base", "--csv", "own.txt/out")
    ),
    "comparing with one side": Row({}, ("CANDIDATE",), ("compare", "tiny")),
    "comparing nobody": Row({}, ("'nobody'", "store"), ("compare", "nobody", "nobody#2030-01-01")),
    "comparing a run that is not said": Row({}, ("'tiny#'", "REF#RUN_ID"), ("compare", "tiny#", "tiny")),
    "comparing with a negative margin": Row({}, ("--margin",), ("compare", "a", "b", "--margin", "-1")),
    "rule on a slice of a mode without": Row(
        {"gate.rules": [{"slice": "unseen", "mode": "type"}]}, ("gate.rules[0]", "slices", "strict", "type")
    ),
    "predicting with nobody": Row({}, ("'nobody'", "store"), ("predict", "nobody", "Anna left")),
    "predicting nothing": Row({}, ("TEXT", "is empty"), ("predict", "tiny", " ")),
    "benchmarking no name": Row({}, ("the argument after benchmark", "is empty"), ("benchmark", "")),
    "showing a version of no name": Row({}, ("model '@latest'", "artifacts ls"), ("artifacts", "show", "@latest")),
    "inspecting no path": Row({}, ("the argument after inspect-data", "is empty"), ("inspect-data", "")),
    "exporting to no path": Row({}, ("the argument after --to", "is empty"), ("results", "export", "--to", "")),
    "predicting a missing file": Row({}, ("nowhere.txt", "no such file"), ("predict", "tiny", "nowhere.txt")),
    "predicting a folder": Row({}, ("is a folder",), ("predict", "tiny", ".")),
    "predicting a file without a word": Row({}, ("old.zip", "no word"), ("predict", "tiny", "old.zip")),
    "predicting in an unknown encoding": Row(
        {}, ("klingon", "utf-8"), ("predict", "tiny", "a b", "--encoding", "klingon")
    ),
    "predicting in an unknown format": Row({}, ("--format", "'xml'"), ("predict", "tiny", "a b", "--format", "xml")),
    "predicting bytes": Row({}, ("broken.txt:1", "0xff"), ("predict", "tiny", "broken.txt"), broken=b"a\xff"),
    "predicting a NUL byte": Row({}, ("broken.txt:1", "NUL"), ("predict", "tiny", "broken.txt"), broken=b"a\0"),
    "history without results": Row({}, ("hold no scores",), ("history", "tiny")),
    "history of a version": Row({}, ("'tiny@latest'", "write tiny"), ("history", "tiny@latest")),
    "history of a folder": Row({}, ("./tiny", "write tiny"), ("history", "./tiny")),
    "history since no date": Row({}, ("'monday'", "YYYY-MM-DD"), ("history", "tiny", "--since", "monday")),
    "inspecting a missing file": Row({}, ("nowhere.txt", "no such file"), ("inspect-data", "nowhere.txt")),
    "inspecting an empty file": Row({}, ("old.zip", "is empty"), ("inspect-data", "old.zip")),
    "inspecting what holds no tags": Row({}, ("own.py", "no column of tags"), ("inspect-data", "own.py")),
    "inspecting bytes": Row({}, ("broken.txt", "binary"), ("inspect-data", "broken.txt"), broken=b"\0\1"),
    "inspecting by nobody's tokenizer": Row({}, ("'nobody'",), ("inspect-data", "--model", "nobody")),
    "inspecting no corpus": Row({"datasets": [], "models": []}, ("datasets", "no corpus"), ("inspect-data",)),
    "inspecting a broken corpus": Row({}, ("broken.txt:2", "Berg"), ("inspect-data",), broken=b"Anna B-PER\nBerg\n"),
    "init over a configuration": Row({}, ("nerbench.yaml", "--force"), ("init", "own.txt")),
    "init into a folder": Row({}, ("-o .", "is a folder"), ("init", "own.txt", "-o", ".")),
    "init into a missing folder": Row({}, ("there is no folder nowhere",), ("init", "own.txt", "-o", "nowhere/a.yaml")),
    "init where nobody can write": Row({}, ("folder /proc", "cannot be written"), ("init", "own.txt", "-o", "/proc/a")),
    "init for nothing": Row({}, ("nowhere", "no such file"), ("init", "nowhere", "-o", "a.yaml")),
    "init for two alike": Row({}, ("names without train",), ("init", "own.txt", "own.py", "-o", "a.yaml")),
    "init for what is no data": Row({}, ("own.py", "no column of tags"), ("init", "own.py", "-o", "a.yaml")),
    "telling much and nothing": Row({}, ("-q and -v", "contradict"), ("artifacts", "ls", "-q", "-v")),
    "several baselines": Row({"gate.baseline": "*@champion"}, ("gate", "*@champion", "champion")),
}
ROWS = CONFIGURATIONS | CORPORA | COMMANDS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, whose content must not change."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NERBENCH_UNSET", raising=False)
    write_corpus(tmp_path / "own.txt", 1)
    (tmp_path / "old.zip").touch()
    (tmp_path / "mine.html").touch()
    (tmp_path / "own.py").write_text("answer = 42\n")
    return tmp_path


def prepare(row: Row, folder: Path) -> None:
    """Write the row's configuration, and its broken corpus."""
    data = yaml.safe_load(yaml.safe_dump(VALID))
    broken = "broken.py" if "metrics" in row.change else "broken.txt"
    if row.broken is not None:
        (folder / broken).write_bytes(row.broken)
        data["datasets"][0]["files"]["test"] = broken
    for dotted, value in row.change.items():
        *parents, last = dotted.split(".")
        at = data
        for key in parents:
            at = at[int(key)] if key.isdigit() else at.setdefault(key, {})
        at[last] = value
    (folder / "nerbench.yaml").write_text(yaml.safe_dump(data).replace("{own}", "own.txt").replace("{broken}", broken))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_wrong_request_is_one_line_and_writes_nothing(
    row: Row, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(row, folder)
    before = sorted(folder.rglob("*"))
    status = status_of(list(row.arguments))
    printed = capsys.readouterr()
    assert status == 2, printed.err
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    for part in row.says:
        assert part in printed.err
    assert sorted(folder.rglob("*")) == before


def test_there_are_enough_rows() -> None:
    assert len(ROWS) >= 45


@pytest.mark.parametrize("text", ["store: [", "store: a\nstore: b\n", "- a\n", "store: \tx: y\n"])
def test_a_broken_file_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (folder / "nerbench.yaml").write_text(text)
    assert status_of(["run"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("nerbench: nerbench.yaml")
    assert printed.count("\n") == 1
