"""Runs a tagger in a separate process: its start, its environment, and the checks of its replies.

The process runs `nerbench/taggers/child.py`, which describes the messages. Its environment has no secrets. The sizes of
its replies are limited by the words that it got, and everything in them is checked.
"""

import importlib.resources
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nerbench.artifacts.errors import InputError, RunFailedError, one_line
from nerbench.artifacts.secrets import is_secret_name, redact, url_credential
from nerbench.tasks.child_process import CALM, GRACE_S, PARENT, end_group, ending
from nerbench.tasks.config import TaggerConfig
from nerbench.tasks.config.permissions import code_folders, require_file, require_module
from nerbench.tasks.config.schema_taggers import ADAPTERS, PACKAGE
from nerbench.tasks.config.variables import expand_options
from nerbench.tasks.data.tag_schemes import OUTSIDE, split_tag

BATCH_SENTENCES = 256
BATCH_CHARACTERS = 1 << 20
"""Limits of one request; a longer sentence is a separate request."""
MAX_CHARACTERS = 1 << 21
"""Limit of one sentence."""
REPLY_BYTES, REPLY_BYTES_A_WORD = 1 << 12, 256
"""Limit of the reply about one sentence."""
READY_BYTES = 1 << 18
STDERR_BYTES = 1 << 12
"""How much of the end of what the process prints is kept."""
PASSED = frozenset(
    "PATH HOME LANG LC_ALL LC_CTYPE TMPDIR TZ LD_LIBRARY_PATH CUDA_VISIBLE_DEVICES OMP_NUM_THREADS MKL_NUM_THREADS "
    "HF_HOME HF_HUB_CACHE HF_HUB_OFFLINE XDG_CACHE_HOME SSL_CERT_FILE SSL_CERT_DIR "
    "http_proxy https_proxy no_proxy HTTPS_PROXY NO_PROXY".split()
)
"""The variables of the environment that a tagger gets, unless they hold a credential."""


class Ready(BaseModel):
    """The description of a loaded tagger."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The digest of the adapter's source."""
    versions: Annotated[dict[str, Annotated[str, Field(max_length=100)]], Field(max_length=50)]
    """The versions of Python, packages and models."""
    labels: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=10_000)] | None
    """Tags or entity types; None if the tagger does not list them."""
    load_s: float = Field(ge=0)
    """Seconds that loading took."""
    baseline_rss_bytes: int | None = Field(ge=0)
    """Memory before loading."""


class _Done(BaseModel):
    """The end of the replies to one request."""

    model_config = ConfigDict(allow_inf_nan=False, hide_input_in_errors=True)

    done: int
    counts: Annotated[dict[Annotated[str, Field(max_length=50)], Annotated[float, Field(ge=0)]], Field(max_length=16)]


class TaggedSentence(NamedTuple):
    """The tags of one sentence, one per word."""

    tags: list[str]
    scores: list[float | None]
    overlaps: int
    """Spans that were left out because they overlap a better one."""


Model = TypeVar("Model", bound=BaseModel)


class _MisbehavedError(Exception):
    """An error of a tagger, as the predicate of a sentence."""


