"""The bound on the parameters of a configuration counts each thread separately."""

from threading import Thread

import pytest
import torch

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.tasks.inference.loading import _at_most


def build(layers: int) -> None:
    for _ in range(layers):
        torch.nn.Linear(1, 1)


def test_parameters_are_counted_while_they_are_built() -> None:
    with _at_most(4, "fred"):
        build(2)
    with (
        pytest.raises(CorruptArtifactError, match=r"fred: lacks weights: .* more than 4 tensors"),
        _at_most(4, "fred"),
    ):
        build(3)
    build(3)


def test_a_model_that_another_thread_builds_does_not_count() -> None:
    with _at_most(4, "fred"):
        other = Thread(target=build, args=[10])
        other.start()
        other.join()
        build(2)
