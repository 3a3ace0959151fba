"""A WordPiece tokenizer trained on a corpus, for models that are built from a configuration alone."""

from collections.abc import Iterable

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(sentences: Iterable[Iterable[str]], vocabulary: int, window: int) -> PreTrainedTokenizerFast:
    """Train a cased WordPiece tokenizer of at most `vocabulary` entries; the same words give the same tokenizer.

    The trainer numbers the continuation characters in a hash order that differs between processes. Naming them
    in sorted order beforehand, as special tokens, takes that freedom away; a tokenizer built anew from the vocabulary
    then treats them as ordinary pieces.
    """
    words = [word for sentence in sentences for word in sentence]
    draft = _tokenizer(models.WordPiece(unk_token="[UNK]"))
    alphabet = sorted({c for word in set(words) for c in draft.normalizer.normalize_str(word) if not c.isspace()})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=[*SPECIAL, *(f"##{c}" for c in alphabet)],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    draft.train_from_iterator(words, trainer)
    entries = draft.get_vocab()
    tokenizer = _tokenizer(models.WordPiece(vocab=entries, unk_token="[UNK]"))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", entries["[SEP]"]), ("[CLS]", entries["[CLS]"]))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=window,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _tokenizer(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
