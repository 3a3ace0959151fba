"""Counts the tokens of a split: sentences and words that exceed the context window of a model, and unknown words."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.tasks.inspection.facts import Lengths, TokenFacts

if TYPE_CHECKING:
    from nerbench.artifacts.manifest import ArtifactRef
    from nerbench.tasks.inference.loaded_model import LoadedTokenizer


@dataclass(frozen=True, kw_only=True)
class Tokenization:
    """A tokenizer, and the context window of its model."""

    name: str
    tokenizer: "LoadedTokenizer"
    max_length: int
    """Maximum number of tokens, including special tokens."""

    @property
    def room(self) -> int:
        """Maximum number of tokens of a text, without special tokens."""
        return self.tokenizer.special.room(self.max_length)


def tokenization_of(artifact: "ArtifactRef", max_length: int | None = None) -> Tokenization:
    """The tokenizer and the context window of a stored model. Does not load its weights."""
    from nerbench.artifacts.references import materialise
    from nerbench.tasks.inference.loading import load_tokenizer, usable_window

    folder = materialise(artifact)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptArtifactError(f"model {artifact.name}: its config.json cannot be read ({error})") from error
    tokenizer = load_tokenizer(folder)
    limit = usable_window(config, tokenizer.wrapper.model_max_length, max_length)
    return Tokenization(name=artifact.name, tokenizer=tokenizer, max_length=limit)


@dataclass(kw_only=True)
class TokenCounter:
    """Counts tokens sentence by sentence."""

    tokenization: Tokenization
    lengths: list[int] = field(default_factory=list)
    n_words: int = 0
    longer_words: int = 0
    vanished_words: int = 0
    unknown_words: int = 0

    def add(self, sentences: list[list[str]]) -> None:
        """Count the tokens of the next sentences."""
        from nerbench.tasks.inference.tokenization import tokenize

        room, unknown = self.tokenization.room, self.tokenization.tokenizer.wrapper.unk_token_id
        for tokens in tokenize(self.tokenization.tokenizer.backend, sentences):
            self.lengths.append(len(tokens.ids))
            self.n_words += len(tokens.starts)
            for start, end in zip(tokens.starts, tokens.ends, strict=True):
                self.longer_words += end - start > room
                self.vanished_words += end == start
                self.unknown_words += unknown is not None and unknown in tokens.ids[start:end]

    def facts(self) -> TokenFacts:
        """The counts so far."""
        return TokenFacts(
            tokenizer=self.tokenization.name,
            max_length=self.tokenization.max_length,
            lengths=Lengths.of(self.lengths),
            tokens_per_word=round(sum(self.lengths) / self.n_words, 3),
            longer_sentences=sum(length > self.tokenization.room for length in self.lengths),
            longer_words=self.longer_words,
            vanished_words=self.vanished_words,
            unknown_words=self.unknown_words,
        )
