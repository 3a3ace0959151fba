"""Configuration of data sets, their splits, additional annotations, custom slices, and metrics of other projects."""

import codecs
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from nerbench.tasks.config.schema_base import Name, Section, SourceName, Split, Text

Format = Literal["conll", "parquet", "json", "csv", "label-studio", "spacy", "brat", "hub", "datasets", "loader"]
Column = Literal["words", "tags", "document", "sentence", "text", "spans", "tokens"]
TagScheme = Literal["auto", "io", "iob1", "iob2", "bioes", "bilou"]

FIELDS_OF: dict[Format, tuple[str, ...]] = {
    "conll": ("files", "columns", "delimiter", "encoding"),
    "parquet": ("files", "columns", "labels", "tokenizer", "flatten"),
    "json": ("files", "columns", "labels", "encoding", "tokenizer", "flatten"),
    "csv": ("files", "columns", "encoding", "tokenizer", "flatten"),
    "label-studio": ("files", "encoding", "tokenizer", "flatten"),
    "spacy": ("files", "encoding", "tokenizer", "flatten", "python"),
    "brat": ("files", "encoding", "tokenizer", "flatten"),
    "hub": ("path", "config", "revision", "columns", "labels", "tokenizer", "flatten"),
    "datasets": ("path", "columns", "labels", "tokenizer", "flatten"),
    "loader": ("loader", "options", "labels"),
}
"""The fields of each format; the first one gives the location and is required."""
_EXAMPLES = {"files": "{test: data/test.txt}", "path": "ZihanWangKi/conllpp", "loader": "my_corpus:load"}


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
        if not (value is None or is_count or value == REST or share_of(value)):
            raise ValueError(f"{value} is not an amount; give a percentage such as 80%, a number such as 500, or rest")
        return value

    @model_validator(mode="after")
    def _amounts_add_up(self) -> Self:
        amounts = self.amounts
        if len(amounts) < 2:
            raise ValueError("a single split divides nothing; give two or more, e.g. {train: 90%, validation: 10%}")
        rests = sum(amount == REST for amount in amounts.values())
        shares = [share for amount in amounts.values() if (share := share_of(amount))]
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

    def __str__(self) -> str:
        """A description such as `train 80%, validation 10%, test 10%, by document, seed 0`."""
        amounts = ", ".join(f"{split} {amount}" for split, amount in self.amounts.items())
        return f"{amounts}, by {self.by}, seed {self.seed}"


class DatasetConfig(Section):
    """A data set: named splits of sentences that have one tag per word."""

    name: Name
    """The name of the data set in tables."""
    format: Format = "conll"
    """`conll`: text files with one word per line. `parquet`, `json`: files with one sentence per row or line, or one
    text with spans by character offsets, such as exports of Doccano and Prodigy; `json` files can also hold one array.
    `csv`: one word or one text per row, with a header. `label-studio`: its JSON export. `spacy`: its JSON training
    data or `.spacy` files. `brat`: a folder of `.txt` and `.ann` files. `hub`: a data set on the Hugging Face Hub, or
    a folder with the same layout. `datasets`: a folder written by `DatasetDict.save_to_disk` or
    `Dataset.save_to_disk`. `loader`: a custom function. See the reference page on data formats."""
    files: dict[SourceName, Text] = Field(default_factory=dict)
    """conll, parquet, json, csv, label-studio, spacy, brat: one file (path or fsspec URL) per split, or `all`: a file
    that `split` divides. `.gz` and `.zst` files are decompressed, except Parquet. brat: a local folder per split."""
    path: Text | None = None
    """hub: the id of the data set, or a local folder. datasets: the folder."""
    config: str | None = None
    """hub: the configuration, for a data set with several."""
    revision: str | None = None
    """hub: branch, tag or commit."""
    loader: Annotated[str, StringConstraints(pattern=r"^[\w.]+:[\w.]+$")] | None = None
    """loader: `package.module:function`; takes the name of a split and yields its sentences as words and tags, or
    returns a `datasets.Dataset` of the split or a `DatasetDict` of all splits."""
    options: dict[str, Any] = Field(default_factory=dict)
    """loader: additional keyword arguments of the function."""
    columns: dict[Column, int | str] = Field(default_factory=dict)
    """The columns of words and tags. conll: 0-based positions, negative from the end (default 0 and -1), or names in a
    `# global.columns =` header. parquet, json, csv, hub, datasets: column names. A sentence per row has `words`
    (default `tokens` or `words`) and `tags` (default `ner_tags` or `tags`); optionally a `document` column, where the
    sentences of a document are adjacent (datasets: default `document`, if there is one). A word per row also has a
    `sentence` column. A text per row has `text` and `spans` (default `entities`, `spans`, `label`, `labels` or `ents`),
    and optionally `tokens` (default `tokens`); a text is a document, unless `document` names a column."""
    delimiter: Literal["auto", "tab", "space", "pipe"] = "auto"
    """conll: the column separator; `auto` is any white space. `pipe`: one sentence per line, as `word|TAG word|TAG`."""
    encoding: str = "utf-8"
    """All files except Parquet: their text encoding."""
    tokenizer: Literal["rules-1", "whitespace", "file"] | None = None
    """Texts with spans: how they are split into words. `rules-1`: white space and punctuation, in the same way as texts
    to predict. `whitespace`: white space only. `file`: the tokens in the data. Default: `file` if there are tokens,
    otherwise `rules-1`. A line break ends a sentence, except in a span."""
    flatten: Literal["longest", "outer"] | None = None
    """Texts with spans: what to keep of spans that overlap. `longest`: the longest ones that do not overlap. `outer`:
    those that no other one contains. Default: overlapping spans are an error that counts them."""
    python: Text | None = None
    """spacy: the interpreter that reads `.spacy` files, e.g. `/other/venv/bin/python`. Default: that of nerbench."""
    labels: tuple[str, ...] = ()
    """parquet, json, hub, datasets, loader: the meaning of integer tags, e.g. `[O, B-PER, I-PER]`."""
    split: SplitConfig | None = None
    """Divides the file `all`, or else the train split, e.g. `{train: 80%, validation: 10%, test: 10%}`."""
    scheme: TagScheme = "auto"
    """The tag scheme; `auto` recognises it from all splits together, except for bare types (`io`)."""
    invalid: Literal["repair", "refuse"] = "repair"
    """Handling of an `I-` (`E-`, `L-`) that does not continue an entity of its type, also in the data set's
    `golds`. `repair` turns it into a `B-`, as conlleval does, with a warning; the column `n_repaired` counts them.
    `refuse` raises an error that names its place. The same holds for a span that cuts a word: `repair` extends it to
    the whole word, and drops a span without a word."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Renames entity types of the data set, e.g. `{PERSON: PER}`."""
    ignore_labels: tuple[str, ...] = ()
    """Entity types of the data set to treat as `O`."""

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"{encoding} is not a text encoding; give e.g. utf-8 or latin-1") from None
        return encoding

    @model_validator(mode="before")
    @classmethod
    def _loader_is_a_format(cls, data: Any) -> Any:
        is_loader = isinstance(data, dict) and data.get("loader") and "format" not in data
        return {**data, "format": "loader"} if is_loader else data

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        read = FIELDS_OF[self.format]
        if not getattr(self, read[0]):
            raise ValueError(f"a {self.format} data set needs `{read[0]}`, e.g. {_EXAMPLES[read[0]]}")
        for name in {field: None for fields in FIELDS_OF.values() for field in fields if field not in read}:
            if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True):
                raise ValueError(f"`{name}` has no effect on a {self.format} data set, which has {', '.join(read)}")
        if self.format == "conll" and {*self.columns} - {"words", "tags", "document"}:
            raise ValueError("a conll data set has columns.words and columns.tags only")
        if self.format == "conll" and "document" in self.columns:
            raise ValueError("columns.document has no effect on a conll data set, which has -DOCSTART- lines")
        return self

    @model_validator(mode="after")
    def _divides_one_source(self) -> Self:
        if self.split is None:
            if "all" in self.files:
                raise ValueError("the file `all` belongs to no split; divide it, e.g. `split: {train: 90%, test: 10%}`")
            return self
        if FIELDS_OF[self.format][0] == "files" and self.divided not in self.files:
            raise ValueError("`split` has no file to divide; give `files: {all: FILE}`, or a train file")
        if twice := [split for split in self.split.amounts if split in self.files and split != self.divided]:
            raise ValueError(f"`split` makes a {twice[0]} split, which has a file too; remove one of them")
        return self

    @property
    def divided(self) -> str:
        """The source that `split` divides."""
        return "all" if "all" in self.files else "train"

    def file_of(self, split: str) -> str | None:
        """The file that a split is read from; None if there is none."""
        if self.format == "brat":
            return None
        is_made = self.split is not None and split in self.split.amounts
        files: Mapping[Any, str] = self.files
        return files.get(self.divided if is_made else split)


