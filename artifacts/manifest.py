"""The manifest of an artifact, the digests that identify it, and the small reference that tasks exchange.

`artifact_id` is the sha256 of the manifest's canonical bytes. `model_sha256` covers weights, configuration and
tokenizer files alone, so that the same model published twice is one model.

An artifact without weights has another `kind`: a `tagger`, whose manifest identifies the code that makes its
predictions, or imported `predictions`, whose only file is PREDICTIONS_FILE.
"""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import InputError, UnsafeArtifactError
from nerbench.artifacts.storage.paths import relative_path

MAX_FILES = 200
MAX_BYTES = 64 << 30
MAX_MANIFEST_BYTES = 8 << 20
MANIFEST_FILE = "manifest.json"
PREDICTIONS_FILE = "predictions.parquet"
Kind = Literal["model", "tagger", "predictions"]
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_SAFE_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".codes")


def _safe_path(path: str) -> str:
    for part in relative_path(path).split("/"):
        if _DEVICE.fullmatch(part) or part != part.rstrip(". "):
            raise ValueError(f"{path!r} names another file, or a device, on Windows")
    if unicodedata.normalize("NFC", path) != path:
        raise ValueError(f"{path!r} is not in Unicode's normal form C")
    is_safe = PurePosixPath(path).suffix in _SAFE_SUFFIXES or path == PREDICTIONS_FILE
    if not is_safe or path == MANIFEST_FILE:
        raise ValueError(f"{path!r} is not a weights, configuration or tokenizer file")
    return path


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ArtifactName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
_Named = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$")
]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """An immutable record. It keeps unknown fields, perhaps of a later version, so that digests stay the same."""

    model_config = ConfigDict(frozen=True, extra="allow")


class FileEntry(Record):
    """One file of an artifact."""

    path: Annotated[str, AfterValidator(_safe_path)]
    """Relative, with `/`."""
    size: int = Field(ge=0)
    """Bytes."""
    sha256: Digest
    """The digest of its content."""


class BaseSource(Record):
    """The model that was fine-tuned."""

    name: str
    """Its Hub id, folder or artifact name."""
    revision: str | None = None
    """The commit of a model of the Hub."""
    sha256: str | None = None
    """Digest of its files; None if it is unknown."""


class NamedFile(Record):
    """A file that was read, for example one of a corpus."""

    name: str
    """Without its folder, which depends on the machine."""
    sha256: Digest
    """The digest of its content."""


class CorpusDigest(Record):
    """The words and tags of one split on which the model was trained or validated."""

    dataset: str
    """The data set's name."""
    split: str
    """`train`, `validation`, …"""
    words_sha256: str
    """The digest of the words with sentence and document boundaries."""
    gold_sha256: str
    """The digest of the tags."""
    files: tuple[NamedFile, ...] = ()
    """The files that were read, if it was read from files."""
    divided: str | None = None
    """The rule and the seed by which the split was taken from a larger source; None if it was read whole."""
    tokenizer: str | None = None
    """The tokenizer that split texts into words; None if the source has words."""


class CodeVersion(Record):
    """The code that trained the model."""

    commit: str | None = None
    """The commit of the repository; None if there was none."""
    dirty: bool | None = None
    """Whether the repository had uncommitted changes."""


class Provenance(Record):
    """Where a model comes from; every part may be missing."""

    created_at: AwareDatetime | None = None
    """When it was published."""
    base_model: BaseSource | None = None
    """The model that was fine-tuned."""
    corpora: tuple[CorpusDigest, ...] = ()
    """The data that it was trained and validated on."""
    training: dict[str, Any] = Field(default_factory=dict)
    """The training configuration as plain JSON values."""
    configuration_sha256: Digest | None = None
    """The digest of the canonical JSON of the model's and the data set's configuration."""
    run_id: str | None = None
    """The run that made it."""
    train_s: float | None = Field(default=None, allow_inf_nan=False)
    """Seconds of training, without loading and saving."""
    seed: int | None = None
    """The seed of initialisation, order and dropout."""
    metrics: dict[str, _Finite] = Field(default_factory=dict)
    """Scores on the validation split."""
    loss_curve: tuple[dict[str, int | _Finite], ...] = ()
    """One entry per logged step: `step`, `epoch`, `loss`, …"""
    code: CodeVersion = CodeVersion()
    """The code that trained it."""
    versions: dict[str, str] = Field(default_factory=dict)
    """The versions of Python and the libraries."""
    hardware: dict[str, Any] = Field(default_factory=dict)
    """Processor, memory, accelerator."""


class Golden(Record):
    """A model's outputs for a few fixed sentences, with which later loads are compared."""

    sentences: int
    """The version of the sentences."""
    limit: int = Field(ge=1)
    """Maximum number of tokens per sentence, including special tokens."""
    pieces: Annotated[tuple[tuple[int, ...], ...], Field(max_length=20)]
    """The token ids of every sentence."""
    logits: Annotated[tuple[tuple[tuple[_Finite, ...], ...], ...], Field(max_length=20)]
    """For every sentence, token and label, computed in fp32 on a CPU."""


