"""`nerbench serve`: a Prefect server and our deployments on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.flows.commands.launch import quiet, told
from nerbench.flows.commands.options import configured
from nerbench.flows.commands.terminal import say

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the server listens, on this machine only.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Runs that may work at the same time.")]
AlertUrl = Annotated[
    str | None,
    typer.Option(
        "--alert-url",
        metavar="URL",
        envvar="NERBENCH_ALERT_URL",
        help="Post here when a run fails or a night is missing; an argument is shown to every user of the machine, "
        "the variable is not.",
    ),
]


@configured("datasets", "golds", "benchmark", "metrics", "slices", "gate")
def serve(config: "Config", *, port: Port = 4200, limit: Limit = 1, alert_url: AlertUrl = None) -> None:
    """Serve nightly and on-demand runs of this configuration, with a Prefect server, until Ctrl-C."""
    quiet()
    from nerbench.tasks.corpora.demo import prepare_demo

    prepare_demo(config)
    with told("starting Prefect"):
        from nerbench.flows.serving import serve as serve_deployments

        serve_deployments(config, port=port, limit=limit, alert_url=alert_url, tell=say)
