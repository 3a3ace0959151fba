"""`nerbench doctor`: check the machine, or audit the gates."""

import time
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.artifacts.errors import InputError
from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.terminal import print_json, print_note, print_table

if TYPE_CHECKING:
    from nerbench.tasks.config import Config
    from nerbench.tasks.doctor import Check


Audited = Annotated[
    str | None,
    typer.Argument(
        metavar="[REF]",
        help="With --audit: the model to audit. Default: the newest one in the store.",
        autocompletion=complete_reference,
    ),
]


Audit = Annotated[
    bool, typer.Option("--audit", help="Plant faults in copies of the data and check that the gates detect them.")
]


@configured()
def doctor(config: "Config", reference: Audited = None, *, audit: Audit = False, json: Json = False) -> None:
    """Check Python, versions, device, store and disk, and print a remedy for each failure; or audit the gates."""
    if audit:
        show_audit(config, reference, json)
        return
    if reference:
        raise InputError(f"model {reference!r}", "has no effect on a check of the machine", "add --audit")
    found = diagnose(config)
    if json:
        print_json({"ok": all(check["ok"] for check in found), "checks": found})
    else:
        print_table({**check, "ok": state(check)} for check in found)
    if not all(check["ok"] for check in found):
        raise typer.Exit(1)


def state(check: dict[str, Any]) -> str:
    """`ok`, `FAILED`, or `warning` if a check passed and has a remedy."""
    if not check["ok"]:
        return "FAILED"
    return "warning" if check["remedy"] else "ok"


def show_audit(config: "Config", reference: str | None, json: bool) -> None:
    """Print the result of every gate; exit with status 1 if a gate missed its fault."""
    found = audited(config, reference)
    if json:
        print_json(found)
    else:
        where = f"the first {found['sentences']} sentences of {found['dataset']}, {found['split']}"
        rows = (
            {name: one[name] for name in ("fault", "gate", "outcome")}
            | {"message": shorten(one["message"], 120, placeholder=" …")}
            for one in found["faults"]
        )
        print_table(rows, title=f"{found['model']} on {where}")
    if not found["ok"]:
        raise typer.Exit(1)


def diagnose(config: "Config") -> list[dict[str, Any]]:
    """Whether the machine has what a run needs, including a Prefect server; in the order in which a run needs it."""
    from nerbench.tasks.doctor import checks

    return [check._asdict() for check in (*checks(config.store, config.results), _prefect())]


def audited(config: "Config", reference: str | None) -> dict[str, Any]:
    """Whether every gate detects the fault planted for it: the output of `doctor --audit --json`.

    `reference` names one model; by default, the newest one in the store. The audit needs no Prefect server.
    """
    from nerbench.flows.launch import quiet

    quiet()
    from nerbench.tasks.audit import audit as audits
    from nerbench.tasks.data.demo import prepare_demo

    artifact = audits.find_model(config.store, reference)
    prepare_demo(config)
    found = audits.audit(config, artifact, print_note)
    about = {name: value for name, value in found._asdict().items() if name != "outcomes"}
    return {"ok": found.ok, **about, "faults": [outcome._asdict() for outcome in found.outcomes]}


def _prefect() -> "Check":
    """Whether Prefect answers: the configured server, or the one that a run would start."""
    from nerbench.flows.launch import quiet

    quiet()
    from prefect.client.orchestration import get_client

    from nerbench.flows import server
    from nerbench.tasks.doctor import Check

    started = time.perf_counter()
    remedy = "free memory on this machine, or disk space in PREFECT_HOME, and try again"
    if server.is_configured():
        remedy = "start the server at PREFECT_API_URL, or unset it so that nerbench starts one"
    try:
        server.start()
        with server.ready(), get_client(sync_client=True) as client:
            version = client.api_version()
    except Exception as error:
        return Check("prefect server", False, f"{type(error).__name__}: {error}", remedy)
    return Check("prefect server", True, f"version {version} answered in {time.perf_counter() - started:.1f} s", "")
