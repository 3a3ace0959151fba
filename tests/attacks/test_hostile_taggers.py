"""A hostile tagger: its output costs bounded memory and time, and results in one harmless line."""

import json
import re
import tracemalloc
from pathlib import Path

import pytest
from tiny_taggers import impatient, tiny_tagger

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.manifest import Manifest, Provenance, TaggerSource
from nerbench.artifacts.store import Store
from nerbench.flows.request import configuration
from nerbench.tasks.config import Config, TaggerConfig
from nerbench.tasks.inference.tagger_evaluation import started_tagger
from nerbench.tasks.inference.tagger_process import running_tagger

pytestmark = pytest.mark.attacks
SENTENCES = [["Anna", "left", "Oslo"]]
PIPE = """
def reply(data):
    for pipe in range(3, 20):  # the copy of its standard output
        try:
            if os.readlink(f'/proc/self/fd/{pipe}').startswith('pipe:'):
                os.write(pipe, data)
        except OSError:
            pass

def message(data, size=None):
    reply((len(data) if size is None else size).to_bytes(4, 'big') + data)
"""
"""Code for an adapter that writes to the reply pipe directly."""
ATTACKS = {
    "a huge message": ("message(b'{}', 2**32 - 1)", "announces a reply of 4294967295 bytes, .* at most are allowed"),
    "an allowed number that is too large": ("message(b'1' * 5000)", "announces a reply of"),
    "deep nesting": ("message(b'[' * 4096)", "invalid JSON"),
    "nesting in an object": ("message(b'{\"tags\":' * 600)", "invalid JSON"),
    "a number of thousands of digits": ("message(b'{\"tags\": ' + b'9' * 4500 + b'}')", "reply of|invalid JSON"),
    "NaN": ('message(b\'{"spans": [[0, 1, "PER", NaN]]}\')', "invalid JSON"),
    "infinity": ('message(b\'{"spans": [[0, 1, "PER", 1e999]]}\')', r"not a \[start, end, type, score\]"),
    "truth for a number": ('message(b\'{"spans": [[false, true, "PER", null]]}\')', r"not a \[start, end"),
    "huge positions": ('message(b\'{"spans": [[0, 99999999999999999999, "PER", null]]}\')', r"not a \[start, end"),
    "no object": ("message(b'[]')", "not a message"),
    "tags that are no list": ('message(b\'{"tags": {"0": "O"}}\')', "neither tags nor spans"),
    "invalid UTF-8": ("message(bytes([0xff] * 10))", "invalid JSON"),
    "half a character": ('message(b\'{"tags": ["B-\\\\ud800", "O", "O"]}\')', "neither O nor B-TYPE"),
    "a control character": ('message(b\'{"tags": ["B-\\\\u001b[31m", "O", "O"]}\')', "neither O nor B-TYPE"),
    "an error that moves the cursor": (
        'message(b\'{"error": "\\\\u001b[2J\\\\u202e\\\\nnext"}\')',
        r"\\x1b\[2J\\u202e next",
    ),
    "plain junk": ("reply(b'Loading model ... 100%')", "announces a reply of"),
    "the end, and still alive": (
        "os.close(5)\nos.close(4)\nos.close(3)\ntime.sleep(1000)",
        "closes its pipe|no reply|ended",
    ),
}


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERBENCH_CODE", str(tmp_path))


def attack(config: TaggerConfig, within_s: float = 240) -> str:
    """The error of a tagger that must reply within some seconds once it is loaded."""
    with pytest.raises(RunFailedError) as caught, running_tagger(config) as tagger:
        list(impatient(tagger, within_s).predict(SENTENCES))
    return str(caught.value)


@pytest.mark.parametrize("name", ATTACKS)
def test_hostile_replies(tmp_path: Path, name: str) -> None:
    written, message = ATTACKS[name]
    within_s = 4 if name == "the end, and still alive" else 240
    said = attack(tiny_tagger(tmp_path, f"{PIPE}\n{written}\ntime.sleep(1000)\nyield"), within_s)
    assert said.isprintable()
    assert len(said) < 1500
    assert re.search(message, said), said