class TaggerSource(Record):
    """The code that makes the predictions of a tagger."""

    adapter: str
    """Its name, e.g. `package.module:function`."""
    sha256: Digest | None = None
    """The digest of the adapter's source file; None if there is none."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The adapter's options as plain JSON values."""
    versions: dict[str, str] = Field(default_factory=dict)
    """The versions of Python and the packages that it uses."""
    files: tuple[NamedFile, ...] = ()
    """Files that its predictions depend on."""
    prompt_sha256: Digest | None = None
    """The digest of the prompt of a language model."""
    pinned: bool
    """Whether all of this identifies its predictions; false for an endpoint, which may change at any time."""


class ImportSource(NamedFile):
    """The file that predictions were imported from."""

    format: str
    """The format that it was read in: `conll`, `parquet`, …"""
    corpus: CorpusDigest
    """The words and the annotation that the predictions were imported for."""


class Manifest(Record):
    """Everything that is known about an artifact, except its weights."""

    format_version: Literal[1]
    """The version of this document's schema."""
    name: _Named
    """The name under which it is published; `org/model` for a model of the Hub."""
    kind: Kind = "model"
    """The kind of artifact; manifests of models leave it out."""
    files: Annotated[tuple[FileEntry, ...], Field(max_length=MAX_FILES)]
    """Sorted by path; none for a tagger."""
    labels: tuple[str, ...]
    """The tags that the model can predict, in the order of its outputs."""
    provenance: Provenance
    """Where it comes from."""
    golden: Golden | None = None
    """Its outputs for a few fixed sentences when it was published."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """New names, for scoring, of the entity types of a tagger or of imported predictions."""
    tagger: TaggerSource | None = None
    """For taggers only."""
    imported: ImportSource | None = None
    """For imported predictions only."""

    @model_validator(mode="after")
    def _has_the_parts_of_its_kind(self) -> Self:
        paths = [entry.path for entry in self.files]
        fits = {
            "model": bool(paths) and PREDICTIONS_FILE not in paths,
            "tagger": not paths,
            "predictions": paths == [PREDICTIONS_FILE],
        }
        sections = (self.tagger is not None, self.imported is not None)
        if not fits[self.kind] or sections != (self.kind == "tagger", self.kind == "predictions"):
            raise ValueError(f"the files or sections are not those of the kind {self.kind}")
        return self

    @model_validator(mode="after")
    def _files_fit_together(self) -> Self:
        folded = [entry.path.casefold() for entry in self.files]
        if len(set(folded)) < len(folded):
            raise ValueError("two paths of `files` are equal, apart from upper and lower case")
        if self.total_bytes > MAX_BYTES:
            raise ValueError(f"the files have {self.total_bytes} bytes, more than {MAX_BYTES}")
        return self

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an unchecked manifest. Raises UnsafeArtifactError."""
        remedy = "publish the model again"
        if len(data) > MAX_MANIFEST_BYTES:
            raise UnsafeArtifactError("manifest", f"has {len(data)} bytes, more than {MAX_MANIFEST_BYTES}", remedy)
        try:
            manifest = cls.model_validate_json(data)
            canonical = manifest.to_bytes() == data
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, ("manifest", *first["loc"])))
            raise UnsafeArtifactError(field, first["msg"].removeprefix("Value error, "), remedy) from error
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
        """The identity of its predictions: the sha256 of the files' paths and digests, or of a tagger's source.

        Name, date and origin do not count, nor does a label map.
        """
        if self.tagger is not None:
            return sha256_hex(canonical_json(self.tagger.model_dump(mode="json", exclude_unset=True)))
        return sha256_hex(canonical_json(sorted([entry.path, entry.sha256] for entry in self.files)))

    @property
    def total_bytes(self) -> int:
        """The total size of all files."""
        return sum(entry.size for entry in self.files)


class ArtifactKey(Record):
    """The identity of an artifact in a store."""

    name: str
    """The name under which it is published."""
    artifact_id: Digest
    """The sha256 of its manifest."""

    @property
    def exact_name(self) -> str:
        """A reference to exactly this version."""
        return f"{self.name}@sha256:{self.artifact_id[:12]}"


class ArtifactRef(ArtifactKey):
    """An artifact that was found: small enough to be passed between tasks, enough to load it anywhere."""

    model_sha256: Digest
    """The identity of its predictions: the digest of its files, or of a tagger's source."""
    uri: str
    """The location of its manifest or folder."""
    labels: tuple[str, ...]
    """The tags that the model can predict, in the order of its outputs."""
    store: str | None = None
    """URL of the store it is published in; None for a folder."""
    folder: str | None = None
    """Path, URL or `hf://org/model@commit` of a folder that is not published; None for a published one."""
    kind: Kind = "model"
    """The kind of artifact."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """As in its manifest."""
    is_pinned: bool = True
    """Whether it identifies its predictions, so that they may be kept and must not change; some taggers do not."""

    def require_weights(self) -> None:
        """Raise InputError for what cannot be loaded: taggers and imported predictions."""
        if self.kind != "model":
            what = {"tagger": "a tagger", "predictions": "imported predictions"}[self.kind]
            raise InputError(f"model {self.name}", f"is {what} without weights to load", "name a model with weights")
