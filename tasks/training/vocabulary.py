"""Word embeddings while training: only of the pieces that occur, which are often half of them or fewer.

An embedding that no sentence uses has no gradient. AdamW does nothing to it but decay it, in every step by the same
factor for all of them. So one row stands for them all, and neither the optimizer nor the gradient's norm nor
checkpoints go through a large vocabulary again and again.
"""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from transformers import PreTrainedModel


class OccurringEmbedding(nn.Embedding):  # type: ignore[misc]
    """The rows of an embedding that occur, under the ids they have in it, and a row of ones that nothing uses."""

    def __init__(self, whole: nn.Embedding, occurring: torch.Tensor) -> None:
        """`occurring`: ids, ascending, the padding's among them if there is one."""
        number = torch.full((whole.num_embeddings,), -1)
        number[occurring] = torch.arange(len(occurring))
        padding = None if whole.padding_idx is None else int(number[whole.padding_idx])
        super().__init__(len(occurring) + 1, whole.embedding_dim, padding_idx=padding)
        self.register_buffer("number", number, persistent=False)
        with torch.no_grad():
            self.weight[:-1] = whole.weight[occurring]
            self.weight[-1] = 1

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(…) ids of the whole vocabulary to (…, size). Raises IndexError for one that was said not to occur."""
        embedded: torch.Tensor = super().forward(self.number[ids])
        return embedded


def narrow(network: PreTrainedModel, ids: Iterable[int]) -> Callable[[], None]:
    """Let `network` learn the embeddings of `ids` only; gives back what makes its vocabulary whole again, once it has.

    An embedding of another kind than torch's, or one whose weights are used elsewhere too, is left as it is.
    """
    whole = network.get_input_embeddings()
    users = sum(weight is whole.weight for _, weight in network.named_parameters(remove_duplicate=False))
    if type(whole) is not nn.Embedding or whole.max_norm or whole.scale_grad_by_freq or users != 1:
        return lambda: None
    occurring = torch.tensor(sorted({*ids} | ({whole.padding_idx} - {None})))
    if len(occurring) >= whole.num_embeddings:
        return lambda: None
    learning = OccurringEmbedding(whole, occurring)
    network.set_input_embeddings(learning)

    def widen() -> None:
        with torch.no_grad():
            trained = learning.weight.to(whole.weight.device)
            whole.weight *= trained[-1]  # decayed as the row of ones was
            whole.weight[occurring] = trained[:-1]
        network.set_input_embeddings(whole.to(learning.weight.device))

    return widen