def test_slow_bytes_end_at_the_deadline(tmp_path: Path) -> None:
    drip = f"{PIPE}\nreply((4000).to_bytes(4, 'big'))\nwhile True:\n    reply(b' ')\n    time.sleep(0.01)\nyield"
    assert "no reply in time" in attack(tiny_tagger(tmp_path, drip), within_s=3)


def test_printed_output_takes_no_memory(tmp_path: Path) -> None:
    flood = "for _ in range(2000):\n    sys.stderr.write('x' * (1 << 15))\nraise ValueError('done')\nyield"
    tracemalloc.start()
    said = attack(tiny_tagger(tmp_path, flood))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "fails (ValueError: done)" in said
    assert len(said) < 1500
    assert peak < 8 << 20


def test_a_tagger_inherits_no_file_descriptors(tmp_path: Path) -> None:
    listed = tmp_path / "listed"
    links = "[os.readlink(f'/proc/self/fd/{n}') for n in range(200) if os.path.islink(f'/proc/self/fd/{n}')]"
    listing = f"open({str(listed)!r}, 'w').write(json.dumps({links}))"
    with (tmp_path / "secret").open("w") as held, running_tagger(tiny_tagger(tmp_path, init=listing)):
        assert held.name not in json.loads(listed.read_text())


def test_parameters_of_a_run_name_no_tagger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tagger starts an interpreter by its path, and may send words to any server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "of a worker")
    monkeypatch.delenv("NERBENCH_DATA", raising=False)
    named = {"name": "mine", "tagger": "nerbench.taggers:spacy", "python": "/bin/true"}
    config = Config.model_validate({"models": [named], "store": "./a", "results": "./b"})
    with pytest.raises(Exception, match="models: mine: is a tagger that the worker's own file does not name"):
        configuration(config, ("models",))
    (tmp_path / "nerbench.yaml").write_text(f"models: [{json.dumps(named)}]\n")
    assert configuration(config, ("models",)).taggers == config.taggers
    changed = Config.model_validate({"models": [named | {"python": "/bin/false"}], "store": "./a", "results": "./b"})
    with pytest.raises(Exception, match="the worker's own file does not name"):
        configuration(changed, ("models",))


def test_parameters_of_a_run_name_no_interpreter_of_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "of a worker")
    monkeypatch.delenv("NERBENCH_DATA", raising=False)
    named = {"name": "mine", "format": "spacy", "files": {"test": "a.spacy"}, "python": "/bin/true"}
    config = Config.model_validate({"datasets": [named], "store": "./a", "results": "./b"})
    with pytest.raises(Exception, match="datasets: mine: python: /bin/true is an interpreter that the worker"):
        configuration(config, ("models",))
    (tmp_path / "a.spacy").touch()
    (tmp_path / "nerbench.yaml").write_text(f"datasets: [{json.dumps(named)}]\n")
    assert configuration(config, ("models",)).datasets[0].python == "/bin/true"


def test_the_manifest_of_a_store_starts_nothing(tmp_path: Path) -> None:
    """Only the configuration determines code and interpreter."""
    source = TaggerSource(adapter=f"{tmp_path}/mine.py:Mine", options={"python": "/bin/true"}, pinned=True)
    manifest = Manifest(
        format_version=1,
        name="mine",
        kind="tagger",
        files=(),
        labels=("O",),
        provenance=Provenance(),
        tagger=source,
    )
    artifact = Store(str(tmp_path / "store")).publish_weightless(manifest)
    tiny_tagger(tmp_path, init=f"open({str(tmp_path / 'started')!r}, 'w')")
    with pytest.raises(InputError, match="model mine: is a tagger that the configuration does not name; add"):
        started_tagger(artifact, None).__enter__()
    assert not (tmp_path / "started").exists()
