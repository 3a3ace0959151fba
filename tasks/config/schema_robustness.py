"""Configuration of robustness: the perturbed corpora on which models are evaluated, too."""

from typing import Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from nerbench.tasks.config.schema_base import Section, Text

PerturbationName = Literal[
    "lower",
    "upper",
    "title",
    "typos_in_mentions",
    "typos_in_context",
    "ocr",
    "final_punctuation",
    "accents",
    "entity_swap",
]
"""The names of the perturbations: see `nerbench.tasks.data.perturbations`."""
PERTURBATIONS: tuple[PerturbationName, ...] = get_args(PerturbationName)


class Perturbation(Section):
    """One perturbation with all settings on which the derived words depend."""

    name: PerturbationName
    """The kind of change."""
    seed: int
    """Seed of the random choices."""
    share: float
    """Share of the words, among those that can be changed, that typos, OCR errors and accents change."""
    mentions: dict[str, tuple[Text, ...]] = Field(default_factory=dict)
    """By entity type, the mentions that `entity_swap` inserts; those of the train split if empty."""


class RobustnessConfig(Section):
    """Evaluation on perturbed copies of every data set. All words keep their tags."""

    perturbations: tuple[PerturbationName, ...] = Field(default=PERTURBATIONS, min_length=1)
    """The perturbations, each of which derives a corpus: `lower`, `upper`, `title` (case); `typos_in_mentions`
    and `typos_in_context` (a letter becomes its neighbour on the keyboard); `ocr` (characters that look alike);
    `final_punctuation` (the last mark of a sentence); `accents` (removed, or added); `entity_swap` (a mention
    becomes another one of the same type with as many words)."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the random choices. The same seed and corpus give the same words on every machine."""
    share: float = Field(default=0.2, gt=0, le=1)
    """Share of the words, among those that can be changed, that `typos_…`, `ocr` and `accents` change."""
    mentions: dict[str, tuple[Text, ...]] = Field(default_factory=dict)
    """By entity type, mentions for `entity_swap`, words separated by spaces, e.g. `{LOC: [Ulan Bator, Suva]}`. Default:
    the mentions of the train split that do not occur in the evaluated split."""

    @property
    def each(self) -> tuple[Perturbation, ...]:
        """The perturbations with their settings."""
        return tuple(
            Perturbation(
                name=name,
                seed=self.seed,
                share=self.share,
                mentions=self.mentions if name == "entity_swap" else {},
            )
            for name in self.perturbations
        )

    @property
    def needs_training(self) -> bool:
        """Whether the mentions for `entity_swap` are those of the train split."""
        return "entity_swap" in self.perturbations and not self.mentions

    @field_validator("perturbations")
    @classmethod
    def _each_is_named_once(cls, names: tuple[PerturbationName, ...]) -> tuple[PerturbationName, ...]:
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice[0]} is named twice; leave it out once")
        return names

    @model_validator(mode="after")
    def _mentions_are_used(self) -> Self:
        if self.mentions and "entity_swap" not in self.perturbations:
            raise ValueError("mentions has no effect without entity_swap; add it to perturbations")
        if empty := [kind for kind, listed in self.mentions.items() if not any(map(str.split, listed))]:
            raise ValueError(f"mentions of {empty[0]} are empty; list some, or leave {empty[0]} out")
        return self
