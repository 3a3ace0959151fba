import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_models import SENTENCES

RUN = """
import sys
from nerbench.flows import cli

status = cli.status_of(sys.argv[1:])
print("IMPORTED", *({"torch", "transformers", "tokenizers", "datasets", "evaluate"} & {*sys.modules}), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.slow
def test_a_benchmark_that_infers_nothing_imports_no_torch(tiny_model_folder: Path, tmp_path: Path) -> None:
    sentences = ["\n".join(f"{word} O" for word in sentence) for sentence in SENTENCES]
    (tmp_path / "test.txt").write_text("\n\n".join(["Ada B-PER\nOslo B-LOC", *sentences]) + "\n")
    settings = {
        "results": str(tmp_path / "results"),
        "datasets": [{"name": "own", "files": {"test": str(tmp_path / "test.txt")}}],
        "benchmark": {"canary": 0, "speed": False, "device": "cpu"},
    }
    (tmp_path / "nerbench.yaml").write_text(yaml.safe_dump(settings))
    command = ["benchmark", str(tiny_model_folder), "-c", str(tmp_path / "nerbench.yaml"), "-q"]
    imported = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", RUN, *command], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        imported.append(done.stderr.rpartition("IMPORTED")[2].split())
    assert "torch" in imported[0]
    assert imported[1] == []
