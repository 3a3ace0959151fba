"""What a configuration builds, known before it is allocated: a model may hold little more than its weight files.

transformers builds whatever `config.json` says and fills it with random numbers. A folder of two megabytes could
take all memory, or minutes, before anything notices that weights are missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.header import read_tensors
from nerbench.artifacts.storage.filesystem import Root

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig

SPARE_NUMBERS = 1 << 22
"""A model may have this many more than twice the numbers of its files: loading names missing weights one by one."""
SPARE_TENSORS = 1000


def check_size(folder: Path, config: "PreTrainedConfig", name: str) -> None:
    """Build the model without memory and count its weights, up to what its files could hold.

    Raises CorruptArtifactError where the configuration builds more than twice the numbers or tensors of the files.
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
    return read_tensors(partial(Root.open(str(path.parent)).part, path.name), path.stat().st_size, str(path))


@contextmanager
def _at_most(most: int, name: str) -> Iterator[None]:
    """Raise CorruptArtifactError as soon as this thread has made more than `most` parameters.

    The hook is one for the whole process, where other threads may be loading models meanwhile.
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
