"""Configuration of the division of one source into splits."""

from fractions import Fraction
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from nerbench.tasks.config.base import Section, Split

REST = "rest"
"""The amount of the split that gets the remaining units."""


class SplitConfig(Section):
    """Divides one source into splits: each amount is a percentage (`80%`), a number of documents or sentences, or
    `rest`. Percentages must add up to 100%, and numbers to what the source has, unless one amount is `rest`."""

    train: int | str | None = None
    """Amount of the train split. Default: no such split."""
    validation: int | str | None = None
    """Amount of the validation split. Default: no such split."""
    test: int | str | None = None
    """Amount of the test split. Default: no such split."""
    by: Literal["document", "sentence"] = "document"
    """The unit: whole documents, so that no document is in two splits, or sentences."""
    seed: int = 0
    """Seed of the random choice. The same seed and number of units give the same choice on every machine."""

    @field_validator("train", "validation", "test", mode="before")
    @classmethod
    def _is_an_amount(cls, value: Any) -> Any:
        is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if not (value is None or is_count or value == REST or _share(value)):
            raise ValueError(f"{value} is not an amount; give a percentage such as 80%, a number such as 500, or rest")
        return value

    @model_validator(mode="after")
    def _amounts_add_up(self) -> Self:
        amounts = self.amounts
        if len(amounts) < 2:
            raise ValueError("a single split is no division; give two or more, e.g. {train: 90%, validation: 10%}")
        rests = sum(amount == REST for amount in amounts.values())
        shares = [share for amount in amounts.values() if (share := _share(amount))]
        total = sum(shares)
        if rests > 1:
            raise ValueError("two amounts are `rest`; give a percentage or a number for one of them")
        if rests and total >= 1:
            raise ValueError(f"the percentages add up to {_percent(total)}, which leaves no rest; lower one")
        if not rests and 0 < len(shares) < len(amounts):
            raise ValueError("percentages and numbers do not add up to a whole; write `rest` for one of them")
        if not rests and shares and total != 1:
            raise ValueError(f"the percentages add up to {_percent(total)}; change one so that they add up to 100%")
        return self

    @property
    def amounts(self) -> dict[Split, int | str]:
        """The amount of each split that is made."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {split: amount for split, amount in found.items() if amount is not None}  # type: ignore[misc]

    def sizes(self, units: int) -> dict[Split, int]:
        """The number of units of each split. Percentages are rounded half up, and `rest` is the remainder.

        If all amounts are percentages, the largest one (the first of equal ones) gets the remainder. Raises ValueError
        if a split would be empty, or if numbers do not add up to `units`.
        """
        amounts, what = self.amounts, f"{self.by}{'' if units == 1 else 's'}"
        shares = {split: share for split, amount in amounts.items() if (share := _share(amount))}
        rests = [split for split, amount in amounts.items() if amount == REST]
        (left,) = rests or sorted(shares, key=lambda split: -shares[split])[:1] or (None,)
        sizes: dict[Split, int] = {}
        for split, amount in amounts.items():
            if split != left:
                sizes[split] = amount if isinstance(amount, int) else int(shares[split] * units + Fraction(1, 2))
        if left:
            sizes[left] = units - sum(sizes.values())
        elif sum(sizes.values()) != units:
            raise ValueError(f"the numbers add up to {sum(sizes.values())}, but the source has {units} {what}")
        if empty := [split for split in amounts if sizes[split] < 1]:
            raise ValueError(f"{empty[0]}: {amounts[empty[0]]} of {units} {what} leaves it empty")
        return {split: sizes[split] for split in amounts}

    def __str__(self) -> str:
        """A description such as `train 80%, validation 10%, test 10%, by document, seed 0`."""
        amounts = ", ".join(f"{split} {amount}" for split, amount in self.amounts.items())
        return f"{amounts}, by {self.by}, seed {self.seed}"


def _share(amount: Any) -> Fraction | None:
    """The exact share of a percentage; None for a text that is not a percentage above 0."""
    number = amount.removesuffix("%").strip() if isinstance(amount, str) and amount.endswith("%") else ""
    is_number = number.isascii() and number.replace(".", "", 1).isdecimal() and len(number) < 16
    return Fraction(number) / 100 or None if is_number else None


def _percent(share: Fraction | int) -> str:
    return f"{float(share * 100):g}%"
