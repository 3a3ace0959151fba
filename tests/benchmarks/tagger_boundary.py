"""Measures the overhead of a tagger's process: `python tests/benchmarks/tagger_boundary.py [conll file]`.

A tagger that does nothing tags every sentence, in one call and one by one.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from nerbench.tasks.config import TaggerConfig
from nerbench.tasks.inference.tagger_process import RunningTagger, running_tagger

NOTHING = """
class Nothing:
    def predict(self, sentences):
        return ([] for _ in sentences)
"""
PASSES = 7


def seconds(tagger: RunningTagger, sentences: Sequence[Sequence[str]]) -> float:
    """The duration of one call."""
    started = time.perf_counter()
    for _ in tagger.predict(sentences):
        pass
    return time.perf_counter() - started


def main(path: str) -> None:
    blocks = Path(path).read_text(encoding="utf-8").split("\n\n")
    found = [[line.split()[0] for line in block.splitlines() if line and "-DOCSTART-" not in line] for block in blocks]
    sentences = [words for words in found if words]
    words = sum(map(len, sentences))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NERBENCH_CODE"] = folder
        Path(folder, "nothing.py").write_text(NOTHING)
        started = time.perf_counter()
        with running_tagger(TaggerConfig(name="nothing", tagger=f"{folder}/nothing.py:Nothing")) as tagger:
            print(f"start: {time.perf_counter() - started:.2f} s")
            least = min(seconds(tagger, sentences) for _ in range(PASSES))
            print(f"together: {1e3 * least / len(sentences):.3f} ms a sentence, {words / least:,.0f} words/s")
            alone = statistics.median(seconds(tagger, [one]) for one in sentences[:1000])
            print(f"one by one: {1e3 * alone:.3f} ms a sentence (median)")
            beyond = (tagger.peak_rss_bytes() or 0) - (tagger.ready.baseline_rss_bytes or 0)
            print(f"memory: {beyond / 1e6:.1f} MB beyond the interpreter")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/conllpp/test.txt")
