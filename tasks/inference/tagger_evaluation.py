"""Taggers that nerbench does not train: their manifests, and their predictions as those of models are kept."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import ArtifactNotFoundError, InputError
from nerbench.artifacts.manifest import ArtifactKey, ArtifactRef, Manifest, NamedFile, Provenance, TaggerSource
from nerbench.artifacts.references import load_manifest
from nerbench.artifacts.store import LATEST, Store
from nerbench.tasks.config import TaggerConfig
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import OUTSIDE, split_tag, tag_vocabulary
from nerbench.tasks.inference.prediction_files import sentences_of, write_blocks
from nerbench.tasks.inference.tagger_process import Ready, RunningTagger, running_tagger

log = logging.getLogger(__name__)

PARSE_FAILURES = "parse_failures"
"""The count of answers that an adapter could not read."""
PROMPT = "prompt"
"""The file of `files` with the prompt of a language model."""


class SavedTagger(NamedTuple):
    """The manifest of a tagger in the store."""

    artifact: ArtifactRef
    is_new: bool
    """False if the newest manifest of that name describes the same tagger."""


def save_tagger(tagger: TaggerConfig, store: str, run_id: str | None = None) -> SavedTagger:
    """Publish the manifest of a tagger, unless the newest one of its name describes the same tagger.

    Raises like `tagger_manifest`.
    """
    manifest, stored = tagger_manifest(tagger, run_id), Store(store)
    newest = None
    with suppress(ArtifactNotFoundError):  # the alias may outlive its artifact
        # Not `resolve`, which would remember the artifact from before, e.g. for a baseline `TAGGER@latest`.
        if target := stored.find_target(tagger.name, LATEST):
            newest = stored.ref(ArtifactKey(name=tagger.name, artifact_id=target))
    if newest and (newest.model_sha256, newest.label_map) == (manifest.model_sha256, manifest.label_map):
        return SavedTagger(newest, is_new=False)
    return SavedTagger(stored.publish_weightless(manifest), is_new=True)


def tagger_manifest(config: TaggerConfig, run_id: str | None = None) -> Manifest:
    """The manifest of a tagger as it is now; starts it once. Raises like `running_tagger`."""
    with running_tagger(config) as tagger:
        ready = tagger.ready
    return Manifest(
        format_version=1,
        name=config.name,
        kind="tagger",
        files=(),
        labels=tuple(_tags(ready)),
        provenance=Provenance(run_id=run_id),
        label_map=config.label_map,
        tagger=tagger_source(config, ready),
    )


def tagger_source(config: TaggerConfig, ready: Ready) -> TaggerSource:
    """The identity of a tagger's predictions. Raises InputError if a file is missing."""
    digests = {name: _digest(config, name, file) for name, file in config.files.items()}
    return TaggerSource(
        adapter=config.tagger if config.adapter else Path(config.tagger).name,
        sha256=ready.sha256,
        options=config.options,
        versions=ready.versions,
        files=tuple(NamedFile(name=Path(config.files[name]).name, sha256=digest) for name, digest in digests.items()),
        prompt_sha256=digests.get(PROMPT),
        pinned=config.is_pinned,
    )


def infer_by_tagger(  # noqa: PLR0913, PLR0917 - as `infer`
    path: Path,
    config: TaggerConfig | None,
    artifact: ArtifactRef,
    corpus: Corpus,
    blocks: range,
    on_progress: Callable[[int], None],
) -> dict[str, Any]:
    """The fields of a record of predictions that a tagger makes and this process writes to a file.

    Raises RunFailedError that names a sentence, and InputError where the configuration names no such tagger.
    """
    with started_tagger(artifact, config) as tagger:
        names = _tags(tagger.ready)
        predicted = _blocks(tagger, corpus, blocks, names)
        written = write_blocks(path, predicted, names, corpus, blocks=blocks, on_progress=on_progress)
        counts = {name: number for name, number in tagger.counts.items() if number}
    return written._asdict() | {"labels": tuple(names), "ignored_keys": (), "counts": counts or None}


@contextmanager
def started_tagger(artifact: ArtifactRef, config: TaggerConfig | None) -> Iterator[RunningTagger]:
    """The configured tagger, if it is still the one that was saved.

    Raises like `running_tagger`, and InputError where the configuration names no such tagger, or a changed one.
    """
    if config is None:
        problem = "is a tagger that the configuration does not name"
        raise InputError(f"model {artifact.name}", problem, f"add {{name: {artifact.name}, tagger: …}} to models")
    with running_tagger(config) as tagger:
        saved, now = load_manifest(artifact).tagger, tagger_source(config, tagger.ready)
        if changed := [name for name in TaggerSource.model_fields if getattr(saved, name, None) != getattr(now, name)]:
            problem = f"has another {', '.join(changed)} now than when it was saved"
            remedy = "save it again: `nerbench train` with a configuration whose `models` has only this tagger"
            raise InputError(f"model {artifact.name}", problem, remedy)
        yield tagger


def _blocks(tagger: RunningTagger, corpus: Corpus, blocks: range, names: list[str]) -> Iterator[Any]:
    """The predictions of each block, as those of a model; unknown labels are added to `names`."""
    from nerbench.tasks.inference.prediction import BLOCK, BlockPredictions

    number = {name: code for code, name in enumerate(names)}
    sentences = sentences_of(corpus, blocks)
    overlaps = 0
    for block in blocks:
        labels: list[int] = []
        scores: list[float | None] = []
        for tagged in tagger.predict(list(islice(sentences, BLOCK)), block * BLOCK):
            for tag in tagged.tags:
                if tag not in number:
                    number[tag] = len(names)
                    names.append(tag)
                labels.append(number[tag])
            scores += tagged.scores
            overlaps += tagged.overlaps
        yield BlockPredictions(np.array(labels, np.int32), np.array(scores, np.float32), truncated=0, pieces=0)
    if overlaps:
        log.warning("%s: %d spans overlap a better one and are left out", tagger.name, overlaps)


def _tags(ready: Ready) -> list[str]:
    """`O` and the tags of the declared labels, which are tags or entity types; `O` alone if none is declared."""
    split = [(label, split_tag(label, "auto")) for label in ready.labels or ()]
    if split and all(tag for _, tag in split):
        return list(dict.fromkeys([OUTSIDE, *(label for label, _ in split)]))
    return tag_vocabulary(label for label, _ in split)


def _digest(config: TaggerConfig, name: str, file: str) -> str:
    try:
        return sha256_file(Path(file))
    except FileNotFoundError:
        raise InputError(f"models: {config.name}: files.{name}", f"there is no file {file}", "correct it") from None
