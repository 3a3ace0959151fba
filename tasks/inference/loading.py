"""Loads token classifiers and tokenizers: safetensors only, no remote code, explicit dtype, complete weights.

transformers builds whatever `config.json` describes and fills it with random numbers. A folder of two megabytes could
use all memory, or minutes, before missing weights are noticed. Therefore, the size of a model is computed from its
configuration before it is allocated, and may hardly exceed that of its weight files.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from nerbench.artifacts.errors import CorruptArtifactError, InputError, NerbenchError, pass_interrupts
from nerbench.artifacts.manifest import Golden
from nerbench.artifacts.model_folder import read_tensors
from nerbench.artifacts.storage.open_root import open_root
from nerbench.tasks.inference.golden_check import check
from nerbench.tasks.inference.loaded_model import LoadedModel, LoadedTokenizer
from nerbench.tasks.inference.tokenization import SpecialTokens

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


SPARE_NUMBERS = 1 << 22
"""A model may have this many numbers more than twice those of its files; loading reports missing weights by name."""
SPARE_TENSORS = 1000


def check_size(folder: Path, config: "PreTrainedConfig", name: str) -> None:
    """Build the model without memory and count its weights, up to the capacity of its files.

    Raises CorruptArtifactError if the configuration builds more than twice the numbers or tensors of the files.
    """
    import torch
    from transformers import AutoModelForTokenClassification

    tensors = [tensor for path in sorted(folder.glob("model*.safetensors")) for tensor in _tensors(path)]
    most = 2 * len(tensors) + SPARE_TENSORS
    with torch.device("meta"), _at_most(most, name):
        model = AutoModelForTokenClassification.from_config(config)
    held = sum(tensor.parameters for tensor in tensors)
    built = sum(parameter.numel() for parameter in model.parameters())
    if built > 2 * held + SPARE_NUMBERS:
        problem = f"its configuration builds {built:,} weights, and its files hold {held:,}"
        raise CorruptArtifactError(f"model {name}: lacks weights: {problem}")


def _tensors(path: Path) -> list[Any]:
    return read_tensors(partial(open_root(str(path.parent)).part, path.name), path.stat().st_size, str(path))


@contextmanager
def _at_most(most: int, name: str) -> Iterator[None]:
    """Raise CorruptArtifactError as soon as this thread has created more than `most` parameters.

    The hook applies to the whole process, in which other threads may be loading models at the same time.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    made, thread = 0, get_ident()

    def count(module: "torch.nn.Module", key: str, parameter: Any) -> None:
        nonlocal made
        made += get_ident() == thread
        if made > most:
            problem = f"its configuration builds more than {most:,} tensors, twice what its files hold"
            raise CorruptArtifactError(f"model {name}: lacks weights: {problem}")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


HARMLESS_KEYS = re.compile(
    r"(^|\.)(pooler|cls\.predictions|cls\.seq_relationship|lm_head|vocab_transform|vocab_projector|"
    r"vocab_layer_norm|position_ids|mask_predictions|lm_predictions)(\.|$)"
)
"""Weights in older token classifiers that nothing reads: a pooler, a language-model head, position ids."""

OFFSET_POSITIONS = frozenset(
    {
        *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert", "data2vec-text"),
        *("esm", "ibert", "longformer", "luke", "mpnet", "xmod"),
    }
)
"""Architectures that count positions from the padding id on (RoBERTa and related ones): pad + 1 positions are never
used."""

DEFAULT_WINDOW = 512
LONGEST_REASON = 300
REACHABLE = "name a folder made by save_pretrained, or a model of the Hub that can be reached"


def resolve_device(device: str, field: str = "benchmark.device") -> "torch.device":
    """The named device; `auto` is the first accelerator or the CPU. Raises InputError if the device does not exist."""
    import torch

    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(name)
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise InputError(field, f"{device!r} is not a device", "give auto, cpu, cuda, cuda:1 or mps")
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    chosen = torch.device(device)
    if (chosen.index or 0) >= present[chosen.type]:
        remedy = "use auto or cpu, or install the driver and a torch built for it"
        raise InputError(field, f"{device} is not available here", remedy)
    return chosen


