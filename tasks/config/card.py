"""Content of model cards that neither manifests nor tables provide."""

from nerbench.tasks.config.section import Section, Text


class CardConfig(Section):
    """Metadata and texts of model cards. Missing values are left out of a card and reported."""

    license: Text | None = None
    """The Hub's identifier of the licence, e.g. `apache-2.0`."""
    language: tuple[Text, ...] = ()
    """ISO 639 codes, e.g. `[en]`."""
    base_model: Text | None = None
    """The Hub id of the base model, if training started from a local copy of it."""
    datasets: tuple[Text, ...] = ()
    """Hub ids of the training data; by default, those of training data that was read from the Hub."""
    intended_uses: Text | None = None
    """Intended and unintended uses of the model, as plain text that the card shows literally."""
    limitations: Text | None = None
    """Known weaknesses of the model beyond the scores, as plain text."""
    bias: Text | None = None
    """Groups or topics on which the model errs more often, and the consequences, as plain text."""