class GoldConfig(Section):
    """An additional annotation of the text in the benchmark split of a data set. Its tag scheme can differ. An
    annotation with other sentences or words is aligned by characters."""

    name: Name
    """The name of the annotation in the `gold` column."""
    dataset: Name
    """The annotated data set."""
    file: Text
    """The location, as in `files`, `path` or `loader` of a data set of the same format."""
    format: Format | None = None
    """The format; by default that of the data set, with the same columns, labels, encoding and options."""
    columns: dict[Literal["words", "tags", "sentence", "text", "spans", "tokens"], int | str] = Field(
        default_factory=dict
    )
    """The columns of words and tags, or of texts and spans, if they differ from those of the data set."""
    scheme: TagScheme | None = None
    """The tag scheme; `auto` recognises it. Default: `auto`, or `io` if the data set declares `io`."""


class SliceConfig(Section):
    """Entities whose first word meets a condition. Their scores are rows with `name` in the `slice` column."""

    name: Name
    """The name in the `slice` column."""
    where: Text | None = None
    """An expression over the columns of the predictions, e.g. `sentence_length > 40 and text != lower(text)`."""
    function: Text | None = None
    """`file.py:name` or `package.module:name`: a function that takes a table of those columns and returns one
    Boolean per word."""

    @model_validator(mode="after")
    def _has_one_definition(self) -> Self:
        if (self.where is None) == (self.function is None):
            problem = "neither `where` nor `function`" if self.where is None else "both `where` and `function`"
            raise ValueError(f"the slice {self.name} has {problem}; give one of them")
        return self


class EvaluateMetric(Section):
    """A metric of the library `evaluate`, computed from the tags of all sentences; each of its numbers is a row."""

    evaluate: Text
    """Its script, e.g. `seqeval.py`, or the folder of that name that contains it, in a location from which code may be
    loaded."""
    name: Name | None = None
    """The name of the metric in its rows; the script's name by default."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of its `compute`, e.g. `{mode: strict, scheme: IOB2}`."""


def share_of(amount: Any) -> Fraction | None:
    """The exact share of a percentage; None for a text that is not a percentage above 0."""
    number = amount.removesuffix("%").strip() if isinstance(amount, str) and amount.endswith("%") else ""
    is_number = number.isascii() and number.replace(".", "", 1).isdecimal() and len(number) < 16
    return Fraction(number) / 100 or None if is_number else None


def _percent(share: Fraction | int) -> str:
    return f"{float(share * 100):g}%"
