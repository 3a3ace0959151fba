"""Predictions of a data set's words on the words of an annotation that is aligned with them."""

import numpy as np
import pyarrow as pa

from nerbench.tasks.data.alignment import Alignment
from nerbench.tasks.data.arrow_cache import CHUNK
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import TagReading, tag_vocabulary
from nerbench.tasks.inference.prediction_files import Positions, positions
from nerbench.tasks.scoring.entities import Codes, Flags, encode, extract


def project_predictions(
    table: pa.Table, reading: TagReading, types: tuple[str, ...], corpus: Corpus, alignment: Alignment
) -> tuple[pa.Table, pa.ChunkedArray]:
    """The predictions (document, sentence, word, score) and the tags, in IOB2, on the words of an aligned annotation.

    Args:
        table: sentence, pred and score of the words of the data set.
        corpus: The aligned annotation; `alignment` is its own.
    """
    starts = np.diff(table["sentence"].to_numpy(), prepend=-1) != 0
    labels = table["pred"].cast(pa.string()).dictionary_encode().unify_dictionaries().combine_chunks()
    codes = encode(reading.read(labels, starts), types)
    tags = project(codes, starts, alignment, corpus.sentence_starts)
    places = [np.concatenate(one) for one in zip(*positions(corpus, CHUNK), strict=True)]
    columns = dict(zip(Positions._fields, places, strict=True))
    document = pa.array(columns["document"], mask=columns["document"] < 0)
    source = pa.array(alignment.source, mask=alignment.source < 0)
    scores = table["score"].combine_chunks().take(source)
    found = pa.table(columns | {"document": document, "score": scores})
    return found, pa.chunked_array([pa.DictionaryArray.from_arrays(tags, tag_vocabulary(types))])


def project(codes: Codes, starts: Flags, alignment: Alignment, aligned_starts: Flags) -> Codes:
    """Predicted tags on aligned words.

    An entity keeps those of its words that the annotation has, even if its first word is left out. An invalid `I-` at
    its beginning stays one, unless a sentence was joined with the one before, or a word between was left out, so that
    it would continue an entity: then it is read as `B-`. Words of the annotation alone are `O`.

    Args:
        codes: (words of the data set,) from `encode`.
        starts: (words of the data set,) true at the first word of each sentence.
        aligned_starts: (aligned words,) likewise.
    """
    entities = extract(codes, starts, "conlleval")
    number = np.full(len(codes) + 1, -1, np.int64)  # the last one is that of no word
    number[:-1][entities.start] = 1
    number[:-1] = np.where(codes > 0, np.cumsum(number[:-1] > 0) - 1, -1)
    entity = number[alignment.source]
    before = np.concatenate([[-1], entity[:-1]])
    types = np.append(entities.type, -1)  # that of no entity
    continues = (types[entity] == types[before]) & ~aligned_starts
    is_begin = np.append(codes[entities.start] & 1, 0)[entity].astype(np.bool_)
    begins = (entity != before) & (is_begin | continues)
    return np.where(entity < 0, 0, 2 * types[entity] + np.where(begins, 1, 2)).astype(np.int32)
