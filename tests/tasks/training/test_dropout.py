"""The faster dropout against its definition."""

import copy

import pytest
import torch
from torch import nn

from nerbench.tasks.training.faster_layers import FrugalDropout, use_frugal_dropout

N = 400_000


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_scales_the_rest(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    x = torch.ones(N, dtype=dtype, requires_grad=True)
    y = FrugalDropout(p)(x)
    y.sum().backward()
    kept = y != 0
    deviation = (p * (1 - p) / N) ** 0.5
    assert abs(kept.float().mean().item() - (1 - p)) < 4 * deviation
    torch.testing.assert_close(y[kept].float().mean().item(), 1 / (1 - p), rtol=4e-3, atol=0)
    assert torch.equal(x.grad, y.detach()), "the gradient is dropped with the number"


def test_numbers_are_dropped_independently() -> None:
    torch.manual_seed(3)
    kept = (FrugalDropout(0.5)(torch.ones(N)) != 0).float()
    for distance in (1, 2, 3, 4, 8):  # four of them come from one draw
        together = (kept[:-distance] * kept[distance:]).mean().item()
        assert abs(together - 0.25) < 4 * (0.25 * 0.75 / N) ** 0.5


def test_the_generator_of_torch_decides() -> None:
    layer, x = FrugalDropout(0.3), torch.ones(5, 7)
    torch.manual_seed(1)
    first = layer(x)
    state = torch.get_rng_state()
    second = layer(x)
    torch.set_rng_state(state)
    assert torch.equal(layer(x), second)
    assert not torch.equal(first, second)


def test_without_dropout_torchs_layer_is_kept() -> None:
    x = torch.randn(3, 4)
    assert torch.equal(FrugalDropout(0.3).eval()(x), x)
    assert torch.equal(FrugalDropout(0.0)(x), x)
    assert torch.equal(FrugalDropout(1.0)(x), torch.zeros(3, 4))


def test_layers_at_any_depth_are_replaced() -> None:
    network = nn.Sequential(nn.Dropout(0.2), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.4)), nn.Dropout1d(0.1))
    replaced = copy.deepcopy(network)
    use_frugal_dropout(replaced)
    assert [type(m) for m in (replaced[0], replaced[1][1], replaced[2])] == [FrugalDropout, FrugalDropout, nn.Dropout1d]
    assert (replaced[0].p, replaced[1][1].p) == (0.2, 0.4)
    assert replaced.state_dict().keys() == network.state_dict().keys()
