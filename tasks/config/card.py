"""What a model card says that no manifest and no table knows."""

from nerbench.tasks.config.section import Section, Text


class CardConfig(Section):
    """Metadata and texts of model cards; what is not given is left out of a card, and said to be missing."""

    license: Text | None = None
    """The Hub's identifier of a licence, e.g. `apache-2.0`."""
    language: tuple[Text, ...] = ()
    """ISO 639 codes, e.g. `[en]`."""
    base_model: Text | None = None
    """The Hub id of the model that was fine-tuned, where training began from a local copy of it."""
    datasets: tuple[Text, ...] = ()
    """Hub ids of the training data; those of training data that was read from the Hub by default."""
    intended_uses: Text | None = None
    """What the model is for, and what it is not for: plain text, which the card shows literally."""
    limitations: Text | None = None
    """What you know that it does badly: plain text, beside what the scores show."""
    bias: Text | None = None
    """On whom or what it errs more often, and what follows from that: plain text."""
