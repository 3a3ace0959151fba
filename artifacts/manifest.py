"""What an artifact is: its manifest, the digests that identify it, and the small reference that is passed around.

`artifact_id` is the sha256 of the manifest's canonical bytes. `model_sha256` covers weights, configuration and
tokenizer files alone, so that the same model published twice is one model.
"""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import UnsafeArtifactError
from nerbench.artifacts.storage.paths import relative_path

MAX_FILES = 200
MAX_BYTES = 64 << 30
MAX_MANIFEST_BYTES = 8 << 20
MANIFEST_FILE = "manifest.json"
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_SAFE_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".codes")


def _safe_path(path: str) -> str:
    for part in relative_path(path).split("/"):
        if _DEVICE.fullmatch(part) or part != part.rstrip(". "):
            raise ValueError(f"{path!r} is another file, or none, on Windows")
    if unicodedata.normalize("NFC", path) != path:
        raise ValueError(f"{path!r} is not in Unicode's normal form C")
    if PurePosixPath(path).suffix not in _SAFE_SUFFIXES or path == MANIFEST_FILE:
        raise ValueError(f"{path!r} is not a weights, configuration or tokenizer file")
    return path


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ArtifactName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
_Named = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$")
]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """Immutable, with a docstring under each field; what a later version added is kept, so that digests stay true."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)


class FileEntry(Record):
    """One file of an artifact."""

    path: Annotated[str, AfterValidator(_safe_path)]
    """Relative, with `/`."""
    size: int = Field(ge=0)
    """Bytes."""
    sha256: Digest
    """Of its content."""


class BaseSource(Record):
    """The model that was fine-tuned."""

    name: str
    """Its Hub id, folder or artifact name."""
    revision: str | None = None
    """The commit, for one of the Hub."""
    sha256: str | None = None
    """Digest of its files, where known."""


class CorpusFile(Record):
    """A file that a split was read from."""

    name: str
    """Without its folder, which says more of a machine than of the corpus."""
    sha256: Digest
    """Of its content."""


class CorpusDigest(Record):
    """The words and tags of one split that the model has seen, or was chosen by."""

    dataset: str
    """The data set's name."""
    split: str
    """`train`, `validation`, …"""
    words_sha256: str
    """Of the words with sentence and document boundaries."""
    gold_sha256: str
    """Of the tags."""
    files: tuple[CorpusFile, ...] = ()
    """What was read, where it was files."""
    divided: str | None = None
    """The rule and the seed by which the split was taken from a larger source; None if it was read whole."""


class CodeVersion(Record):
    """The code that trained the model."""

    commit: str | None = None
    """Of the repository, if there was one."""
    dirty: bool | None = None
    """Whether it had uncommitted changes."""


class Provenance(Record):
    """Where a model comes from; every part may be missing."""

    created_at: AwareDatetime | None = None
    """When it was published."""
    base_model: BaseSource | None = None
    """What was fine-tuned."""
    corpora: tuple[CorpusDigest, ...] = ()
    """What it was trained and validated on."""
    training: dict[str, Any] = Field(default_factory=dict)
    """The training configuration as plain JSON values."""
    configuration_sha256: Digest | None = None
    """Of the canonical JSON of the model's and the data set's configuration."""
    run_id: str | None = None
    """The run that made it."""
    train_s: float | None = Field(default=None, allow_inf_nan=False)
    """Seconds that its training took, without loading and saving."""
    seed: int | None = None
    """Of initialisation, order and dropout."""
    metrics: dict[str, _Finite] = Field(default_factory=dict)
    """On the validation split."""
    loss_curve: tuple[dict[str, int | _Finite], ...] = ()
    """One entry an observation: `step`, `epoch`, `loss`, …"""
    code: CodeVersion = CodeVersion()
    """What trained it."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of Python and the libraries."""
    hardware: dict[str, Any] = Field(default_factory=dict)
    """Processor, memory, accelerator."""


class Golden(Record):
    """A model's outputs for a few fixed sentences, with which later loads are compared."""

    sentences: int
    """Which sentences: their version."""
    limit: int = Field(ge=1)
    """Pieces that a sentence was cut to, special tokens included."""
    pieces: Annotated[tuple[tuple[int, ...], ...], Field(max_length=20)]
    """The token ids of every sentence."""
    logits: Annotated[tuple[tuple[tuple[_Finite, ...], ...], ...], Field(max_length=20)]
    """For every sentence, token and label, computed in fp32 on a CPU."""


class Manifest(Record):
    """Everything known about an artifact but its weights."""

    format_version: Literal[1]
    """Of this document."""
    name: _Named
    """What the model is published as; `org/model` for one of the Hub."""
    files: Annotated[tuple[FileEntry, ...], Field(min_length=1, max_length=MAX_FILES)]
    """In the order of their paths."""
    labels: tuple[str, ...]
    """The tags the model can give, by their number."""
    provenance: Provenance
    """Where it comes from."""
    golden: Golden | None = None
    """What it said when it was published."""

    @model_validator(mode="after")
    def _files_fit_together(self) -> Self:
        folded = [entry.path.casefold() for entry in self.files]
        if len(set(folded)) < len(folded):
            raise ValueError("two paths of `files` differ by case at most")
        if self.total_bytes > MAX_BYTES:
            raise ValueError(f"the files have {self.total_bytes} bytes, more than {MAX_BYTES}")
        return self

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a manifest that nothing is known about yet; raises UnsafeArtifactError."""
        remedy = "publish the model again"
        if len(data) > MAX_MANIFEST_BYTES:
            raise UnsafeArtifactError("manifest", f"has {len(data)} bytes, more than {MAX_MANIFEST_BYTES}", remedy)
        try:
            manifest = cls.model_validate_json(data)
            canonical = manifest.to_bytes() == data
        except ValueError as error:
            raise UnsafeArtifactError("manifest", str(error), remedy) from error
        if not canonical:
            raise UnsafeArtifactError("manifest", "is not canonical JSON", remedy)
        return manifest

    def to_bytes(self) -> bytes:
        """Canonical JSON of the fields that were given, so that fields added later do not change old digests."""
        return canonical_json(self.model_dump(mode="json", exclude_unset=True))

    @property
    def artifact_id(self) -> str:
        """The sha256 of the manifest."""
        return sha256_hex(self.to_bytes())

    @property
    def model_sha256(self) -> str:
        """The sha256 of the files' paths and digests: name, date and origin do not count."""
        return sha256_hex(canonical_json(sorted([entry.path, entry.sha256] for entry in self.files)))

    @property
    def total_bytes(self) -> int:
        """Of all files together."""
        return sum(entry.size for entry in self.files)


class ArtifactKey(Record):
    """What tells an artifact from the others of a store."""

    name: str
    """The name it is published under."""
    artifact_id: Digest
    """The sha256 of its manifest."""


class ArtifactRef(ArtifactKey):
    """An artifact that was found: small enough to be passed between tasks, enough to load it anywhere."""

    model_sha256: Digest
    """Of its files alone."""
    uri: str
    """Where its manifest is, or the folder's location."""
    labels: tuple[str, ...]
    """The tags the model can give, by their number."""
    store: str | None = None
    """URL of the store it is published in; None for a folder."""
    folder: str | None = None
    """Path, URL or `hf://org/model@commit` of a folder that is not published; None for a published one."""