def check_precision(precision: str, device_type: str) -> None:
    """Raise InputError for an inference precision that a type of device does not compute."""
    if precision == "fp16" and device_type == "cpu":
        raise InputError("benchmark.dtype", "fp16 is not computed on a CPU", "use fp32 or bf16, or a GPU")
    if precision == "int8" and device_type != "cpu":
        raise InputError("benchmark.dtype", f"int8 is not computed on {device_type}", "use fp32, bf16 or fp16, or cpu")


def dtype_of(precision: str, device: "torch.device") -> "torch.dtype":
    """The torch dtype of the weights for an inference precision; those of int8 are quantized later, from fp32. Raises
    like `check_precision`."""
    import torch

    check_precision(precision, device.type)
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.float32}
    return dtypes[precision]


def usable_window(config: Mapping[str, Any], tokenizer_limit: int, wanted: int | None = None) -> int:
    """Tokens per window: the minimum of the wanted length, the model's positions and the tokenizer's limit.

    RoBERTa and related architectures lose `pad_token_id + 1` positions. Raises InputError if the wanted length exceeds
    the model's.
    """
    positions = config.get("max_position_embeddings") or DEFAULT_WINDOW
    if config.get("model_type") in OFFSET_POSITIONS:
        positions -= (config.get("pad_token_id") or 0) + 1
    limit = int(min(positions, tokenizer_limit))
    if wanted and wanted > limit:
        problem = f"{wanted} tokens are more than the model's {limit}"
        raise InputError("max_length", problem, f"give at most {limit}, or leave it out")
    return wanted or limit


@contextmanager
def one_line(field: str, remedy: str) -> Iterator[None]:
    """Raise exceptions of libraries about a user's files and settings as InputError."""
    try:
        yield
    except (NerbenchError, MemoryError):
        raise
    except BaseException as error:  # tokenizers raises no specific exceptions, and panics
        pass_interrupts(error)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            field, text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} …", remedy
        ) from error


