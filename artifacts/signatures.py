"""Signatures of stored artifacts, by Ed25519 (RFC 8032).

A signature covers the name and the artifact id: the digest of the manifest, which lists the digest of each file. It is
in the store, beside the manifest, in a file for each key:

models/<name>/signatures/<artifact_id>.<fingerprint>.json    {"public_key", "signature"}, both in hex

With `NERBENCH_TRUSTED_KEYS`, files with public keys, separated by commas, stored models that none of these keys has
signed are not loaded.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.manifest import ArtifactKey, Record
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.store_layout import signature_path, signed_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TRUSTED_KEYS = "NERBENCH_TRUSTED_KEYS"
MAX_SIGNATURE_BYTES = 1 << 12
_PURPOSE = b"nerbench artifact 1\n"
"""Begins the signed bytes, so that a signature for something else never counts."""


class Signature(Record):
    """The content of a signature's file."""

    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


def fingerprint(public_key: str) -> str:
    """The first 16 hex digits of the sha256 of a public key."""
    return sha256_hex(bytes.fromhex(public_key))[:16]


def sign(root: Root, key: ArtifactKey, private_key: Path) -> str:
    """Sign a published artifact with a private key in PEM form; returns the fingerprint of the key.

    Raises InputError for a file that has no Ed25519 private key without a password.
    """
    private = _private_key(private_key)
    made = Signature(
        public_key=private.public_key().public_bytes_raw().hex(), signature=private.sign(_signed(key)).hex()
    )
    with suppress(FileExistsError):  # Ed25519 is deterministic: an existing file is the same, or damaged
        root.create(signature_path(key, fingerprint(made.public_key)), canonical_json(made.model_dump()))
    if not is_signed(root, key, made.public_key):
        path = root.uri(signature_path(key, fingerprint(made.public_key)))
        raise CorruptArtifactError(f"the signature {path} is damaged; remove the file and sign again")
    return fingerprint(made.public_key)


def is_signed(root: Root, key: ArtifactKey, public_key: str) -> bool:
    """Whether a key, 32 bytes in hex, has signed an artifact, and the signature is valid."""
    try:
        data = root.read_record(signature_path(key, fingerprint(public_key)), MAX_SIGNATURE_BYTES)
    except FileNotFoundError:
        return False
    found = read_signature(key, data)
    return found is not None and found.public_key == public_key


def signature_problem(root: Root, key: ArtifactKey, path: Path) -> str | None:
    """What `verify --key` reports about an artifact that the key in a PEM file has not signed; None if it has.

    Raises InputError like `public_key`.
    """
    wanted = public_key(path)
    return None if is_signed(root, key, wanted) else f"has no valid signature of the key {fingerprint(wanted)}"


def read_signature(key: ArtifactKey, data: bytes) -> Signature | None:
    """The content of a signature's file; None if it is not a valid signature of the artifact."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        found = Signature.model_validate_json(data)
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.public_key))
        public.verify(bytes.fromhex(found.signature), _signed(key))
    except (ValidationError, ValueError, InvalidSignature):
        return None
    return found


def require_signature(root: Root, key: ArtifactKey) -> None:
    """Raise UnsafeArtifactError if `NERBENCH_TRUSTED_KEYS` is set and none of its keys has signed the artifact."""
    given = os.environ.get(TRUSTED_KEYS, "").strip()
    files = [part.strip() for part in given.split(",") if part.strip()]
    if given and not any(is_signed(root, key, public_key(Path(file))) for file in files):
        problem = f"sha256:{key.artifact_id[:12]} has no valid signature of a key in {TRUSTED_KEYS}"
        raise UnsafeArtifactError(f"model {key.name}", problem, "sign it with `nerbench artifacts sign`")


def public_key(path: Path) -> str:
    """The public key in a PEM file, in hex. Raises InputError for a file that has no Ed25519 public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_read(path))
    except ValueError as error:
        raise _no_key(path, "public", "openssl pkey -in private.pem -pubout -out public.pem") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "public", "openssl pkey -in private.pem -pubout -out public.pem")
    return key.public_bytes_raw().hex()


def is_signature(path: str, data: bytes) -> bool:
    """Whether this is a valid signature of the artifact that the path names, by the key that it names."""
    key = signed_key(path)
    found = read_signature(key, data) if key else None
    return key is not None and found is not None and path == signature_path(key, fingerprint(found.public_key))


def _signed(key: ArtifactKey) -> bytes:
    return _PURPOSE + f"{key.name}\n{key.artifact_id}".encode()


def _private_key(path: Path) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError):
        key = None  # without the original error, which might show a part of the file
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "private", "openssl genpkey -algorithm ed25519 -out private.pem")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({error.strerror})", "name the file of a key") from error


def _no_key(path: Path, kind: str, command: str) -> InputError:
    return InputError(str(path), f"is not an Ed25519 {kind} key in PEM form", f"make one: `{command}`")
