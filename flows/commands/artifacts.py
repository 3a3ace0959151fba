"""`nerbench artifacts`: list, inspect, verify and manage stored models."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.artifacts.errors import CorruptArtifactError, InputError, report
from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.commands.publish import show_card
from nerbench.flows.launch import quiet
from nerbench.flows.progress_display import show_progress
from nerbench.flows.python_gc import importing
from nerbench.flows.terminal import echo, print_json, print_note, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nerbench.artifacts.garbage import Garbage
    from nerbench.artifacts.lineage import Generation
    from nerbench.artifacts.manifest import ArtifactRef, Manifest
    from nerbench.artifacts.manifest_diff import Difference
    from nerbench.artifacts.model_folder import Tensor
    from nerbench.tasks.config import Config


Row = dict[str, Any]
_TOO_LONG = ("loss_curve",)
_SUMMARY = (
    *("artifact", "created_at", "labels", "parameters", "base_model.name", "training.base.model_type", "corpora"),
    *("training.epochs", "seed", "training.precision", "training.device", "train_s", "metrics.validation_f1"),
    *("code.commit", "code.dirty", "versions.torch", "versions.transformers", "hardware.cpu", "hardware.gpu"),
)


def weights_row(tensors: "Sequence[Tensor]") -> Row:
    """Tensor and parameter counts from the headers of the weight files."""
    parameters: Counter[str] = Counter()
    for tensor in tensors:
        parameters[tensor.dtype] += tensor.parameters
    return {"tensors": len(tensors), "parameters": parameters.total(), "parameters_by_dtype": dict(parameters)}


def print_artifact(ref: "ArtifactRef", manifest: "Manifest", weights: Row, *, everything: bool) -> None:
    """Identity, provenance, weights and files: the most wanted facts in 80 columns, or all."""
    origin = manifest.provenance.model_dump(mode="json")
    facts = {"artifact": ref.artifact_id, "model": ref.model_sha256, "uri": ref.uri, "labels": manifest.labels}
    kept = manifest.model_dump(mode="json", include={"kind", "label_map", "tagger", "imported"}, exclude_unset=True)
    facts |= kept | (weights if ref.kind == "model" else {})
    known = facts | {key: value for key, value in origin.items() if key not in _TOO_LONG}
    plain = dict(_plain(known | {"corpora": [_corpus(one) for one in origin["corpora"]]}))
    files = [entry.model_dump(mode="json") for entry in manifest.files]
    if everything:
        _print_facts(ref.name, plain)
        print_table(files)
        return
    shown = [key for key in plain if key in _SUMMARY or key.partition(".")[0] in kept]
    _print_facts(ref.name, {key: _short(plain[key]) for key in shown})
    print_table({"path": one["path"], "bytes": one["size"]} for one in files)
    print_note(f"--all shows all {len(plain)} keys, and the digests of the files")


def lineage_rows(generations: "Iterable[Generation]") -> list[Row]:
    """One row per model as plain JSON, with null for unknown values."""
    return [_generation(one) for one in generations]


def _generation(one: "Generation") -> Row:
    row: Row = {"name": one.name, "artifact_id": one.artifact_id, "revision": one.revision}
    if one.manifest is None:
        return row
    known = one.manifest.provenance.model_dump(mode="json")
    base = known["base_model"] or {}
    fields = ("created_at", "run_id", "seed", "train_s", "configuration_sha256", "corpora", "code", "hardware")
    return row | {"base_model": base.get("name")} | {field: known[field] for field in fields}


def print_lineage(rows: "Iterable[Row]") -> None:
    """Print one model after the other, each followed by the model it was trained from."""
    for row in rows:
        shown = row | {"corpora": [_corpus(corpus) for corpus in row.get("corpora", ())]}
        _print_facts(row["name"], {key: _short(value) for key, value in _plain(shown)})


def _print_facts(title: str, facts: Row) -> None:
    """Known facts, one per line; as text, so that nothing is aligned as a column of numbers."""
    known = {key: value for key, value in facts.items() if value not in (None, "", (), [], {})}
    rows = (
        {"key": key, "value": value if isinstance(value, list | tuple) else str(value)} for key, value in known.items()
    )
    print_table(rows, title=title)


def _plain(row: Row) -> "Iterable[tuple[str, Any]]":
    """Mappings within a row as dotted keys, at any depth."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _plain({f"{key}.{name}": one for name, one in value.items()})
        elif key != "name":
            yield key, value


def _corpus(corpus: Row) -> str:
    files = "".join(f" {file['name']}" for file in corpus["files"])
    divided = f", divided: {corpus['divided']}" if corpus.get("divided") else ""
    divided += f", tokenizer: {corpus['tokenizer']}" if corpus.get("tokenizer") else ""
    return f"{corpus['dataset']} {corpus['split']}{files} (words {corpus['words_sha256'][:12]}{divided})"


def print_differences(found: "Iterable[Difference]", names: tuple[str, str]) -> None:
    """One row per difference, with both models side by side."""
    print_table(
        {"": one.section, "key": one.key, names[0]: _short(one.first), names[1]: _short(one.second)} for one in found
    )


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    return repr(value) if isinstance(value, float) else value


def print_garbage(found: "Iterable[Garbage]") -> None:
    """One row per file."""
    print_table({"kind": one.kind, "path": one.path, "MB": one.bytes / 1e6, "written": one.modified} for one in found)


app = typer.Typer(help="List, show, verify, compare, pull and push stored models.", no_args_is_help=True)

