"""Reads a page like a browser."""

import re
from html.parser import HTMLParser
from typing import Any

from nerbench.tasks.report.formats import unpacked


class Page(HTMLParser):
    """The elements of a page, parsed like in a browser."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: dict[str | None, str] = {}
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] == "script":
            self.scripts[self.tags[-1][1].get("id")] = data
        elif self._inside and self._inside[-1] != "style":
            self.text.append(data)

    @property
    def said(self) -> str:
        """All visible text, with single blanks."""
        return " ".join(" ".join(self.text).split())

    def block(self, name: str) -> Any:
        """The packed data in the page under a name."""
        return unpacked(self.scripts[f"block-{name}"])

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for found, attributes in self.tags if found == tag]


def plain(text: str) -> str:
    """With ordinary blanks."""
    return re.sub(r"\s", " ", text)
