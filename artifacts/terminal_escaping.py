"""Escapes foreign text for a terminal: characters that move the cursor, change colours or reorder text."""

import logging
import re

from nerbench.artifacts.secrets import redact_logs

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u2028\u2029\ud800-\udfff]"  # further line separators; surrogates
)
_OURS = re.compile(r"(nerbench|prefect\.(flow|task)_runs)\b")


def escaped(text: str) -> str:
    r"""The text with every control character as `\x1b` or `\u202e`; tabs and line feeds stay."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class EscapedRecord(logging.LogRecord):
    """A log record of nerbench whose message is escaped, whatever formats it. Other libraries add colours to theirs."""

    def getMessage(self) -> str:
        """The message; escaped if the record is from nerbench or from a Prefect run."""
        text = super().getMessage()
        return escaped(text) if _OURS.match(self.name) else text


def escape_logs() -> None:
    """Escape log messages of this process from now on."""
    logging.setLogRecordFactory(EscapedRecord)
    redact_logs()  # which this factory would have replaced
