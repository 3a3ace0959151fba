"""The language of slice expressions, and their evaluation on columns of words.

Numbers are arrays of doubles (numpy), texts are Arrow arrays, conditions are arrays of booleans (numpy), or they are
single values.

The syntax is Python's. An expression is checked before anything is computed, and can only contain: comparisons, also
chained; `and`, `or`, `not`; `in` and `not in` with a list of numbers or texts; `+ - * / %` on numbers; numbers and
texts; and the COLUMNS and FUNCTIONS of this module. Numbers are doubles; as in numpy, a division by zero gives infinity
or NaN. An unknown score is NaN, too, for which only `!=` holds.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.errors import InputError
from nerbench.tasks.scoring.entities import Flags

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
"""The columns that an expression may name."""


class Function(NamedTuple):
    """A function of a text, perhaps with a literal as second argument."""

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
"""Letters as in Arrow: `lower` and `upper` never change the number of characters."""

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
    """The columns of a table; a null number becomes NaN."""
    values = {name: words[name].combine_chunks() for name in names}
    return {
        name: column.to_numpy(zero_copy_only=False).astype(np.float64) if COLUMNS[name] == "number" else column
        for name, column in values.items()
    }


def compare(kind: Kind, op: type[ast.cmpop], left: Any, right: Any) -> Any:
    """Compare numbers or texts; texts are ordered by code point."""
    return COMPARISONS[op](left, right) if kind == "number" else _plain(_OF_TEXTS[op](left, right))


def is_among(kind: Kind, values: Any, choices: Sequence[Any]) -> Any:
    """Whether each number or text is in the list."""
    if kind == "number":
        return np.isin(values, choices)
    return _plain(pc.is_in(values, pa.array([text.as_py() for text in choices], pa.string())))


def _plain(result: Any) -> Any:
    """An Arrow result as a numpy array."""
    return np.asarray(result.as_py()) if isinstance(result, pa.Scalar) else result.to_numpy(zero_copy_only=False)


ALLOWED = (
    f"use comparisons, and, or, not, in, + - * / %, numbers, texts, the columns {', '.join(COLUMNS)}, "
    f"and the functions {', '.join(FUNCTIONS)}"
)
MAX_CHARACTERS = 2000
MAX_DEPTH = 40
_NAMES: dict[Kind, str] = {"number": "a number", "text": "a text", "truth": "a condition"}

Compute = Callable[[Values], Any]


class Expression(NamedTuple):
    """A checked condition."""

    columns: frozenset[str]
    """The columns that it names."""
    truth: Compute

    def evaluate(self, words: pa.Table) -> Flags:
        """(words,) whether each word satisfies it. `words` has its columns, and no text is null."""
        with np.errstate(all="ignore"):
            flags = np.asarray(self.truth(read_columns(words, self.columns)), np.bool_)
        return np.broadcast_to(flags, words.num_rows)


class _Term(NamedTuple):
    kind: Kind
    of: Compute


class _RefusedError(Exception):
    """Why an expression is invalid."""


def parse(where: str, owner: str) -> Expression:
    """Check an expression without evaluating it.

    Raises:
        InputError: It uses something outside the language, mixes numbers, texts and conditions, or is not a condition.
            The message names `owner`, the expression and what is allowed.
    """
    try:
        tree = _tree(where)
        truth = _want("truth", tree, 0)
    except (_RefusedError, RecursionError) as error:
        shown = where if len(where) <= 100 else f"{where[:99]}…"
        problem = str(error) if isinstance(error, _RefusedError) else "is nested too deep"
        raise InputError(f"{owner}: where `{shown}`", problem, ALLOWED) from None
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return Expression(frozenset(names & set(COLUMNS)), truth)


def _tree(where: str) -> ast.expr:
    if len(where) > MAX_CHARACTERS:
        raise _RefusedError(f"has more than {MAX_CHARACTERS} characters")
    try:
        return ast.parse(where.strip(), mode="eval").body
    except SyntaxError as error:
        raise _RefusedError(f"is not an expression ({error.msg})") from None
    except (ValueError, MemoryError) as error:  # half a character; nested too deep for the parser
        raise _RefusedError(f"is not an expression ({type(error).__name__})") from None


def _want(kind: Kind, node: ast.expr, depth: int) -> Compute:
    term = _term(node, depth)
    if term.kind != kind:
        raise _RefusedError(f"{_shown(node)} is {_NAMES[term.kind]} where {_NAMES[kind]} is needed")
    return term.of


def _term(node: ast.expr, depth: int) -> _Term:
    if depth > MAX_DEPTH:
        raise _RefusedError(f"is nested deeper than {MAX_DEPTH} levels")
    return _READERS.get(type(node), _refuse)(node, depth + 1)


def _constant(node: ast.Constant, _: int) -> _Term:
    value: Any
    if isinstance(node.value, str):
        value = pa.scalar(node.value)
        return _Term("text", lambda values: value)
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        _refuse(node)
    try:
        value = np.float64(node.value)
    except OverflowError:
        raise _RefusedError("has a number that is too large") from None
    return _Term("number", lambda values: value)


def _name(node: ast.Name, _: int) -> _Term:
    if node.id not in COLUMNS:
        raise _RefusedError(f"there is no column {node.id}")
    return _Term(COLUMNS[node.id], operator.itemgetter(node.id))


def _unary(node: ast.UnaryOp, depth: int) -> _Term:
    if isinstance(node.op, ast.Not):
        truth = _want("truth", node.operand, depth)
        return _Term("truth", lambda values: np.logical_not(truth(values)))
    if isinstance(node.op, ast.USub):
        number = _want("number", node.operand, depth)
        return _Term("number", lambda values: np.negative(number(values)))
    _refuse(node)


def _binary(node: ast.BinOp, depth: int) -> _Term:
    if type(node.op) not in ARITHMETIC:
        _refuse(node)
    apply = ARITHMETIC[type(node.op)]
    left, right = _want("number", node.left, depth), _want("number", node.right, depth)
    return _Term("number", lambda values: apply(left(values), right(values)))


def _boolean(node: ast.BoolOp, depth: int) -> _Term:
    combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
    return _combined(combine, [_want("truth", value, depth) for value in node.values])


def _chain(node: ast.Compare, depth: int) -> _Term:
    """`a < b < c` as `a < b and b < c`."""
    sides = [node.left, *node.comparators]
    pairs = [_comparison(op, sides[at], sides[at + 1], depth) for at, op in enumerate(node.ops)]
    return _combined(np.logical_and, pairs)


def _combined(combine: Callable[[Any, Any], Any], truths: list[Compute]) -> _Term:
    def of(values: Values) -> Any:
        result = truths[0](values)
        for truth in truths[1:]:
            result = combine(result, truth(values))
        return result

    return _Term("truth", of)


def _comparison(op: ast.cmpop, first: ast.expr, second: ast.expr, depth: int) -> Compute:
    kind, left = _term(first, depth)
    if kind == "truth":
        raise _RefusedError(f"{_shown(first)} is a condition, which cannot be compared")
    if isinstance(op, ast.In | ast.NotIn):
        choices, negated = _choices(kind, second), isinstance(op, ast.NotIn)
        return lambda values: is_among(kind, left(values), choices) ^ negated
    if type(op) not in COMPARISONS:
        raise _RefusedError("`is` is not allowed")
    right = _want(kind, second, depth)
    return lambda values: compare(kind, type(op), left(values), right(values))


def _choices(kind: Kind, node: ast.expr) -> list[Any]:
    """The elements of a literal list."""
    if not isinstance(node, ast.Tuple | ast.List):
        raise _RefusedError(f"`in` needs a list that is written out, and {_shown(node)} is none")
    for choice in node.elts:
        if not isinstance(choice.operand if isinstance(choice, ast.UnaryOp) else choice, ast.Constant):
            raise _RefusedError(f"{_shown(choice)} in a list is not written out")
    return [_want(kind, choice, 0)({}) for choice in node.elts]


def _call(node: ast.Call, depth: int) -> _Term:
    if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS or node.keywords:
        _refuse(node)
    function = FUNCTIONS[node.func.id]
    if len(node.args) != function.n_texts:
        raise _RefusedError(f"{_shown(node)} has {len(node.args)} arguments instead of {function.n_texts}")
    text = _want("text", node.args[0], depth)
    parts = [arg.value for arg in node.args[1:] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if len(parts) < function.n_texts - 1:
        raise _RefusedError(f"the second argument of {_shown(node)} is not a text literal")
    return _Term(function.gives, lambda values: function.apply(text(values), *parts))


def _refuse(node: ast.expr, _: int = 0) -> NoReturn:
    raise _RefusedError(f"{_shown(node)} is not allowed")


def _shown(node: ast.expr) -> str:
    text = ast.unparse(node)
    return f"`{text}`" if len(text) <= 40 else f"`{text[:39]}…`"


_READERS: dict[type[ast.expr], Callable[[Any, int], _Term]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.Compare: _chain,
    ast.Call: _call,
}
