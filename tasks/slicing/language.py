"""What the expressions of `expression` are made of, and how it is computed from columns of words.

Numbers are arrays of doubles (numpy), texts are Arrow arrays, truths are arrays of booleans (numpy); or single values.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["number", "text", "truth"]
Values = Mapping[str, Any]
"""By column."""

COLUMNS: dict[str, Kind] = {
    "document": "number",
    "sentence": "number",
    "word": "number",
    "text": "text",
    "gold_tag": "text",
    "pred_tag": "text",
    "score": "number",
    "sentence_length": "number",
    "position": "number",
}
"""What an expression may name."""


class Function(NamedTuple):
    """A function of a text, and perhaps of a second one that is written out."""

    gives: Kind
    apply: Callable[..., Any]
    n_texts: int = 1


FUNCTIONS = {
    "len": Function("number", lambda text: _plain(pc.utf8_length(text)).astype(np.float64)),
    "lower": Function("text", pc.utf8_lower),
    "upper": Function("text", pc.utf8_upper),
    "is_upper": Function("truth", lambda text: _plain(pc.utf8_is_upper(text))),
    "startswith": Function("truth", lambda text, part: _plain(pc.starts_with(text, part)), 2),
    "endswith": Function("truth", lambda text, part: _plain(pc.ends_with(text, part)), 2),
}
"""Letters as Arrow knows them: `lower` and `upper` never change the number of characters."""

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_OF_TEXTS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}


def read_columns(words: pa.Table, names: frozenset[str]) -> Values:
    """Columns of a table; a number that is null becomes NaN."""
    values = {name: words[name].combine_chunks() for name in names}
    return {
        name: column.to_numpy(zero_copy_only=False).astype(np.float64) if COLUMNS[name] == "number" else column
        for name, column in values.items()
    }


def compare(kind: Kind, op: type[ast.cmpop], left: Any, right: Any) -> Any:
    """A comparison of numbers or texts; texts in the order of their code points."""
    return COMPARISONS[op](left, right) if kind == "number" else _plain(_OF_TEXTS[op](left, right))


def is_among(kind: Kind, values: Any, choices: Sequence[Any]) -> Any:
    """Whether each number or text is one of those."""
    if kind == "number":
        return np.isin(values, choices)
    return _plain(pc.is_in(values, pa.array([text.as_py() for text in choices], pa.string())))


def _plain(result: Any) -> Any:
    """What Arrow computed as numpy."""
    return np.asarray(result.as_py()) if isinstance(result, pa.Scalar) else result.to_numpy(zero_copy_only=False)