class RunningTagger:
    """A loaded tagger; made by `running_tagger`."""

    def __init__(self, config: TaggerConfig, process: "subprocess.Popen[bytes]") -> None:
        self.name = config.name
        self._config, self._process = config, process
        self._pipe = _Pipe(process)
        self._kind: str | None = None
        self.counts: dict[str, float] = {}
        """Totals that the adapter counts, e.g. `calls`."""
        options = expand_options(config.options) | config.files
        self._pipe.send({"adapter": find_adapter(config), "options": options}, self._deadline())
        with self._explained("while it loads"):
            reply = self._pipe.receive(READY_BYTES, self._deadline())
            self.ready = _checked(Ready, reply.get("ready"))
        self._known = _known_types(self.ready.labels)

    def predict(self, sentences: Sequence[Sequence[str]], first: int = 0) -> Iterator[TaggedSentence]:
        """The tags of some sentences, of which the first one has the number `first` in the corpus.

        Raises RunFailedError that names the sentence at which the tagger failed.
        """
        for batch in _batches(sentences, first):
            deadline = self._deadline()
            for number, words in enumerate(batch.sentences, start=batch.first):
                with self._explained(f"at sentence {number + 1}", words):
                    if number == batch.first:
                        self._pipe.send({"sentences": batch.sentences}, deadline)
                    reply = self._pipe.receive(REPLY_BYTES + REPLY_BYTES_A_WORD * len(words), deadline)
                    tagged = self._read(reply, len(words))
                yield tagged
            with self._explained(f"after sentence {batch.first + len(batch.sentences)}"):
                end = _checked(_Done, self._pipe.receive(REPLY_BYTES, deadline))
                if end.done != len(batch.sentences):
                    raise _MisbehavedError(f"gives {end.done} results for {len(batch.sentences)} sentences")
                self.counts = end.counts

    def peak_rss_bytes(self) -> int | None:
        """The most memory that the process had so far; None if the system does not report it."""
        with suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            return 1024 * int(status.partition("VmHWM:")[2].split()[0])
        return None

    def _deadline(self) -> float:
        return time.monotonic() + self._config.timeout_s

    def _read(self, reply: Mapping[str, Any], n_words: int) -> TaggedSentence:
        if "done" in reply:
            raise _MisbehavedError("gives no result")
        kind = "tags" if "tags" in reply else "spans"
        if self._kind not in (None, kind):
            raise _MisbehavedError(f"gives {kind}, after {self._kind} for earlier sentences")
        self._kind = kind
        items = reply.get(kind)
        if not isinstance(items, list):
            raise _MisbehavedError("gives neither tags nor spans")
        tagged = _from_tags(items, n_words) if kind == "tags" else _from_spans(items, n_words)
        if self._known is not None and (unknown := {tag[2:] for tag in tagged.tags if tag != OUTSIDE} - self._known):
            raise _MisbehavedError(f"gives the label {min(unknown)!r}, which is none of its labels")
        return tagged

    @contextmanager
    def _explained(self, place: str, words: Sequence[str] = ()) -> Iterator[None]:
        try:
            yield
        except (_MisbehavedError, OSError) as error:
            what = str(error) if isinstance(error, _MisbehavedError) else self._ending()
            text = " ".join(words[:12])
            quoted = f" ({text[:80]}{'…' if len(words) > 12 or len(text) > 80 else ''})" if words else ""
            message = f"tagger {self.name}: {what} {place}{quoted}"
            raise RunFailedError(one_line(redact(message + self._pipe.printed()))) from None

    def _ending(self) -> str:
        """The exit status of a process with a closed pipe, in words."""
        with suppress(subprocess.TimeoutExpired):
            return ending(self._process.wait(GRACE_S))
        return "closes its pipe"


