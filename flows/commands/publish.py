"""`nerbench publish`: upload a stored model and its card to the Hugging Face Hub."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nerbench.flows.commands.options import Json, Reference, configured
from nerbench.flows.terminal import echo, print_json, print_note, print_table

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

To = Annotated[
    str, typer.Option("--to", metavar="ORG/NAME", help="The target repository; created if it does not exist.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the files and the card without contacting the Hub.")]
Who = Annotated[
    Literal["private", "public"] | None,
    typer.Option(
        "--visibility",
        help="Make the repository private or public, even if it exists already. Default for a new one: private.",
    ),
]
Message = Annotated[str | None, typer.Option("--message", metavar="TEXT", help="The first line of the commit message.")]


@configured()
def publish(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    reference: Reference,
    *,
    to: To,
    dry_run: DryRun = False,
    visibility: Who = None,
    message: Message = None,
    json: Json = False,
) -> None:
    """Publish a stored model and its card on the Hugging Face Hub, in one commit; private by default.

    The token is that of `hf auth login`, or HF_TOKEN; `hf auth whoami` shows its owner.
    """
    from nerbench.flows.launch import prefect_running, quiet, start_prefect

    (quiet if dry_run else start_prefect)()
    from nerbench.tasks.config.loading import absolute_reference

    reference = absolute_reference(reference)
    if dry_run:
        _rehearse(config, reference, to, json)
        return
    from nerbench.artifacts.references import resolve_one
    from nerbench.tasks.publishing.hub import check_request

    check_request(to)
    resolve_one(reference, config.store).require_weights()
    from nerbench.flows.publish import publish as publish_flow

    with prefect_running():
        done = publish_flow(reference, to, config=config, visibility=visibility, message=message)
    _note(done["missing"])
    if json:
        print_json(done)
        return
    echo(f"{done['url']} {done['commit']}")
    what = (
        f"published {len(done['files'])} files" if done["changed"] else "the same content is there already: no commit"
    )
    print_note(f"{what}; {'private' if done['private'] else 'public'}; hf://{to}@{done['commit']}")


def show_card(config: "Config", reference: str, json: bool) -> None:
    """Print a model's card as Markdown on stdout, and its missing fields on stderr."""
    from nerbench.artifacts.references import resolve_one
    from nerbench.tasks.publishing.card import render_card

    artifact = resolve_one(reference, config.store)
    card = render_card(artifact, config)
    _note(card.missing)
    if json:
        print_json({"artifact_id": artifact.artifact_id, "card": card.text, "missing": card.missing})
    else:
        echo(card.text)


def _rehearse(config: "Config", reference: str, to: str, json: bool) -> None:
    from nerbench.artifacts.references import load_manifest, resolve_one
    from nerbench.tasks.publishing.card import render_card
    from nerbench.tasks.publishing.hub import EVAL_RESULTS, README, check_repository

    check_repository(to)
    artifact = resolve_one(reference, config.store)
    card = render_card(artifact, config, to)
    files = [{"path": entry.path, "size": entry.size} for entry in load_manifest(artifact).files]
    texts = {README: card.text, EVAL_RESULTS: card.eval_results}
    files += [{"path": path, "size": len(text.encode())} for path, text in texts.items() if text]
    _note(card.missing)
    if json:
        print_json({"repository": to, "files": files, "card": card.text, "missing": card.missing})
        return
    print_table(files, title=f"to {to}, in one commit")
    for text in filter(None, texts.values()):
        echo(f"\n{text}")


def _note(missing: list[str]) -> None:
    for what in missing:
        print_note(f"the card lacks its {what}")