Reference = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="A stored model: name, name@alias, name@sha256:… or its URI.",
        autocompletion=complete_reference,
    ),
]
NewFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The target: a new or empty folder.")]
Source = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="A model saved with `save_pretrained`: a folder, its URL or hf://org/model."),
]
First = Annotated[str, typer.Argument(metavar="A", help="The first model.", autocompletion=complete_reference)]
Second = Annotated[str, typer.Argument(metavar="B", help="The second model.", autocompletion=complete_reference)]
All = Annotated[bool, typer.Option("--all", help="Show every key of the manifest, and the digests of the files.")]
PublicKey = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Also require a signature by this public key, a PEM file.")
]
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
        "--grace",
        metavar="DAYS",
        min=0,
        max=36500,
        help="Keep files younger than this many days: a publication may still be using them.",
    ),
]
OldVersions = Annotated[
    float | None,
    typer.Option(
        "--unaliased-older-than",
        metavar="DAYS",
        min=0,
        max=36500,
        help="Also remove artifacts older than this that have no alias.",
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
        print_note(f"{found.url} holds no artifacts yet; `nerbench run` creates some")
    else:
        all_models = all(summary.kind == "model" for summary in summaries)
        print_table(
            {
                "name": summary.name,
                "artifact": summary.artifact_id[:12],
                **({} if all_models else {"kind": summary.kind}),
                "created": summary.created_at,
                "MB": summary.bytes / 1e6,
                "aliases": summary.aliases,
            }
            for summary in summaries
        )


@app.command()
@configured()
def show(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    reference: Reference,
    *,
    everything: All = False,
    lineage: Lineage = False,
    card: Card = False,
    json: Json = False,
) -> None:
    """Show a summary of an artifact's manifest and weight headers, its lineage or its model card."""
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
            print_artifact(ref, manifest, weights, everything=everything)


def _show_lineage(ref: "ArtifactRef", store: str, json: bool) -> None:
    from nerbench.artifacts.lineage import lineage

    rows = lineage_rows(lineage(ref, store))
    if json:
        print_json({"lineage": rows})
    else:
        print_lineage(rows)


@app.command()
@configured()
def verify(config: "Config", reference: Reference, *, key: PublicKey = None, json: Json = False) -> None:
    """Read every stored byte of an artifact and compare digests. The exit status is 1 if a digest differs, or if the
    artifact is not signed with the `--key`."""
    from nerbench.artifacts.references import verify as verify_all

    found = verify_all(reference, config.store, key)
    for verification in found:
        if json:
            print_json(verification.model_dump(mode="json"))
            continue
        echo(f"{verification.artifact_id[:12]}: {'ok' if verification.ok else 'FAILED'}, {verification.files} files")
        for problem in verification.problems:
            echo(f"  {problem}")
    if not all(verification.ok for verification in found):
        raise typer.Exit(1)


@app.command()
@configured()
def diff(config: "Config", first: First, second: Second, json: Json = False) -> None:
    """Show how two artifacts differ: files, labels, origin, training, environment and metrics."""
    from nerbench.artifacts.manifest_diff import differences
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
    print_note("the two models have the same files" if same else f"differences: {len(found)}")


@app.command()
@configured()
def alias(config: "Config", reference: Reference, alias: Alias, *, expect: Expect = None) -> None:
    """Point an alias of the model's name, e.g. `champion`, to this artifact."""
    from nerbench.artifacts.aliases import Expected
    from nerbench.artifacts.references import resolve_one
    from nerbench.artifacts.store import Store

    ref = resolve_one(reference, config.store)
    if ref.store is None:
        raise InputError(f"model {reference!r}", "is not published, so it has no aliases", "publish it first")
    expected: str | Expected = Expected.ANYTHING
    if expect is not None:
        named = f"{ref.name}@sha256:{expect.removeprefix('sha256:')}"
        expected = Expected.NOTHING if expect == "none" else resolve_one(named, ref.store).artifact_id
    Store(ref.store).set_alias(ref.name, alias, ref.artifact_id, expected=expected)
    print_note(f"{ref.name}@{alias} is {ref.exact_name}")


@app.command()
@configured()
def pull(config: "Config", reference: Reference, folder: NewFolder) -> None:
    """Copy an artifact's files to a folder that `from_pretrained` can load, and verify them."""
    from nerbench.artifacts.references import pull as pull_one
    from nerbench.artifacts.references import resolve_one

    ref = resolve_one(reference, config.store)
    with show_progress():
        pull_one(ref, folder)
    print_note(f"{ref.exact_name} is in {folder}")


@app.command()
@configured()
def push(config: "Config", source: Source, name: Name, *, check: Check = True, json: Json = False) -> None:
    """Publish a model that was saved with `save_pretrained`. Its labels must have names."""
    quiet()
    from nerbench.artifacts.store import Store, check_name
    from nerbench.tasks.inference.import_model import import_model

    check_name("name", name)
    with show_progress(), importing():
        ref = import_model(source, name, Store(config.store), check=check)
    if os.environ.get("PREFECT_API_URL"):  # a server exists, and its deployments may wait for this
        from nerbench.flows.run_context import announce

        announce(ref, "push")
    if json:
        print_json({"name": ref.name, "artifact_id": ref.artifact_id, "uri": ref.uri})
    else:
        print_note(f"published {ref.exact_name}: {ref.uri}")


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
        print_note(f"left alone: {one.path} is {one.problem}")
    files = f"{len(found)} {'file' if len(found) == 1 else 'files'}, {size / 1e6:.1f} MB"
    if delete:
        print_note(f"removed {files}")
    else:
        print_note(f"can be removed with --delete: {files}" if found else "nothing to remove")
