"""Small YAML files that expand without limit: by aliases, merge keys or depth, or because they are not files."""

import os
from pathlib import Path

import pytest

from nerbench.artifacts.errors import ConfigError
from nerbench.tasks.config.yaml_file import MAX_BYTES, parse_mapping, read_text

pytestmark = pytest.mark.attacks


def layers(item: str, count: int, width: int) -> str:
    """Each layer names the one before `width` times."""
    lines = ["l0: &l0 {a: 1, b: 2}"]
    lines += [f"l{n}: &l{n} " + item.format(", ".join([f"*l{n - 1}"] * width)) for n in range(1, count)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        layers("[{}]", 40, 10),
        layers("{{<<: [{}]}}", 40, 10),
        layers("{{<<: [{}]}}", 3, 100_000),
        "a: " + "[" * 50_000,
        "a: &a {b: *a}",
        "a: " + "{b: " * 5_000,
    ],
    ids=["aliases", "merges", "wide merges", "depth", "itself", "mappings"],
)
def test_an_endless_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_mapping(text, "nerbench.yaml")


@pytest.mark.legitimate
def test_reasonable_merge_keys_are_read() -> None:
    text = "base: &base {a: 1}\nused: {<<: *base, b: 2}"
    assert parse_mapping(text, "nerbench.yaml")["used"] == {"a": 1, "b": 2}


def test_a_pipe_and_a_device_are_refused_as_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "nerbench.yaml")
    for path in (tmp_path / "nerbench.yaml", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is not a regular file"):
            read_text(path)


def test_a_file_without_end_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "nerbench.yaml"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ConfigError, match=rf"has more than {MAX_BYTES} bytes"):
        read_text(path)
