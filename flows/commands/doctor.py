"""`nerbench doctor`: check the machine, or audit the gates."""

from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.artifacts.errors import InputError
from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.terminal import print_json, print_table

if TYPE_CHECKING:
    from nerbench.tasks.config import Config


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
    from nerbench.flows.doctor_checks import diagnose

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
    from nerbench.flows.doctor_checks import audit

    found = audit(config, reference)
    if json:
        print_json(found)
    else:
        where = f"the first {found['sentences']} sentences of {found['dataset']}, {found['split']}"
        rows = (
            {name: one[name] for name in ("fault", "gate", "outcome")}
            | {"message": shorten(one["said"], 120, placeholder=" …")}
            for one in found["faults"]
        )
        print_table(rows, title=f"{found['model']} on {where}")
    if not found["ok"]:
        raise typer.Exit(1)
