"""Compares an evaluation by two processes of one thread each with one process of one thread.

    python tests/benchmarks/processes_speed.py --model FOLDER [--sentences 8192] [--rounds 2]

`FOLDER` has a token classifier. Evaluates made-up, distinct sentences (`corpus_memory.py`) and prints for each
number of processes the median seconds from the start of the evaluation to its stored predictions, and those of
inference in the slowest process. The difference is the start of the processes, which load torch and the model.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

from corpus_memory import run_alone, write_corpus

PROCESSES = (1, 2)


def evaluate(folder: Path, processes: int) -> dict[str, float | str]:
    """Evaluate the corpus of a folder with its model."""
    from nerbench.artifacts.references import resolve_one
    from nerbench.tasks.config import Config
    from nerbench.tasks.data.corpus_refs import describe, open_corpus
    from nerbench.tasks.inference.evaluation_cache import carry_out, plan

    config = Config.model_validate(
        {
            "store": str(folder / "store"),
            "results": tempfile.mkdtemp(dir=folder),
            "datasets": [{"name": "made-up", "files": {"test": str(folder / "test.txt")}}],
            "benchmark": {"device": "cpu", "processes": processes},
        }
    )
    artifact, (ref,) = resolve_one("model", config.store), describe(config, config.datasets[0])
    planned = plan(artifact, ref.words_sha256, config.benchmark, config.results)
    started = time.perf_counter()
    record = carry_out(planned, artifact, open_corpus(ref), config.results, ref=ref)
    return {
        "seconds": time.perf_counter() - started,
        "infer_s": record.evaluate_s,
        "digest": record.predictions_digest,
    }


def child(folder: Path, processes: int) -> dict[str, float | str]:
    """The result of `evaluate` in a process with one thread."""
    return run_alone(__file__, "--folder", str(folder), "--processes", str(processes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sentences", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        print(json.dumps(evaluate(arguments.folder, arguments.processes)))
        return
    with tempfile.TemporaryDirectory() as name:
        from nerbench.artifacts.manifest import Provenance
        from nerbench.artifacts.store import Store

        folder = Path(name)
        write_corpus(folder / "test.txt", arguments.sentences)
        Store(str(folder / "store")).publish(arguments.model, "model", Provenance())
        rounds = [{processes: child(folder, processes) for processes in PROCESSES} for _ in range(arguments.rounds)]
    assert len({one["digest"] for found in rounds for one in found.values()}) == 1, "the tags differ"
    print("| processes | seconds | × | inference, s | × |\n| ---: | ---: | ---: | ---: | ---: |")
    for processes in PROCESSES:
        cells = [f"{processes}"]
        for column in ("seconds", "infer_s"):
            ratio = median(float(found[1][column]) / float(found[processes][column]) for found in rounds)
            cells += [f"{median(float(found[processes][column]) for found in rounds):.1f}", f"{ratio:.2f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