def load_tokenizer(source: str | Path, *, revision: str | None = None, local: bool = True) -> LoadedTokenizer:
    """Load a fast tokenizer for pre-split words from a folder (or, with `local=False`, a Hub id)."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import AutoTokenizer

    options: dict[str, Any] = {"local_files_only": local, "trust_remote_code": False, "revision": revision or "main"}
    with one_line(f"tokenizer of {source}", REACHABLE):
        wrapper = AutoTokenizer.from_pretrained(str(source), **options)
        if not wrapper.is_fast:
            problem = f"{type(wrapper).__name__} has no fast version, and only those map tokens to words"
            raise InputError(f"tokenizer of {source}", problem, "choose a model with a fast tokenizer")
        if isinstance(wrapper.backend_tokenizer.pre_tokenizer, ByteLevel):
            # Byte-level BPE marks the beginning of a word by the space before it; single words need that space.
            wrapper = AutoTokenizer.from_pretrained(str(source), add_prefix_space=True, **options)
            wrapper.backend_tokenizer.pre_tokenizer.add_prefix_space = True  # some classes ignore the option
        for option in ("local_files_only", "is_local"):  # otherwise a saved copy would have the path of this one
            wrapper.init_kwargs.pop(option, None)
        return prepare_tokenizer(wrapper)


def prepare_tokenizer(wrapper: "PreTrainedTokenizerBase") -> LoadedTokenizer:
    """Switch off what a saved tokenizer may do silently (truncation, padding) and find its special tokens."""
    backend: Tokenizer = wrapper.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    around = backend.encode(["a"], is_pretokenized=True, add_special_tokens=True)
    inner = [i for i, word in enumerate(around.word_ids) if word is not None]
    special = SpecialTokens(
        prefix=tuple(around.ids[: inner[0]]),
        suffix=tuple(around.ids[inner[-1] + 1 :]),
        pad=wrapper.pad_token_id if wrapper.pad_token_id is not None else 0,
    )
    return LoadedTokenizer(wrapper=wrapper, backend=backend, special=special)


def load_tagger(  # noqa: PLR0913 - one keyword a setting
    folder: Path,
    *,
    device: "torch.device",
    precision: str = "fp32",
    window: int | None = None,
    name: str = "",
    golden: Golden | None = None,
) -> LoadedModel:
    """Load a saved token classifier for inference, called `name` in messages.

    Raises CorruptArtifactError if weights are missing (transformers would fill them with random numbers), are not used,
    or do not fit the configuration or the tokenizer, or if the golden check fails; InputError if the folder cannot be
    loaded at all, and like `dtype_of` and `quantize`.
    """
    from transformers import AutoModelForTokenClassification
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # it would mix with nerbench's output

    name = name or str(folder)
    dtype = dtype_of(precision, device)
    # _check_weights reports mismatched sizes, with the names of the weights.
    model, loading = load_network(
        AutoModelForTokenClassification, folder, name, dtype=dtype, ignore_mismatched_sizes=True
    )
    ignored = _check_weights(loading, name)
    tokenizer = load_tokenizer(folder)
    _check_vocabulary(tokenizer, model.get_input_embeddings().weight.shape[0], name)
    tagger = LoadedModel(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        labels=_labels(model.config.id2label, name),
        window=usable_window(model.config.to_dict(), tokenizer.wrapper.model_max_length, window),
        device=device,
        ignored_keys=ignored,
    )
    if golden:
        check(tagger, golden, "fp32" if precision == "int8" else precision, name)
    if precision == "int8":
        from nerbench.tasks.inference.quantized_linear import quantize

        quantize(tagger, name)
    return tagger


def load_network(
    auto_class: Any, folder: Path, name: str, *, dtype: "torch.dtype", **options: Any
) -> "tuple[PreTrainedModel, dict[str, Any]]":
    """The network of an untrusted folder, and transformers' loading info: safetensors only, no code, bounded size.

    `auto_class`: AutoModel or a similar class; `dtype`: of the weights, whatever the checkpoint has; `options`:
    arguments of its `from_pretrained`. Raises InputError if the folder cannot be loaded, and CorruptArtifactError like
    `check_size`.
    """
    from transformers import AutoConfig

    with one_line(f"model {name}", REACHABLE):
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        check_size(folder, config, name)
        model, loading = auto_class.from_pretrained(
            str(folder),
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=dtype,
            output_loading_info=True,
            **options,
        )
    return model, loading


def _check_vocabulary(tokenizer: LoadedTokenizer, embeddings: int, name: str) -> None:
    # Numbers may have gaps, so their count does not give the highest one.
    highest = max(tokenizer.backend.get_vocab(with_added_tokens=True).values(), default=-1)
    if highest >= embeddings:
        problem = f"its tokenizer numbers tokens up to {highest}, and there are {embeddings} embeddings"
        raise CorruptArtifactError(f"model {name}: {problem}")


def _labels(id2label: Mapping[int, str], name: str) -> tuple[str, ...]:
    if sorted(id2label) != list(range(len(id2label))):
        raise InputError(
            f"model {name}", "its id2label does not number the labels 0, 1, 2, …", "correct its config.json"
        )
    return tuple(id2label[number] for number in range(len(id2label)))


def _check_weights(loading: Mapping[str, Any], name: str) -> tuple[str, ...]:
    unexpected = sorted(loading["unexpected_keys"])
    for problem, keys in (
        ("lacks weights", sorted(loading["missing_keys"])),
        ("has weights of another shape than its config.json describes", _mismatched(loading["mismatched_keys"])),
        ("has weights that its architecture does not use", [k for k in unexpected if not HARMLESS_KEYS.search(k)]),
    ):
        if keys:
            shown = ", ".join([*keys[:3], "…"] if len(keys) > 3 else keys)
            remedy = "save model and configuration again with save_pretrained"
            raise CorruptArtifactError(f"model {name}: {problem} ({shown}); {remedy}")
    return tuple(unexpected)


def _mismatched(keys: Iterable[tuple[str, Sequence[int], Sequence[int]]]) -> list[str]:
    """Each weight with its shape in the file and the one that the configuration describes."""
    return sorted(f"{key}: {' × '.join(map(str, held))} for {' × '.join(map(str, built))}" for key, held, built in keys)
