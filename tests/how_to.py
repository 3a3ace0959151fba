"""The code blocks of the how-to guides, which tests run."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"(?:<!-- (?P<mark>[\w ]+) -->\n)?```(?P<kind>\w+)\n(?P<code>.*?)```", re.DOTALL)


def blocks(page: str, kind: str) -> list[str]:
    """The blocks of a kind, such as `python`, on a page, such as `s3`."""
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text()
    return [found["code"] for found in _BLOCK.finditer(text) if found["kind"] == kind]


def commands(page: str) -> list[str]:
    """The lines of the shell blocks of a page, without comments."""
    lines = "".join(blocks(page, "sh")).splitlines()
    return [re.sub(r"\s+#.*", "", line) for line in lines]
