"""What the keys of the configuration mean: the docstrings under the fields of its sections.

pydantic's `use_attribute_docstrings` would read the source of every section on import, which takes a third of the time
to import the configuration. Only forms, documents and model cards need the descriptions, so they are read on demand.
"""

import ast
import inspect
import linecache
import sys
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


@cache
def field_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings under the fields of a model and of its bases, by field; empty if their source is missing."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        found |= _docstrings(base.__module__).get(base.__qualname__, {}) if issubclass(base, BaseModel) else {}
    return {name: text for name, text in found.items() if name in model.model_fields}


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """The docstrings under the annotated names of each class of a module, except nested classes."""
    names = vars(sys.modules[module])
    source = "".join(linecache.getlines(names.get("__file__") or "", names))  # the names lead to a zipped package
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    found: dict[str, dict[str, str]] = {node.name: {} for node in classes}
    for node in classes:
        for field, below in pairwise(node.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[node.name][name] = inspect.cleandoc(text)
    return found
