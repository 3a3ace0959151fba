"""Text of strangers on a terminal: what could move its cursor, change its colours or reorder its characters."""

import logging
import re

from nerbench.artifacts.secrets import redact_logs

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u2028\u2029\ud800-\udfff]"  # further line ends; halves of a character
)
_OURS = re.compile(r"(nerbench|flows|tasks|artifacts|prefect\.(flow|task)_runs)\b")


def escaped(text: str) -> str:
    """The text with every character that a terminal would obey as `\\x1b` or `\\u202e`; tabs and line feeds stay."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class EscapedRecord(logging.LogRecord):
    """A log record whose message is escaped if it is ours, whoever formats it. Other libraries colour theirs."""

    def getMessage(self) -> str:
        """The message."""
        text = super().getMessage()
        return escaped(text) if _OURS.match(self.name) else text


def escape_logs() -> None:
    """From now on, in this process."""
    logging.setLogRecordFactory(EscapedRecord)
    redact_logs()  # which this factory would have replaced
