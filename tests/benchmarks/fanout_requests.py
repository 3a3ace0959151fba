"""Counts the requests for an unchanged model with store and results on S3.

`python tests/benchmarks/fanout_requests.py [--models 10,20,40]` benchmarks so many models from cached predictions, a
first run and a second one, against a local S3 server (moto), without Prefect, and prints the requests a model by kind.
Comparing with earlier runs (`benchmark.check_reproducibility`) is counted apart: it reads the scores of every
model for each.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
LABELS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="10,20,40")
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]
    from s3_server import MOTO, running_s3

    print("models | run | requests a model")
    for n_models in map(int, parser.parse_args().models.split(",")):
        with tempfile.TemporaryDirectory() as folder, running_s3(MOTO._replace(environment={})) as url:
            os.environ |= {"OMP_NUM_THREADS": "1", "NERBENCH_CACHE": f"{folder}/cache"}
            count(Path(folder), url, n_models)


def count(folder: Path, url: str, n_models: int) -> None:
    """Print a line for each of two runs."""
    from fanout_speed import prepare, remembered, work

    from nerbench.tasks.scoring import score_predictions

    score_predictions.score_counts = remembered(score_predictions.score_counts)
    config = prepare(folder, n_models, LABELS, url)
    requests = watched()
    for number in (1, 2):
        requests.clear()
        work(config, number)
        kinds = ", ".join(f"{name} {n / n_models:.1f}" for name, n in requests.most_common())
        print(f"{n_models:6} | {number:3} | {requests.total() / n_models:.1f}: {kinds}", flush=True)


def watched() -> Counter[str]:
    """The number of requests from now on, by the operation's name."""
    from aiobotocore.client import AioBaseClient

    seen: Counter[str] = Counter()
    honest = AioBaseClient._make_api_call

    async def noted(self: AioBaseClient, operation_name: str, api_params: dict[str, object]) -> object:
        seen[operation_name] += 1
        return await honest(self, operation_name, api_params)

    AioBaseClient._make_api_call = noted
    return seen


if __name__ == "__main__":
    main()
