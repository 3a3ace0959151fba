"""Training with the embeddings of occurring tokens equals training with all of them."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification, PreTrainedModel

from nerbench.tasks.training.faster_layers import OccurringEmbedding, shrink_embeddings

OCCURRING = [0, 7, 8, 30, 41]
IDS = torch.tensor([[7, 8, 41, 0], [30, 8, 7, 7]])
LABELS = torch.tensor([[1, 2, 3, -100], [0, 1, 2, 3]])


@pytest.fixture
def network(tiny_model_folder: Path) -> PreTrainedModel:
    loaded = AutoModelForTokenClassification.from_pretrained(tiny_model_folder, dtype=torch.float32)
    return loaded.eval()  # without dropout


def learn(network: PreTrainedModel, steps: int) -> None:
    """Some steps of AdamW with a visible decay and a limit to the gradient's norm."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.3, fused=True)
    for _ in range(steps):
        network(input_ids=IDS, labels=LABELS).loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()


def test_the_whole_model_is_learnt(network: PreTrainedModel) -> None:
    whole, narrowed = network, copy.deepcopy(network)
    before = copy.deepcopy(network.state_dict())
    widen = shrink_embeddings(narrowed, OCCURRING)
    assert narrowed.get_input_embeddings().weight.shape[0] == len(OCCURRING) + 1
    learn(whole, 25)
    learn(narrowed, 25)
    widen()
    assert narrowed.state_dict().keys() == before.keys()
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(narrowed.state_dict()[name], weight, rtol=1e-5, atol=1e-6, msg=name)
    name = "bert.embeddings.word_embeddings.weight"
    unseen = [row for row in range(before[name].shape[0]) if row not in OCCURRING]
    assert (before[name][unseen] - whole.state_dict()[name][unseen]).abs().max() > 1e-2, "the decay was visible"


def test_outputs_and_checkpoints_are_those_of_the_full_model(network: PreTrainedModel) -> None:
    with torch.no_grad():
        expected = network(input_ids=IDS).logits
        shrink_embeddings(network, OCCURRING)
        assert torch.equal(network(input_ids=IDS).logits, expected)
        saved = copy.deepcopy(network.state_dict())
        network.get_input_embeddings().weight.zero_()
        network.load_state_dict(saved)
        assert torch.equal(network(input_ids=IDS).logits, expected)
    assert not any("number" in name for name in saved)


def test_a_token_outside_of_the_vocabulary_is_an_error(network: PreTrainedModel) -> None:
    shrink_embeddings(network, OCCURRING)
    with pytest.raises(IndexError):
        network(input_ids=torch.tensor([[9]]))


def test_the_padding_stays(network: PreTrainedModel) -> None:
    whole = network.get_input_embeddings()
    shrink_embeddings(network, [7, 8])
    narrowed = network.get_input_embeddings()
    assert isinstance(narrowed, OccurringEmbedding)
    assert torch.equal(narrowed(torch.tensor([whole.padding_idx])), whole(torch.tensor([whole.padding_idx])))
    narrowed(torch.tensor([whole.padding_idx, 7])).sum().backward()
    gradient = narrowed.weight.grad
    assert gradient[narrowed.padding_idx].abs().sum() == 0
    assert gradient.abs().sum() > 0


def test_shared_embeddings_are_not_changed(network: PreTrainedModel) -> None:
    whole = network.get_input_embeddings()
    network.tied = torch.nn.Linear(4, 4)
    network.tied.weight = whole.weight
    shrink_embeddings(network, OCCURRING)()
    assert network.get_input_embeddings() is whole
