"""Benchmark functions of the user's own: over every model, and over none."""

from collections.abc import Sequence

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.recording import Ledger
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config
from nerbench.tasks.corpora.refs import CorpusRef
from nerbench.tasks.custom.benchmarking import functions_over


def run_functions(
    ledger: Ledger, config: Config, artifacts: Sequence[ArtifactRef], corpora: Sequence[list[CorpusRef]]
) -> None:
    """Call what the files of `metrics:` define, those that take no model first, one model after another."""
    with ledger.guard("functions of your own"):
        annotations = [corpus for of_dataset in corpora for corpus in of_dataset]
        for artifact in (None, *artifacts):
            if not functions_over(config, artifact):
                continue
            predicted = ledger.predictions(artifact) if artifact else []
            if rows := tasks.run_functions(ledger.run, config, artifact, annotations, predicted):
                ledger.note({"custom": tasks.write_custom(ledger.run, artifact, rows)})
                ledger.custom += rows
