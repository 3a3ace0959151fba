from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.training.batches import BLANK, LENGTH_NOISE, TokenBatches
from nerbench.tasks.training.distributed import Ranks

LENGTHS = [3, 17, 5, 5, 9, 40, 12, 12, 12, 30, 4, 8] * 8
lengths = st.lists(st.integers(3, 60), min_size=1, max_size=80)
# The k-th shortest by noisy length is at most this much longer than the k-th shortest.
TOLERANCE = (1 + LENGTH_NOISE) / (1 - LENGTH_NOISE)


@given(lengths, st.integers(8, 300), st.integers(0, 99), st.integers(0, 5))
def test_every_item_once_an_epoch_in_batches_of_the_budget(
    lengths: list[int], budget: int, seed: int, epoch: int
) -> None:
    sampler = TokenBatches(lengths, budget, seed)
    sampler.set_epoch(epoch)
    found = list(sampler)
    assert sorted(item for batch in found for item in batch) == list(range(len(lengths)))
    assert len(found) == len(sampler)
    for batch in found:
        padded = len(batch) * max(lengths[item] for item in batch)
        assert padded <= budget * TOLERANCE or len(batch) == 1


@given(lengths, st.integers(8, 300))
def test_the_number_of_batches_depends_on_neither_seed_nor_epoch(lengths: list[int], budget: int) -> None:
    sampler = TokenBatches(lengths, budget, 0)
    sampler.set_epoch(7)
    assert len(sampler) == len(list(sampler)) == len(list(TokenBatches(lengths, budget, 123)))


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def epoch(number: int, seed: int = 1) -> list[list[int]]:
        sampler = TokenBatches(LENGTHS, 128, seed)
        sampler.set_epoch(number)
        return list(sampler)

    assert epoch(0) == epoch(0)
    assert epoch(3) == epoch(3)
    sampler = TokenBatches(LENGTHS, 128, 1)
    assert [list(sampler), list(sampler)] == [epoch(0), epoch(0)], "an epoch is not counted by iterating"
    assert epoch(0) != epoch(1)
    assert epoch(0) != epoch(0, seed=2)
    assert {frozenset(batch) for batch in epoch(0)} != {frozenset(batch) for batch in epoch(1)}


def test_batches_hold_similar_lengths_in_random_order() -> None:
    found = list(TokenBatches(LENGTHS, 128, 0))
    padded = sum(len(batch) * max(LENGTHS[i] for i in batch) for batch in found)
    assert padded < 1.35 * sum(LENGTHS)
    means = [sum(LENGTHS[i] for i in batch) / len(batch) for batch in found]
    assert means != sorted(means)


@given(lengths, st.integers(8, 300), st.integers(2, 5))
def test_processes_share_the_batches_of_one(lengths: list[int], budget: int, processes: int) -> None:
    whole = list(TokenBatches(lengths, budget, 3))
    parts = [list(TokenBatches(lengths, budget, 3, Ranks(number, processes))) for number in range(processes)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(item for share in shares for item in share if item != BLANK) == sorted(batch)
        taken = [0 if share == [BLANK] else len(share) for share in shares]
        assert max(taken) - min(taken) <= 1
        assert all(shares), "a process without a sentence takes the step too"
