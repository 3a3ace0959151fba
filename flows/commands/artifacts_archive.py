"""`nerbench artifacts export` and `import`: artifacts in one verified archive."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.artifacts.errors import InputError
from nerbench.flows.commands.artifacts import app
from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.progress_display import show_progress
from nerbench.flows.terminal import print_json, print_note

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

NewFile = Annotated[Path, typer.Argument(metavar="FILE", help="The new archive, a tar file.")]
Archive = Annotated[
    Path, typer.Argument(metavar="FILE", help="An archive that `nerbench artifacts export FILE` wrote.")
]
References = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="REF",
        help="The artifacts. Default: all artifacts of the store.",
        autocompletion=complete_reference,
    ),
]


@app.command(name="export")
@configured()
def export_archive(config: "Config", file: NewFile, references: References = None, *, json: Json = False) -> None:
    """Write artifacts to one verified archive, as a backup or to copy them to another store."""
    from nerbench.artifacts.archive import write_archive
    from nerbench.artifacts.manifest import ArtifactKey
    from nerbench.artifacts.references import resolve
    from nerbench.artifacts.store import Store

    store = Store(config.store)
    if references:
        refs = [ref for reference in references for ref in resolve(reference, config.store)]
        if foreign := [ref.name for ref in refs if ref.store != store.url]:
            raise InputError(f"model {foreign[0]}", f"is not in the store {store.url}", "publish it there first")
        keys = list({ref.artifact_id: ArtifactKey(name=ref.name, artifact_id=ref.artifact_id) for ref in refs}.values())
    else:
        keys = [ArtifactKey(name=name, artifact_id=one) for name, ids in store.keys().items() for one in ids]
    with show_progress():
        index = write_archive(store, keys, file)
    if json:
        print_json({"file": str(file), "bytes": file.stat().st_size, **index.model_dump(mode="json")})
    else:
        print_note(f"artifacts in {file}: {len(keys)}, {file.stat().st_size / 1e6:,.1f} MB")


@app.command(name="import")
@configured()
def import_archive(config: "Config", file: Archive, *, json: Json = False) -> None:
    """Publish the artifacts of an archive with their ids. Existing aliases do not move."""
    from nerbench.artifacts.archive import read_archive
    from nerbench.artifacts.store import Store

    store = Store(config.store)
    with show_progress():
        found = read_archive(store, file)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    print_note(f"artifacts added to {store.url}: {len(found.added)}; already there: {len(found.present)}")
    for alias in found.kept_aliases:
        print_note(f"{alias} points to another artifact in the store and does not move")
