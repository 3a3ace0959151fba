"""Floating-point operations against the textbook's sum, and parameters of architectures against published counts."""

import pytest
from transformers import AutoConfig, BertConfig

from nerbench.tasks.measuring.process.backends import empty_model, flops_per_token
from nerbench.tasks.measuring.subjects import ARCHITECTURES, with_labels

PUBLISHED_MILLIONS = {
    "albert-base": 11.1,
    "bert-base": 108.9,
    "bert-large": 334.1,
    "deberta-v3-base": 183.8,
    "distilbert-base": 66.4,
    "electra-small": 13.5,
    "minilm-l6": 22.6,
    "roberta-base": 124.1,
    "xlm-roberta-large": 558.9,
}
"""Published numbers of the encoders, without poolers and pretraining heads."""


def textbook(config: BertConfig, length: int) -> float:
    """Multiplications and additions of a BERT per token: four projections, two of attention, two of the MLP."""
    h, i = config.hidden_size, config.intermediate_size
    layer = 2 * (4 * h * h + 2 * h * i) + 2 * 2 * length * h
    return config.num_hidden_layers * layer + 2 * h * config.num_labels


@pytest.mark.parametrize(("length", "layers"), [(8, 2), (128, 3)])
def test_a_forward_pass_is_the_textbooks_sum(length: int, layers: int) -> None:
    config = BertConfig(num_hidden_layers=layers, hidden_size=48, intermediate_size=96, num_attention_heads=4)
    assert flops_per_token(config, 4, length, training=False) == textbook(config, length)


def test_a_training_step_is_about_three_times_as_much() -> None:
    config = BertConfig(num_hidden_layers=2, hidden_size=48, intermediate_size=96, num_attention_heads=4)
    assert flops_per_token(config, 4, 32, training=True) == pytest.approx(3 * textbook(config, 32), rel=0.02)


@pytest.mark.parametrize("name", PUBLISHED_MILLIONS)
def test_an_architecture_has_as_many_parameters_as_its_checkpoint(name: str) -> None:
    config = AutoConfig.for_model(**with_labels(ARCHITECTURES[name]))
    count = sum(p.numel() for p in empty_model(config).parameters())
    assert count / 1e6 == pytest.approx(PUBLISHED_MILLIONS[name], rel=0.005)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - PUBLISHED_MILLIONS.keys()))
def test_every_other_architecture_can_be_made(name: str) -> None:
    config = AutoConfig.for_model(**with_labels(ARCHITECTURES[name]))
    assert sum(p.numel() for p in empty_model(config).parameters()) > 10e6
    assert config.num_labels == 9
