"""`nerbench artifacts`: what the store holds, and whether it is intact."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import Json, configured
from flows.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from artifacts.manifest import ArtifactRef
    from tasks.config import Config

app = typer.Typer(help="List, show, verify, pull and push stored models.", no_args_is_help=True)

Reference = Annotated[str, typer.Argument(metavar="REF", help="name, name@alias, name@sha256:…, or a published URI.")]
NewFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")]
SavedFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="What `save_pretrained` wrote.")]
Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="e.g. champion; `latest` moves by itself.")]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="The name to publish it under.")]


@app.command()
@configured()
def ls(config: "Config", json: Json = False) -> None:
    """List every artifact of the store, the newest first."""
    from artifacts.store import Store

    found = Store(config.store)
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
@configured()
def show(config: "Config", reference: Reference, json: Json = False) -> None:
    """Show the manifest of an artifact: files, labels, corpora, training and environment."""
    from artifacts.references import load_manifest, resolve

    for ref in resolve(reference, config.store):
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
@configured()
def verify(config: "Config", reference: Reference, json: Json = False) -> None:
    """Read every stored byte of an artifact again and compare digests; exit status 1 if one differs."""
    from artifacts.references import verify as verify_all

    found = verify_all(reference, config.store)
    for verification in found:
        if json:
            print_json(verification.model_dump(mode="json"))
            continue
        print(
            f"{verification.artifact_id[:12]}: {'ok' if verification.ok else 'NOT INTACT'}, {verification.files} files"
        )
        for problem in verification.problems:
            print(f"  {problem}")
    if not all(verification.ok for verification in found):
        raise typer.Exit(1)


@app.command()
@configured()
def alias(config: "Config", reference: Reference, alias: Alias) -> None:
    """Let an alias of a model's name mean this artifact, e.g. `champion`."""
    from artifacts.store import Store

    ref = _single(reference, config.store)
    if ref.store is None:
        from artifacts.errors import InputError

        raise InputError(f"model {reference!r}", "is not published, so it has no aliases", "publish it first")
    Store(ref.store).set_alias(ref.name, alias, ref.artifact_id)
    say(f"{ref.name}@{alias} is {ref.name}@sha256:{ref.artifact_id[:12]}")


@app.command()
@configured()
def pull(config: "Config", reference: Reference, folder: NewFolder) -> None:
    """Copy an artifact's files, verified, to a folder that `from_pretrained` can load."""
    from artifacts.references import pull as pull_one

    ref = _single(reference, config.store)
    pull_one(ref, folder)
    say(f"{ref.name}@sha256:{ref.artifact_id[:12]} is in {folder}")


@app.command()
@configured()
def push(config: "Config", folder: SavedFolder, name: Name, json: Json = False) -> None:
    """Publish a folder made by `save_pretrained` elsewhere."""
    from artifacts.manifest import Provenance
    from artifacts.store import Store

    ref = Store(config.store).publish(folder, name, Provenance())
    if json:
        print_json({"name": ref.name, "artifact_id": ref.artifact_id, "uri": ref.uri})
    else:
        say(f"published {ref.name}@sha256:{ref.artifact_id[:12]}: {ref.uri}")


def _single(reference: str, store: str) -> "ArtifactRef":
    from artifacts.errors import InputError
    from artifacts.references import resolve

    refs = resolve(reference, store)
    if len(refs) > 1:
        raise InputError(f"model {reference!r}", f"means {len(refs)} artifacts", "name one of them")
    return refs[0]