@contextmanager
def running_tagger(config: TaggerConfig) -> Iterator[RunningTagger]:
    """A loaded tagger, whose whole process group is gone afterwards.

    Raises:
        InputError: the adapter may not be loaded, or there is no such interpreter.
        RunFailedError: it fails while it loads.
    """
    child = str(importlib.resources.files(PACKAGE) / "child.py")
    find_adapter(config)  # a refusal starts nothing
    try:
        process = subprocess.Popen(
            [config.python or sys.executable, "-I", child],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=environment_of_child(),
        )
    except OSError as error:
        problem = f"{config.python} cannot be started ({error.strerror})"
        raise InputError(f"models: {config.name}: python", problem, "name a Python interpreter") from None
    try:
        yield RunningTagger(config, process)
        process.stdin.close()  # type: ignore[union-attr]
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    finally:
        end_group(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def environment_of_child() -> dict[str, str]:
    """The environment of a tagger: what it needs to run, and no secret."""
    known = {name: text for name, text in os.environ.items() if name in PASSED and not is_secret_name(name)}
    safe = {name: text for name, text in known.items() if not url_credential(text)}
    return {**CALM, **safe, PARENT: str(os.getpid())}


def find_adapter(config: TaggerConfig) -> dict[str, Any]:
    """The location of an adapter's class, as the child needs it. Raises InputError if it may not be loaded."""
    place, _, name = config.tagger.rpartition(":")
    if config.adapter:
        file_of, _, name = ADAPTERS[config.adapter].partition(":")
        return {"file": str(importlib.resources.files(PACKAGE) / file_of), "name": name}
    if place.endswith(".py"):
        file = require_file(place)
        if not file.is_file():
            raise InputError(f"models: {config.name}: tagger", f"there is no file {place}", "name a Python file")
        return {"file": str(file), "name": name, "search": [str(file.parent)]}
    for folder in filter(Path.is_dir, code_folders()):
        path = folder.joinpath(*place.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return {"module": place, "expected": str(require_file(file)), "name": name, "search": [str(folder)]}
    require_module(place, [])
    return {"module": place, "name": name}


class _Pipe:
    """Messages to and from a process, each within a limit of size and until a deadline."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._to, self._from, self._stderr = process.stdin.fileno(), process.stdout.fileno(), process.stderr
        self._unread = bytearray()
        self._tail = b""
        for descriptor in (self._to, self._from):
            os.set_blocking(descriptor, False)
        self._draining = threading.Thread(target=self._drain, daemon=True)
        self._draining.start()

    def send(self, message: Any, deadline: float) -> None:
        """Write a message. A closed pipe is noticed when the reply is read."""
        body = json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        data = memoryview(len(body).to_bytes(4, "big") + body)
        with suppress(BrokenPipeError):
            while data:
                self._wait(self._to, selectors.EVENT_WRITE, deadline)
                data = data[os.write(self._to, data) :]

    def receive(self, limit: int, deadline: float) -> dict[str, Any]:
        """Read a message; raises BrokenPipeError where the process is gone."""
        size = int.from_bytes(self._read(4, deadline), "big")
        if size > limit:
            raise _MisbehavedError(f"announces a reply of {size} bytes, {limit} at most are allowed,")
        try:
            message = json.loads(self._read(size, deadline), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise _MisbehavedError("replies with invalid JSON") from None
        if not isinstance(message, dict):
            raise _MisbehavedError("replies with JSON that is not a message")
        if "error" in message:
            raise _MisbehavedError(f"fails ({str(message['error'])[:500]})")
        return message

    def printed(self) -> str:
        """The end of what the process printed to standard error, in a few words."""
        self._draining.join(0.2)
        lines = self._tail.decode(errors="replace").strip().splitlines()[-3:]
        return f"; it printed: {' | '.join(lines)[-300:]}" if lines else ""

    def _read(self, size: int, deadline: float) -> bytes:
        while len(self._unread) < size:
            self._wait(self._from, selectors.EVENT_READ, deadline)
            part = os.read(self._from, 1 << 16)
            if not part:
                raise BrokenPipeError
            self._unread += part
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise _MisbehavedError("gives no reply in time (timeout_s)")

    def _drain(self) -> None:
        with suppress(OSError, ValueError):
            while part := self._stderr.read(1 << 12):
                self._tail = (self._tail + part)[-STDERR_BYTES:]


class _Batch(NamedTuple):
    """Sentences of one request."""

    first: int
    sentences: list[list[str]]


def _batches(sentences: Sequence[Sequence[str]], first: int) -> Iterator[_Batch]:
    batch, characters = _Batch(first, []), 0
    for number, words in enumerate(sentences, start=first):
        size = sum(len(word) + 4 for word in words)
        if size > MAX_CHARACTERS:
            raise RunFailedError(f"sentence {number + 1} has more than {MAX_CHARACTERS} characters, too many to send")
        if batch.sentences and (len(batch.sentences) == BATCH_SENTENCES or characters + size > BATCH_CHARACTERS):
            yield batch
            batch, characters = _Batch(number, []), 0
        batch.sentences.append(list(words))
        characters += size
    if batch.sentences:
        yield batch


def _from_tags(items: list[Any], n_words: int) -> TaggedSentence:
    if len(items) != n_words:
        raise _MisbehavedError(f"gives {len(items)} tags for {n_words} words")
    for tag in items:
        if not isinstance(tag, str) or len(tag) > 200 or split_tag(tag, "auto") is None:
            raise _MisbehavedError(f"gives {str(tag)[:60]!r}, which is neither O nor B-TYPE, I-TYPE or the like,")
    return TaggedSentence(items, [None] * n_words, 0)


def _from_spans(items: list[Any], n_words: int) -> TaggedSentence:
    """Tags of spans. Of spans that overlap, the one with the best score stays, then the longest, then the first."""
    spans = sorted((_span(item, n_words) for item in items), key=lambda s: (-(s[3] or 0.0), s[0] - s[1], s[0], s[2]))
    tagged = TaggedSentence([OUTSIDE] * n_words, [None] * n_words, 0)
    kept = 0
    for start, end, kind, score in spans:
        if all(tag == OUTSIDE for tag in tagged.tags[start:end]):
            tagged.tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
            tagged.scores[start:end] = [score] * (end - start)
            kept += 1
    return tagged._replace(overlaps=len(spans) - kept)


def _span(item: Any, n_words: int) -> tuple[int, int, str, float | None]:
    match item:
        case [int(start), int(end), str(kind), float() | int() | None as score] if (
            type(start) is type(end) is int
            and 0 <= start < end <= n_words
            and (score is None or 0 <= score <= 1)
            and len(kind) <= 200
            and split_tag(f"B-{kind}", "auto")
        ):
            return start, end, kind, score
    raise _MisbehavedError(f"gives {str(item)[:80]!r}, which is not a [start, end, type, score] of {n_words} words,")


def _known_types(labels: Sequence[str] | None) -> frozenset[str] | None:
    """The entity types of declared labels, which are tags or types."""
    if labels is None:
        return None
    tags = [split_tag(label, "auto") for label in labels]
    return frozenset(tag.type if tag else label for tag, label in zip(tags, labels, strict=True))


def _checked(model: type[Model], data: Any) -> Model:
    try:
        return model.model_validate(data, strict=False)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise _MisbehavedError(f"replies with an invalid message ({place or 'not a mapping'})") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
