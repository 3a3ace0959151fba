"""Headers of safetensors files, valid and invalid."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_models import MakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from nerbench.artifacts import model_folder
from nerbench.artifacts.errors import UnsafeArtifactError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.model_folder import MAX_HEADER_BYTES, Tensor, read_tensors
from nerbench.artifacts.references import load_manifest, resolve, tensors_of
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store

NUMBERS = {"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.float16), "c": np.zeros((), np.int64)}


def read(path: Path) -> list[Tensor]:
    root = open_root(str(path.parent))
    return read_tensors(partial(root.part, path.name), path.stat().st_size, path.name)


def write(path: Path, said: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def tensor(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_names_types_and_shapes_as_safetensors_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(NUMBERS, path, metadata={"format": "pt"})
    with safe_open(path, "np") as opened:
        expected = {(n, (s := opened.get_slice(n)).get_dtype(), tuple(s.get_shape())) for n in opened.keys()}  # noqa: SIM118
    assert {tuple(found) for found in read(path)} == expected
    assert {found.name: found.parameters for found in read(path)} == {"a": 6, "b": 4, "c": 1}


LIES = {
    "empty": (b"", b"", None, "no header of its length"),
    "a pickle": (b"\x80\x04\x95\x0b", b"", 2**62, "a header of 4611686018427387904 bytes"),
    "oversized": (b"{}", b"", MAX_HEADER_BYTES + 1, "more than 16777216"),
    "longer than the file": (b"{}", b"", 3, "no header of its length"),
    "no JSON": (b"{]", b"", None, "can be read"),
    "a list": (b"[]", b"", None, "can be read"),
    "nested without end": (b"[" * 100_000, b"", None, "can be read"),
    "no tensor": ({"a": 1}, b"", None, "can be read"),
    "an unknown type": ({"a": tensor("F33")}, bytes(4), None, "can be read"),
    "a negative shape": ({"a": tensor(shape=(-1, -1))}, bytes(4), None, "can be read"),
    "a shape of words": ({"a": tensor(shape="x")}, bytes(4), None, "can be read"),
    "a shape that does not fit": ({"a": tensor(shape=(2,))}, bytes(4), None, "can be read"),
    "offsets backwards": ({"a": tensor(shape=(0,), offsets=(4, 0))}, bytes(4), None, "can be read"),
    "offsets of words": ({"a": tensor(offsets=("0", "4"))}, bytes(4), None, "can be read"),
    "true for one": ({"a": tensor(shape=(True,))}, bytes(4), None, "can be read"),
    "overlapping": ({"a": tensor(), "b": tensor()}, bytes(4), None, "overlap"),
    "a gap": ({"a": tensor(offsets=(4, 8))}, bytes(8), None, "leave gaps"),
    "truncated": ({"a": tensor()}, bytes(3), None, "3 bytes of tensors, but its header describes 4"),
    "longer": ({"a": tensor()}, bytes(5), None, "5 bytes of tensors"),
}


@pytest.mark.parametrize(("said", "data", "length", "problem"), LIES.values(), ids=LIES.keys())
def test_invalid_headers(tmp_path: Path, said: Any, data: bytes, length: int | None, problem: str) -> None:
    path = write(tmp_path / "model.safetensors", said, data, length)
    with pytest.raises(UnsafeArtifactError, match=rf"^model\.safetensors: .*({problem})") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(position=st.integers(0, 300), bit=st.integers(0, 7), cut=st.none() | st.integers(0, 300))
def test_headers_that_safetensors_refuses_are_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int, cut: int | None
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "model.safetensors"
    save_file(NUMBERS, path)
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1 << bit
    path.write_bytes(data if cut is None else data[: cut % len(data)])
    try:
        found = read(path)
    except UnsafeArtifactError:
        return
    try:
        with safe_open(path, "np") as opened:
            names = set(opened.keys())
    except SafetensorError as error:
        pytest.fail(f"{found}: {error}")
    assert {one.name for one in found} == names


def test_no_header_is_read_beyond_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def part(start: int, end: int) -> bytes:
        asked.append((start, end))
        return (1 << 40).to_bytes(8, "little")

    monkeypatch.setattr(model_folder, "MAX_HEADER_BYTES", 100)
    with pytest.raises(UnsafeArtifactError, match="more than 100"):
        read_tensors(part, 1 << 41, "x")
    assert asked == [(0, 8)]


def test_only_headers_of_a_store_are_read(store: Store, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    store.publish(make_model(numbers=5000), "big", Provenance())
    (ref,) = resolve("big", store.url)
    read_bytes = 0
    part = Store.part

    def counted(self: Store, entry: Any, start: int, end: int) -> bytes:
        nonlocal read_bytes
        data = part(self, entry, start, end)
        read_bytes += len(data)
        return data

    monkeypatch.setattr(Store, "part", counted)
    assert tensors_of(ref, load_manifest(ref)) == [Tensor("weight", "F32", (5000,))]
    assert read_bytes < 200


def test_headers_of_a_folder(make_model: MakeModel) -> None:
    (ref,) = resolve(str(make_model()), "memory://none")
    assert [found.parameters for found in tensors_of(ref, load_manifest(ref))] == [8]
