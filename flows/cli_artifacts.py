"""`nerbench artifacts`: what the store holds, and whether it is intact."""

from pathlib import Path
from typing import Annotated

import typer

from flows.options import Changes, ConfigFile, Json, StoreUrl, configuration
from flows.terminal import print_json, print_table, say

app = typer.Typer(help="List, show, verify, pull and push stored models.", no_args_is_help=True)

Reference = Annotated[str, typer.Argument(metavar="REF", help="name, name@alias, name@sha256:…, or a published URI.")]


@app.command()
def ls(config: ConfigFile = None, set_: Changes = None, store: StoreUrl = None, json: Json = False) -> None:
    """List every artifact of the store, the newest first."""
    from artifacts.store import Store

    found = Store(configuration(config, set_, store, None).store)
    summaries = found.list()
    if json:
        print_json({"artifacts": [summary.model_dump(mode="json") for summary in summaries]})
    elif not summaries:
        say(f"{found.url} holds no artifacts yet; `nerbench run` makes some")
    else:
        print_table(
            {
                "name": summary.name,
                "artifact": summary.artifact_id[:12],
                "created": summary.created_at,
                "MB": summary.bytes / 1e6,
                "aliases": summary.aliases,
            }
            for summary in summaries
        )


@app.command()
def show(
    reference: Reference, config: ConfigFile = None, set_: Changes = None, store: StoreUrl = None, json: Json = False
) -> None:
    """Show the manifest of an artifact: files, labels, corpora, training and environment."""
    from artifacts.references import load_manifest, resolve

    for ref in resolve(reference, configuration(config, set_, store, None).store):
        manifest = load_manifest(ref).model_dump(mode="json")
        if json:
            print_json({"artifact_id": ref.artifact_id, "model_sha256": ref.model_sha256, "uri": ref.uri, **manifest})
            continue
        origin = manifest["provenance"]
        origin.pop("loss_curve", None)
        facts = {"artifact": ref.artifact_id, "model": ref.model_sha256, "uri": ref.uri, "labels": manifest["labels"]}
        print_table([{"key": key, "value": value} for key, value in (facts | origin).items() if value], title=ref.name)
        print_table(manifest["files"])


@app.command()
def verify(
    reference: Reference, config: ConfigFile = None, set_: Changes = None, store: StoreUrl = None, json: Json = False
) -> None:
    """Read every stored byte of an artifact again and compare digests; exit status 1 if one differs."""
    from artifacts.references import verify as verify_all

    found = verify_all(reference, configuration(config, set_, store, None).store)
    for verification in found:
        if json:
            print_json(verification.model_dump(mode="json"))
            continue
        print(f"{verification.artifact_id[:12]}: {'ok' if verification.ok else 'NOT INTACT'}, {verification.files} files")
        for problem in verification.problems:
            print(f"  {problem}")
    if not all(verification.ok for verification in found):
        raise typer.Exit(1)


@app.command()
def pull(
    reference: Reference,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")],
    config: ConfigFile = None,
    set_: Changes = None,
    store: StoreUrl = None,
) -> None:
    """Copy an artifact's files, verified, to a folder that `from_pretrained` can load."""
    from artifacts.errors import InputError
    from artifacts.references import pull as pull_one
    from artifacts.references import resolve

    refs = resolve(reference, configuration(config, set_, store, None).store)
    if len(refs) > 1:
        raise InputError(f"model {reference!r}", f"means {len(refs)} artifacts", "name one of them")
    pull_one(refs[0], folder)
    say(f"{refs[0].name}@sha256:{refs[0].artifact_id[:12]} is in {folder}")


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `save_pretrained` wrote.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The name to publish it under.")],
    config: ConfigFile = None,
    set_: Changes = None,
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """Publish a folder made by `save_pretrained` elsewhere."""
    from artifacts.manifest import Provenance
    from artifacts.store import Store

    ref = Store(configuration(config, set_, store, None).store).publish(folder, name, Provenance())
    if json:
        print_json({"name": ref.name, "artifact_id": ref.artifact_id, "uri": ref.uri})
    else:
        say(f"published {ref.name}@sha256:{ref.artifact_id[:12]}: {ref.uri}")
