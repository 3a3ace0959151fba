"""`nerbench artifacts`: list, inspect, verify and manage stored models."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.problems import report
from nerbench.flows.commands.artifact_views import (
    lineage_rows,
    print_artifact,
    print_differences,
    print_garbage,
    print_lineage,
    weights_row,
)
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.commands.publish import show_card
from nerbench.flows.commands.terminal import echo, print_json, print_table, say
from nerbench.flows.launch import quiet, told

if TYPE_CHECKING:
    from nerbench.artifacts.manifest import ArtifactRef
    from nerbench.tasks.config import Config

app = typer.Typer(help="List, show, verify, compare, pull and push stored models.", no_args_is_help=True)

Reference = Annotated[
    str, typer.Argument(metavar="REF", help="A stored model: name, name@alias, name@sha256:… or its URI.")
]
NewFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The target: a new or empty folder.")]
Source = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="A model saved with `save_pretrained`: a folder, its URL or hf://org/model."),
]
First = Annotated[str, typer.Argument(metavar="A", help="The first model.")]
Second = Annotated[str, typer.Argument(metavar="B", help="The second model.")]
Lineage = Annotated[
    bool, typer.Option("--lineage", help="Show the model's ancestors: the model it was trained from, and so on.")
]
Expect = Annotated[
    str | None,
    typer.Option(
        "--expect",
        metavar="DIGEST",
        help="Fail unless the alias currently points to this artifact; `none`: unless it is unset.",
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check/--no-check",
        help="Load the model first and store reference logits, which later loads are compared with.",
    ),
]
Delete = Annotated[
    bool, typer.Option("--delete", help="Delete the files; without this option, the command only lists them.")
]
Grace = Annotated[
    float,
    typer.Option(
        "--grace", metavar="DAYS", help="Keep files younger than this many days: a publication may still be using them."
    ),
]
OldVersions = Annotated[
    float | None,
    typer.Option(
        "--unaliased-older-than", metavar="DAYS", help="Also remove artifacts older than this that have no alias."
    ),
]
Alias = Annotated[
    str, typer.Argument(metavar="ALIAS", help="The alias, e.g. champion. `latest` is updated automatically.")
]
Card = Annotated[bool, typer.Option("--card", help="Show the model card instead, with the newest scores.")]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="The name to publish the model under.")]


@app.command()
@configured()
def ls(config: "Config", json: Json = False) -> None:
    """List all artifacts in the store, newest first."""
    from nerbench.artifacts.store import Store

    found = Store(config.store)
    summaries = found.list()
    if json:
        print_json({"artifacts": [summary.model_dump(mode="json") for summary in summaries]})
    elif not summaries:
        say(f"{found.url} holds no artifacts yet; `nerbench run` creates some")
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
def show(
    config: "Config", reference: Reference, *, lineage: Lineage = False, card: Card = False, json: Json = False
) -> None:
    """Show an artifact's manifest and weight headers, its lineage or its model card."""
    from nerbench.artifacts.references import load_manifest, resolve, tensors_of

    if card:
        show_card(config, reference, json)
        return
    for ref in resolve(reference, config.store):
        if lineage:
            _show_lineage(ref, config.store, json)
            continue
        try:
            manifest = load_manifest(ref)
            weights = weights_row(tensors_of(ref, manifest))
        except CorruptArtifactError as error:
            report(ref.uri, error)
            continue
        if json:
            ids = {"artifact_id": ref.artifact_id, "model_sha256": ref.model_sha256, "uri": ref.uri}
            print_json({**ids, "weights": weights, **manifest.model_dump(mode="json")})
        else:
            print_artifact(ref, manifest, weights)


def _show_lineage(ref: "ArtifactRef", store: str, json: bool) -> None:
    from nerbench.artifacts.lineage import lineage

    rows = lineage_rows(lineage(ref, store))
    if json:
        print_json({"lineage": rows})
    else:
        print_lineage(rows)


@app.command()
@configured()
def verify(config: "Config", reference: Reference, json: Json = False) -> None:
    """Read every stored byte of an artifact and compare digests. The exit status is 1 if a digest differs."""
    from nerbench.artifacts.references import verify as verify_all

    found = verify_all(reference, config.store)
    for verification in found:
        if json:
            print_json(verification.model_dump(mode="json"))
            continue
        echo(
            f"{verification.artifact_id[:12]}: {'ok' if verification.ok else 'NOT INTACT'}, {verification.files} files"
        )
        for problem in verification.problems:
            echo(f"  {problem}")
    if not all(verification.ok for verification in found):
        raise typer.Exit(1)


