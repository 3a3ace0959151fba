"""Configuration of taggers that are not trained: their adapter, its arguments and its permissions."""

from typing import Any, Self

from pydantic import Field, model_validator

from nerbench.tasks.config.schema_base import Name, Section, Text

PACKAGE = "nerbench.taggers"
ADAPTERS = {
    "gliner": "gliner.py:Tagger",
    "http": "endpoints.py:Http",
    "openai_chat": "endpoints.py:OpenAIChat",
    "spacy": "spacy.py:Tagger",
    "stored_model": "stored_model.py:Tagger",
    "transformers_pipeline": "transformers_pipeline.py:Tagger",
}
"""The adapters of this package, each a class of one of its files."""
STORED_MODEL = f"{PACKAGE}:stored_model"
ENDPOINTS = ("http", "openai_chat")
"""Adapters that send the words of a corpus to a server, whose model may change at any time."""


class TaggerConfig(Section):
    """A tagger to compare with, in place of a model to train. It runs in a separate process."""

    name: Name
    """The name of the published manifest."""
    tagger: Text
    """The adapter: `nerbench.taggers:` with `spacy`, `gliner`, `transformers_pipeline`, `stored_model`, `http` or
    `openai_chat`; or a custom class, `file.py:Class` or `package.module:Class` (see `nerbench.Tagger`)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the adapter. Write a credential as `${NAME}`: it is expanded when the tagger starts."""
    files: dict[str, Text] = Field(default_factory=dict)
    """Files that the predictions depend on, e.g. `{prompt: prompt.txt}`. The adapter gets their paths as options;
    their digests are recorded."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Renames entity types of the tagger to those of the corpus, e.g. `{PERSON: PER}`; `O` drops a type."""
    python: Text | None = None
    """The Python interpreter that runs the adapter, e.g. `/other/venv/bin/python`, 3.9 or later. By default,
    that of nerbench."""
    allow_egress: bool = False
    """Allow an endpoint to receive the words of the corpora."""
    pinned: bool | None = None
    """Whether adapter, options, files and versions identify the predictions, so that they can be cached. Default: true,
    but false for endpoints."""
    price_per_call: float | None = Field(default=None, ge=0)
    """Price of one call of an endpoint, in any currency; the table `speed` shows the cost per million words."""
    timeout_s: float = Field(default=300.0, gt=0)
    """Seconds after which a tagger is stopped that is busy with one batch of sentences, or with loading."""

    @property
    def adapter(self) -> str | None:
        """The name of the adapter of this package; None for a custom class."""
        package, _, name = self.tagger.rpartition(":")
        return name if package == PACKAGE else None

    @property
    def is_pinned(self) -> bool:
        """Whether its manifest identifies its predictions."""
        return self.adapter not in ENDPOINTS if self.pinned is None else self.pinned

    @model_validator(mode="after")
    def _adapter_exists(self) -> Self:
        if self.adapter is not None and self.adapter not in ADAPTERS:
            raise ValueError(f"tagger {self.tagger} is unknown; give one of {', '.join(ADAPTERS)} after {PACKAGE}:")
        if not self.tagger.rpartition(":")[2].isidentifier() or not self.tagger.rpartition(":")[0]:
            raise ValueError(f"tagger {self.tagger} names no class; write e.g. {PACKAGE}:spacy or file.py:Class")
        return self

    @model_validator(mode="after")
    def _egress_is_allowed(self) -> Self:
        if self.adapter in ENDPOINTS and not self.allow_egress:
            raise ValueError(f"{self.tagger} sends the words of the corpora to a server; add `allow_egress: true`")
        return self

    @model_validator(mode="after")
    def _files_are_options(self) -> Self:
        if twice := sorted({*self.files} & {*self.options}):
            raise ValueError(f"{twice[0]} is in both files and options; leave it out of one of them")
        return self
