"""`nerbench serve`: a Prefect server and nerbench's deployments on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.flows.commands.options import configured
from nerbench.flows.launch import quiet
from nerbench.flows.progress_display import show_progress
from nerbench.flows.terminal import print_note

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

Port = Annotated[
    int, typer.Option("--port", min=1, max=65535, help="Port of the server, which listens on this machine only.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Maximum number of concurrent runs.")]
AlertUrl = Annotated[
    str | None,
    typer.Option(
        "--alert-url",
        metavar="URL",
        envvar="NERBENCH_ALERT_URL",
        help="Webhook to call when a run fails or a nightly run is missing. Prefer the environment variable: every "
        "user of this machine can see command-line arguments.",
    ),
]


@configured("datasets", "golds", "benchmark", "metrics", "slices", "gate")
def serve(config: "Config", *, port: Port = 4200, limit: Limit = 1, alert_url: AlertUrl = None) -> None:
    """Start a Prefect server and serve nightly and on-demand runs of this configuration until Ctrl-C."""
    quiet()
    from nerbench.tasks.data.demo import prepare_demo

    prepare_demo(config)
    with show_progress("starting Prefect"):
        from nerbench.flows.serve import serve as serve_deployments

        serve_deployments(config, port=port, limit=limit, alert_url=alert_url, tell=print_note)
