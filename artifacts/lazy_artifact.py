"""Lazy handles: metadata without weights, the model on first use, and its memory released at the end."""

import gc
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from nerbench.artifacts.malloc import trim_malloc
from nerbench.artifacts.manifest import ArtifactRef, Manifest
from nerbench.artifacts.references import load_manifest, materialise

T = TypeVar("T")


class ArtifactHandle(Generic[T]):
    """An artifact that is loaded when it is needed. As a context manager, it evicts the model at the end."""

    def __init__(self, ref: ArtifactRef, loader: Callable[[Path], T]) -> None:
        """`loader` loads the model from a verified local folder."""
        self.ref = ref
        self._loader = loader
        self._loaded: list[T] = []

    @cached_property
    def manifest(self) -> Manifest:
        """The metadata; no weights are loaded. Raises CorruptArtifactError."""
        return load_manifest(self.ref)

    @property
    def value(self) -> T:
        """The model, loaded on first use. Do not keep it beyond `evict`. Raises CorruptArtifactError."""
        if not self._loaded:
            self._loaded.append(self._loader(materialise(self.ref)))
        return self._loaded[0]

    def evict(self) -> None:
        """Release the model's memory to the system, if it was loaded; the next use loads it again."""
        if self._loaded:
            self._loaded.clear()
            gc.collect()  # a model may refer to itself
            trim_malloc()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.evict()
