"""`nerbench artifacts sign`: sign a stored artifact, so that others can require it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.flows.commands.artifacts import Reference, app
from nerbench.flows.commands.options import configured
from nerbench.flows.terminal import print_note

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

PrivateKey = Annotated[
    Path, typer.Option("--key", metavar="FILE", help="The Ed25519 private key, a PEM file without a password.")
]


@app.command()
@configured()
def sign(config: "Config", reference: Reference, private_key: PrivateKey) -> None:
    """Sign an artifact with an Ed25519 key. With NERBENCH_TRUSTED_KEYS, unsigned models are not loaded."""
    from nerbench.artifacts.errors import InputError
    from nerbench.artifacts.references import resolve_one
    from nerbench.artifacts.signatures import sign as sign_artifact
    from nerbench.artifacts.storage.open_root import open_root

    ref = resolve_one(reference, config.store)
    if ref.store is None:
        raise InputError(f"model {reference!r}", "is not in a store", "publish it first, `nerbench artifacts push`")
    by = sign_artifact(open_root(ref.store), ref, private_key)
    print_note(f"signed {ref.exact_name} with the key {by}")
