"""A corpus of six sentences, which a tiny model learns in seconds."""

from pathlib import Path

SENTENCES = (
    "Anna Berg visited Oslo .|B-PER I-PER O B-LOC O",
    "Acme Corp opened in Paris .|B-ORG I-ORG O O B-LOC O",
    "Anna Berg left Acme Corp .|B-PER I-PER O B-ORG I-ORG O",
    "The German team won .|O B-MISC O O O",
    "Oslo and Paris are cities .|B-LOC O B-LOC O O O",
    "Rain fell on Monday .|O O O O O",
)
TINY = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def write_corpus(path: Path, repeats: int) -> str:
    """A CoNLL file of the sentences; each repetition is a document."""
    document = ["-DOCSTART- O\n"]
    for line in SENTENCES:
        words, tags = (part.split() for part in line.split("|"))
        document.append("".join(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True)))
    path.write_text("\n".join(document * repeats) + "\n")
    return str(path)