@app.command()
@configured()
def diff(config: "Config", first: First, second: Second, json: Json = False) -> None:
    """Show how two artifacts differ: files, labels, origin, training, environment and metrics."""
    from nerbench.artifacts.difference import differences
    from nerbench.artifacts.references import load_manifest, resolve_one

    refs = [resolve_one(reference, config.store) for reference in (first, second)]
    found = differences(load_manifest(refs[0]), load_manifest(refs[1]))
    same = refs[0].model_sha256 == refs[1].model_sha256
    names = (f"{refs[0].name}@{refs[0].artifact_id[:12]}", f"{refs[1].name}@{refs[1].artifact_id[:12]}")
    if json:
        ids = {"first": refs[0].artifact_id, "second": refs[1].artifact_id, "same_model": same}
        print_json({**ids, "differences": [one._asdict() for one in found]})
        return
    if found:
        print_differences(found, names)
    say("their files are the same" if same else f"{len(found)} differences")


@app.command()
@configured()
def alias(config: "Config", reference: Reference, alias: Alias, *, expect: Expect = None) -> None:
    """Point an alias of the model's name, e.g. `champion`, to this artifact."""
    from nerbench.artifacts.references import resolve_one
    from nerbench.artifacts.store import Expected, Store

    ref = resolve_one(reference, config.store)
    if ref.store is None:
        from nerbench.artifacts.errors import InputError

        raise InputError(f"model {reference!r}", "is not published, so it has no aliases", "publish it first")
    expected: str | Expected = Expected.ANYTHING
    if expect is not None:
        named = f"{ref.name}@sha256:{expect.removeprefix('sha256:')}"
        expected = Expected.NOTHING if expect == "none" else resolve_one(named, ref.store).artifact_id
    Store(ref.store).set_alias(ref.name, alias, ref.artifact_id, expected=expected)
    say(f"{ref.name}@{alias} is {ref.name}@sha256:{ref.artifact_id[:12]}")


@app.command()
@configured()
def pull(config: "Config", reference: Reference, folder: NewFolder) -> None:
    """Copy an artifact's files to a folder that `from_pretrained` can load, and verify them."""
    from nerbench.artifacts.references import pull as pull_one
    from nerbench.artifacts.references import resolve_one

    ref = resolve_one(reference, config.store)
    with told():
        pull_one(ref, folder)
    say(f"{ref.name}@sha256:{ref.artifact_id[:12]} is in {folder}")


@app.command()
@configured()
def push(config: "Config", source: Source, name: Name, *, check: Check = True, json: Json = False) -> None:
    """Publish a model that was saved with `save_pretrained`. Its labels must have names."""
    quiet()
    from nerbench.artifacts.store import Store, check_name
    from nerbench.tasks.inference.importing import import_model

    check_name("name", name)
    with told():
        ref = import_model(source, name, Store(config.store), check=check)
    if os.environ.get("PREFECT_API_URL"):  # there is a server, and it may have deployments that wait for this
        from nerbench.flows.events import announce

        announce(ref, "push")
    if json:
        print_json({"name": ref.name, "artifact_id": ref.artifact_id, "uri": ref.uri})
    else:
        say(f"published {ref.name}@sha256:{ref.artifact_id[:12]}: {ref.uri}")


@app.command()
@configured()
def gc(
    config: "Config",
    *,
    delete: Delete = False,
    grace: Grace = 7.0,
    unaliased_older_than: OldVersions = None,
    json: Json = False,
) -> None:
    """List or delete files that no artifact in the store needs: old blobs and unfinished writes."""
    from datetime import timedelta

    from nerbench.artifacts.garbage import find_foreign, find_garbage, remove_garbage
    from nerbench.artifacts.store import Store

    store = Store(config.store)
    unaliased = None if unaliased_older_than is None else timedelta(days=unaliased_older_than)
    found = find_garbage(store, grace=timedelta(days=grace), unaliased=unaliased)
    if delete:
        found = remove_garbage(store, found)
    foreign, size = find_foreign(store), sum(one.bytes for one in found)
    if json:
        garbage, others = ([one.model_dump(mode="json") for one in listed] for listed in (found, foreign))
        print_json({"deleted": delete, "bytes": size, "garbage": garbage, "foreign": others})
        return
    if found:
        print_garbage(found)
    for one in foreign:
        say(f"left alone: {one.path} is {one.problem}")
    files = f"{len(found)} {'file' if len(found) == 1 else 'files'}, {size / 1e6:.1f} MB"
    if delete:
        say(f"removed {files}")
    else:
        say(f"can be removed with --delete: {files}" if found else "nothing to remove")
