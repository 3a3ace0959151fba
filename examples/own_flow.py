"""A Prefect flow of your own that calls nerbench's benchmark as a subflow, and decides by its numbers.

    python own_flow.py nerbench.yaml

It uses the Prefect API that is configured, such as that of `nerbench serve`.
"""

import sys
from typing import Any

from prefect import flow, task

from nerbench.flows.benchmark import benchmark


@task
def best_model(metrics: list[dict[str, Any]]) -> str:
    """The model with the highest strict F1 over all entities."""
    wanted = {"mode": "strict", "slice": "all", "label": "overall", "average": "micro", "metric": "f1"}
    scores = {row["model"]: row["value"] for row in metrics if wanted.items() <= row.items()}
    return max(scores, key=scores.__getitem__)


@flow(log_prints=True)
def choose(config: str = "nerbench.yaml") -> str:
    """Benchmark the stored models, and print the best one."""
    summary = benchmark(config=config)  # a subflow: its own page in Prefect, its own state
    best = best_model(list(summary["metrics"]))
    print(f"the best model is {best}")
    return best


if __name__ == "__main__":
    choose(*sys.argv[1:])
