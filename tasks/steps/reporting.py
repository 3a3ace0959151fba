"""Steps at a run's end: its row, its page, what Prefect and MLflow show of it."""

from collections.abc import Sequence

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.config import Config
from nerbench.tasks.report import announcement
from nerbench.tasks.report.announcement import Announcement
from nerbench.tasks.results import rows
from nerbench.tasks.runs import Run
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.steps.retrying import STORAGE
from nerbench.tasks.steps.step import step
from nerbench.tasks.tracking import mlflow_runs


@step(task_run_name="record the run", **STORAGE)
def write_run(run: Run, config: Config, totals: Row, outcome: str) -> str:
    """Write the `runs` row."""
    return rows.write_run(run, config, totals, outcome)


@step(task_run_name="show the results")
def show(key: str, table: list[Row]) -> None:
    """Show a table beside the run in Prefect."""
    create_table_artifact(key=key, table=table)


@step(task_run_name="log to {config.track}")
def track(run: Run, config: Config, artifacts: Sequence[ArtifactRef], tables: dict[str, list[str]]) -> None:
    """Log what the run found in MLflow too."""
    mlflow_runs.log_run(run, config, artifacts, tables)


@step(task_run_name="write the report of {run.run_id}", **STORAGE)
def write_report(run: Run, config: Config) -> Announcement:
    """Write the page about a run and its data beside its tables."""
    return announcement.publish(run, config)


@step(task_run_name="show the report")
def show_report(announced: Announcement) -> None:
    """Show verdict and key numbers beside the run in Prefect, with a link to the page."""
    create_markdown_artifact(key="nerbench-report", markdown=announced.markdown)
    create_link_artifact(key="nerbench-report-page", link=announced.link, link_text="the whole report")
