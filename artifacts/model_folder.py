"""Checks of a model folder: weights as safetensors, a configuration that runs no code, a tokenizer.

The header of a safetensors file gives its tensors without reading their bytes.

The format: 8 bytes with the length of the header, the header as a JSON object, then the tensors without gaps
(https://github.com/huggingface/safetensors#format).
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from nerbench.artifacts.errors import CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.manifest import MAX_BYTES, FileEntry, Golden, Manifest, Provenance
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root

MAX_HEADER_BYTES = 16 << 20
MAX_DIMENSIONS = 16
MAX_SIZE = 1 << 62
"""Upper bound of a dimension or a position. No file has more, and products of long numbers take minutes."""
_LENGTH_BYTES = 8
_GIT_LFS = b"version "
"""The first bytes of the text file that a clone without Git LFS has in place of a large file."""
_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Bits per number, by type."""

Part = Callable[[int, int], bytes]
"""Reads the bytes from one position up to another."""


class Tensor(NamedTuple):
    """One tensor of a file."""

    name: str
    dtype: str
    """As safetensors calls it: `F32`, `BF16`, …"""
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of its values."""
        return prod(self.shape)


def read_tensors(part: Part, size: int, where: str) -> list[Tensor]:
    """The tensors of a safetensors file of `size` bytes, called `where` in messages.

    Raises UnsafeArtifactError if the header is too long or does not match the file.
    """
    beginning = part(0, _LENGTH_BYTES)
    if beginning == _GIT_LFS:
        problem = "is a pointer of Git LFS, not the weights"
        raise UnsafeArtifactError(where, problem, "run `git lfs pull` in its repository, or download the file again")
    length = int.from_bytes(beginning, "little")
    if length > MAX_HEADER_BYTES:
        raise _unsafe(where, f"has a header of {length} bytes, more than {MAX_HEADER_BYTES}")
    if not 2 <= length <= size - _LENGTH_BYTES:
        raise _unsafe(where, "has no header of its length")
    try:
        header = json.loads(part(_LENGTH_BYTES, _LENGTH_BYTES + length))
        header.pop("__metadata__", None)
        tensors = sorted((_checked(name, entry) for name, entry in header.items()), key=lambda found: found[1:])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _unsafe(where, "has no header that can be read") from None
    end = 0
    for _, start, stop in tensors:
        if start != end:
            raise _unsafe(where, "has tensors that overlap, or leave gaps")
        end = stop
    if end != size - _LENGTH_BYTES - length:
        raise _unsafe(where, f"has {size - _LENGTH_BYTES - length} bytes of tensors, but its header describes {end}")
    return [tensor for tensor, _, _ in tensors]


def _checked(name: str, entry: dict[str, Any]) -> tuple[Tensor, int, int]:
    """A tensor with its first and last position. Raises ValueError if they do not match its shape."""
    tensor, (start, stop) = Tensor(name, entry["dtype"], tuple(entry["shape"])), entry["data_offsets"]
    if len(tensor.shape) > MAX_DIMENSIONS:
        raise ValueError(name)
    if any(type(number) is not int or not 0 <= number < MAX_SIZE for number in (*tensor.shape, start, stop)):
        raise ValueError(name)
    if (stop - start) * 8 != tensor.parameters * _BITS[tensor.dtype]:
        raise ValueError(name)
    return tensor, start, stop


def _unsafe(where: str, problem: str) -> UnsafeArtifactError:
    return UnsafeArtifactError(where, problem, "save the model again with save_pretrained, or copy the file again")


SAFE_FILES = (
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tokenizer.model",
)
"""Patterns of all files that are ever copied from a folder or downloaded from the Hub."""

_INDEX = "model.safetensors.index.json"
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", *(name for name in SAFE_FILES if name.endswith(".model")))
_UNSAFE_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
_CODE_KEYS = {
    "auto_map": "names Python code to be run",
    "quantization_config": "needs a special loader",
    "transformers_weights": "names other weights than model.safetensors",
}
_MAX_JSON_BYTES = 8 << 20
_MAX_TEXT_BYTES = 128 << 20
"""Limit for each file other than weights; the largest known vocabularies have a fourth of that."""
_LAYERS = re.compile(r"^(n|num)_\w*(layer|block|group|stage)|layers?$|^depths?$", re.IGNORECASE)
_POSITIONS = re.compile("position|length|context|window|distance", re.IGNORECASE)
_MIN_LAYERS, _MAX_POSITIONS = 128, 1 << 18
"""Values that a configuration may always have: layers that share weights, positions that need no weights."""
_SAVE_AGAIN = "save the model with save_pretrained"


def describe_folder(folder: Path | str, name: str, provenance: Provenance, golden: Golden | None = None) -> Manifest:
    """The manifest of a folder (path or URL) that `save_pretrained` of model and tokenizer made. Reads all its bytes.

    Raises InputError if a part is missing, and UnsafeArtifactError for content that must not be loaded.
    """
    root = open_root(str(folder))
    present = root.files()
    chosen = [file for file in present if any(fnmatchcase(file, pattern) for pattern in SAFE_FILES)]
    if "://" not in root.url:
        _refuse_links(Path(root.url), chosen)
    _require_parts(root, present)
    sizes = {file: root.size(file) for file in chosen}
    if sum(sizes.values()) > MAX_BYTES:  # before they are read
        problem = f"has {sum(sizes.values())} bytes, more than {MAX_BYTES}"
        raise UnsafeArtifactError(f"folder {root.url}", problem, "publish a smaller model")
    config = refuse_unsafe(root)
    files = tuple(FileEntry(path=file, size=size, sha256=root.sha256(file)) for file, size in sizes.items())
    described: dict[str, Any] = {"golden": golden} if golden else {}
    return Manifest(
        format_version=1,
        name=name,
        files=files,
        labels=_labels(root, config),
        provenance=provenance,
        **described,
    )


def refuse_unsafe(root: Root) -> dict[str, Any]:
    """The configuration of a model folder. Raises UnsafeArtifactError if loading it would run code or download more."""
    if root.exists("adapter_config.json"):
        remedy = "merge the adapter into the model and save that"
        raise UnsafeArtifactError(root.uri("adapter_config.json"), "loads an adapter from elsewhere", remedy)
    config = _read_json(root, "config.json")
    _refuse_code(root.uri("config.json"), config)
    if root.exists("tokenizer_config.json"):
        _refuse_code(root.uri("tokenizer_config.json"), _read_json(root, "tokenizer_config.json"))
    tensors = []
    for file in root.files():
        if fnmatchcase(file, "model*.safetensors"):
            tensors += read_tensors(partial(root.part, file), root.size(file), root.uri(file))
        elif file in SAFE_FILES and (size := root.size(file)) > _MAX_TEXT_BYTES:
            problem = f"has {size} bytes, more than {_MAX_TEXT_BYTES}"
            raise UnsafeArtifactError(root.uri(file), problem, "publish a smaller tokenizer")
    _refuse_sizes(root.uri("config.json"), config, tensors)
    return config


def _refuse_sizes(where: str, config: dict[str, Any], tensors: Sequence[Tensor]) -> None:
    """Refuse numbers that transformers turns into lists, tables or modules before it reads any weight."""
    largest = max((number for tensor in tensors for number in tensor.shape), default=0)
    for key, value in _items(config):
        numbers = [number for number in (value if isinstance(value, list) else [value]) if type(number) is int]
        if key == "num_labels":
            limit = largest
        elif _LAYERS.search(key):
            limit = max(len(tensors), _MIN_LAYERS)
        elif _POSITIONS.search(key):
            limit = max(largest, _MAX_POSITIONS)
        else:
            continue
        if numbers and max(numbers) > limit:
            problem = f"`{key}` is {max(numbers)}, more than the {limit} that its weights allow"
            raise UnsafeArtifactError(where, problem, _SAVE_AGAIN)


def _refuse_links(folder: Path, files: list[str]) -> None:
    # The Hub's cache consists of links from snapshots/<commit>/ into blobs/ beside it.
    blobs = folder.parent.parent / "blobs" if folder.parent.name == "snapshots" else None
    for path in (folder / file for file in files):
        if path.is_symlink() and (blobs is None or path.resolve().parent != blobs.resolve()):
            raise UnsafeArtifactError(str(path), "is a link", "put a copy of the file there")


def _require_parts(root: Root, present: list[str]) -> None:
    if "config.json" not in present:
        raise _missing(root, "config.json", "name a folder made by save_pretrained")
    shards = [file for file in present if fnmatchcase(file, "model-*-of-*.safetensors")]
    if shards:
        _require_index(root, present, shards)
    elif "model.safetensors" not in present:
        if unsafe := [file for file in present if file.endswith(_UNSAFE_WEIGHTS)]:
            remedy = "load it where you trust it, and save it again with save_pretrained(safe_serialization=True)"
            raise UnsafeArtifactError(root.uri(unsafe[0]), "can run code when it is loaded", remedy)
        raise _missing(root, "model.safetensors", _SAVE_AGAIN)
    if not any(file in present for file in _VOCABULARIES):
        if "tokenizer_config.json" in present:  # a tokenizer without a vocabulary, such as that of CANINE
            name = _read_json(root, "tokenizer_config.json").get("tokenizer_class") or "its tokenizer"
            problem = f"has no tokenizer.json: {name} has no fast version, and only those map tokens to words"
            raise InputError(f"folder {root.url}", problem, "choose a model with a fast tokenizer")
        raise _missing(root, "tokenizer.json", "save the tokenizer there too: tokenizer.save_pretrained(folder)")


def _require_index(root: Root, present: list[str], shards: list[str]) -> None:
    if _INDEX not in present:
        raise _missing(root, _INDEX, _SAVE_AGAIN)
    weight_map = _read_json(root, _INDEX).get("weight_map")
    if not isinstance(weight_map, dict):
        raise InputError(root.uri(_INDEX), "has no weight_map", _SAVE_AGAIN)
    if foreign := sorted(set(map(str, weight_map.values())) - set(shards)):
        raise InputError(root.uri(_INDEX), f"names {foreign[0]}, which is not one of its shards", _SAVE_AGAIN)


def _missing(root: Root, file: str, remedy: str) -> InputError:
    return InputError(f"folder {root.url}", f"has no {file}", remedy)


def _read_json(root: Root, file: str) -> dict[str, Any]:
    try:
        data = root.read_record(file, _MAX_JSON_BYTES)
    except CorruptArtifactError as error:
        problem = str(error).removeprefix(f"{root.uri(file)} ")
        raise UnsafeArtifactError(root.uri(file), problem, "use a smaller file") from None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(root.uri(file), "is not a JSON object", _SAVE_AGAIN)
    return value


def _refuse_code(where: str, config: dict[str, Any]) -> None:
    for key, value in _items(config):
        if key in _CODE_KEYS and value is not None:
            raise UnsafeArtifactError(
                where, f"`{key}` {_CODE_KEYS[key]}", f"remove `{key}` if the model needs none of it"
            )
        if "attn_implementation" in key or "experts_implementation" in key:
            values = [text for _, text in _items(value)] if isinstance(value, dict) else [value]
            if any("/" in text for text in values if isinstance(text, str)):
                raise UnsafeArtifactError(where, f"`{key}` fetches a kernel: {value}", f"remove `{key}`")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of nested JSON."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            yield from current.items()
            waiting += current.values()
        elif isinstance(current, list):
            waiting += current


def _labels(root: Root, config: dict[str, Any]) -> tuple[str, ...]:
    mapping = config.get("id2label") or {}
    try:
        labels = tuple(str(mapping[number]) for number in sorted(mapping, key=int))
    except (TypeError, ValueError):
        remedy = 'write it as {"0": "O", "1": "B-PER", …}'
        raise InputError(root.uri("config.json"), "`id2label` does not map numbers to labels", remedy) from None
    if unprintable := [label for label in labels if not label.isprintable()]:
        problem = f"the label {unprintable[0]!a} holds a control or invisible character"
        raise InputError(root.uri("config.json"), problem, "rename it in `id2label` and `label2id`")
    return labels
