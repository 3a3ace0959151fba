"""Where corpora and further annotations of them are, and how they are read."""

import codecs
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from nerbench.tasks.config.section import Name, Section, Split, Text

Format = Literal["conll", "parquet", "json", "hub", "loader"]
TagScheme = Literal["auto", "io", "iob1", "iob2", "bioes", "bilou"]

FIELDS_OF: dict[Format, tuple[str, ...]] = {
    "conll": ("files", "columns", "delimiter", "encoding"),
    "parquet": ("files", "columns", "labels"),
    "json": ("files", "columns", "labels", "encoding"),
    "hub": ("path", "config", "revision", "columns", "labels"),
    "loader": ("loader", "options", "labels"),
}
"""What says how a data set of each format is read; the first is where it is, and is needed."""
_EXAMPLES = {"files": "{test: data/test.txt}", "path": "ZihanWangKi/conllpp", "loader": "my_corpus:load"}


class DatasetConfig(Section):
    """A corpus: named splits of sentences of words with one tag a word."""

    name: Name
    """The name it is known by in tables."""
    format: Format = "conll"
    """`conll`: text files with one word a line. `parquet`, `json`: files with one sentence a row, or a line. `hub`: a
    data set of the Hugging Face Hub, or a folder in its layout. `loader`: a function of your own."""
    files: dict[Split, Text] = Field(default_factory=dict)
    """conll, parquet, json: one file (path or fsspec URL) a split."""
    path: Text | None = None
    """hub: the data set's id, or a local folder."""
    config: str | None = None
    """hub: the configuration of a data set that has several."""
    revision: str | None = None
    """hub: branch, tag or commit."""
    loader: Annotated[str, StringConstraints(pattern=r"^[\w.]+:[\w.]+$")] | None = None
    """loader: `package.module:function`, called with a split's name; gives its sentences of words and tags."""
    options: dict[str, Any] = Field(default_factory=dict)
    """loader: further keyword arguments of the function."""
    columns: dict[Literal["words", "tags", "document"], int | str] = Field(default_factory=dict)
    """Where words and tags stand. conll: 0-based positions, negative from the end (default 0 and -1), or names of a
    `# global.columns =` header. parquet, json, hub: column names (default `tokens` or `words`, and `ner_tags` or
    `tags`), and optionally that of a `document`, whose sentences stand together."""
    delimiter: Literal["auto", "tab", "space"] = "auto"
    """conll: what separates columns; `auto` is any white space."""
    encoding: str = "utf-8"
    """conll, json: the files' text encoding."""
    labels: tuple[str, ...] = ()
    """parquet, json, hub, loader: what tags mean that are integers, e.g. `[O, B-PER, I-PER]`."""
    scheme: TagScheme = "auto"
    """The tag scheme; `auto` recognises it over all splits together, bare types (`io`) excepted."""
    invalid: Literal["repair", "refuse"] = "repair"
    """What becomes of an `I-` (`E-`, `L-`) that continues no entity of its type, here and in the data set's `golds`.
    `repair`: it becomes a `B-`, as conlleval reads it, with a warning; the column `n_repaired` counts. `refuse`: an
    error that names its place."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Entity types of the corpus renamed, e.g. `{PERSON: PER}`."""
    ignore_labels: tuple[str, ...] = ()
    """Entity types of the corpus that are read as `O`."""

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"{encoding} is no text encoding; give e.g. utf-8 or latin-1") from None
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
                raise ValueError(f"`{name}` says nothing about a {self.format} data set, which has {', '.join(read)}")
        if self.format == "conll" and "document" in self.columns:
            raise ValueError("columns.document says nothing about a conll data set, whose -DOCSTART- lines do")
        return self


class GoldConfig(Section):
    """A further annotation of the words of a data set's benchmark split, with a tag scheme of its own."""

    name: Name
    """The name it is known by in the `gold` column."""
    dataset: Name
    """The data set whose words it annotates."""
    file: Text
    """Where it is: what `files`, `path` or `loader` are in a data set of its format."""
    format: Format | None = None
    """Its format; that of the data set, with the same columns, labels, encoding and options, where None."""
    columns: dict[Literal["words", "tags"], int | str] = Field(default_factory=dict)
    """Where its words and tags stand, if not where they do in the data set."""
    scheme: TagScheme | None = None
    """Its tag scheme; `auto` recognises it, and is what None means, unless the data set declares `io`."""
