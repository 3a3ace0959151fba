"""Custom slices."""

from typing import Self

from pydantic import model_validator

from nerbench.tasks.config.section import Name, Section, Text


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
