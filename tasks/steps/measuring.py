"""Steps that take time and memory, in processes of their own."""

from collections.abc import Sequence

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.config import Config
from nerbench.tasks.corpora import refs
from nerbench.tasks.corpora.refs import CorpusRef
from nerbench.tasks.measuring import measurement, subjects, tables
from nerbench.tasks.measuring.measurement import Measurement
from nerbench.tasks.measuring.subjects import Subject
from nerbench.tasks.measuring.tables import Swept
from nerbench.tasks.runs import Run
from nerbench.tasks.steps.retrying import STORAGE
from nerbench.tasks.steps.slots import gpu_slots
from nerbench.tasks.steps.step import step


@step(task_run_name="measure {artifact.name}")
def measure(run: Run, artifact: ArtifactRef, corpus: CorpusRef, config: Config) -> Measurement:
    """Latency, load time and memory of one model, taken in a process of its own; never cached."""
    with gpu_slots(config.benchmark.device):
        words = refs.open_corpus(corpus)
        return measurement.measure_and_write(run, artifact, words, config.benchmark, config.speed.gate)


@step(task_run_name="find what is to be measured", **STORAGE)
def find_subjects(models: Sequence[str], store: str) -> list[Subject]:
    """The models that references, names of architectures and configurations mean now."""
    return subjects.find_subjects(models, store)


@step(task_run_name="sweep speed and memory")
def sweep(run: Run, config: Config, swept: Sequence[Subject]) -> Swept:
    """Speed and memory of models over a sweep's cells, taken in processes of their own; never cached."""
    with gpu_slots(config.benchmark.device):
        return tables.sweep_and_write(run, config, swept)
