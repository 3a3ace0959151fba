"""Which run this is, and what it is called."""

from datetime import UTC

from prefect.runtime import deployment, flow_run

from tasks.config import Config
from tasks.runs import Run, utc_now


def current_run(results: str) -> Run:
    """The logical run. A deployment's is named by its scheduled time, so that a rerun of a night is the same run."""
    scheduled = flow_run.scheduled_start_time.astimezone(UTC)
    name = f"{deployment.name}@{scheduled.isoformat(timespec='microseconds')}" if deployment.name else str(flow_run.id)
    return Run(
        run_id=name,
        flow=flow_run.flow_name,
        date=scheduled.date().isoformat(),
        started_at=utc_now(),
        attempt=flow_run.run_count or 1,
        results=results,
    )


def training_name() -> str:
    """`train minilm-l6, minilm-l3`."""
    return f"train {', '.join(model.name for model in _config().models)}"


def benchmark_name() -> str:
    """`benchmark minilm-l6@latest on conllpp`."""
    config = _config()
    models = flow_run.parameters.get("models") or config.benchmark.models
    return f"benchmark {', '.join(models)} on {', '.join(dataset.name for dataset in config.datasets)}"


def pipeline_name() -> str:
    """`train minilm-l6, minilm-l3 and benchmark on conllpp`."""
    datasets = ", ".join(dataset.name for dataset in _config().datasets)
    return f"{training_name()} and benchmark on {datasets}"


def _config() -> Config:
    return Config.model_validate(flow_run.parameters["config"])
