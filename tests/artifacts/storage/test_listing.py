"""Listings of a local folder: links, loops and unreadable folders."""

import errno
import os
from pathlib import Path

import pytest

from nerbench.artifacts.errors import InputError, StoreUnreachableError
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = open_root(str(tmp_path / "root"))
    for path in ("a/b", "a/deep/c", "d"):
        made.create(path, b"1")
    return made


def test_links_to_folders_are_followed_when_files_are_read(root: Root, tmp_path: Path) -> None:
    (tmp_path / "root/a").rename(tmp_path / "elsewhere")
    (tmp_path / "root/a").symlink_to(tmp_path / "elsewhere")
    assert root.files(recursive=True) == ["a/b", "a/deep/c", "d"]
    assert root.files("a", recursive=True) == ["a/b", "a/deep/c"]


def test_links_are_not_followed_in_an_inventory(root: Root, tmp_path: Path) -> None:
    (tmp_path / "root/a/deep").rename(tmp_path / "elsewhere")
    (tmp_path / "root/a/deep").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/file").symlink_to(tmp_path / "root/d")
    (tmp_path / "root/a/nowhere").symlink_to(tmp_path / "nothing")
    assert root.inventory("a") == (["a/b"], ["a/deep", "a/file", "a/nowhere"])
    (tmp_path / "root/linked").symlink_to(tmp_path / "root/a")
    assert root.inventory("linked") == ([], ["linked"])


def test_loops_end(root: Root, tmp_path: Path) -> None:
    for name in ("up", "up2"):
        (tmp_path / "root/a" / name).symlink_to(tmp_path / "root")
    (tmp_path / "root/self").symlink_to(tmp_path / "root/self")
    assert root.files(recursive=True) == ["a/b", "a/deep/c", "d", "self"]


def test_a_file_is_not_an_empty_folder(root: Root) -> None:
    with pytest.raises(InputError, match=r"root/d: cannot be listed \(Not a directory\)"):
        root.files("d")


class _Unknown:
    """An entry of a file system that does not report the kinds of its entries."""

    def __init__(self, entry: "os.DirEntry[str]") -> None:
        self.name, self.path = entry.name, entry.path

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), self.path)


def test_a_folder_that_cannot_be_listed_is_not_a_file(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    class Listing:
        def __init__(self, path: str) -> None:
            with scandir(path) as listing:
                self.entries = [_Unknown(entry) for entry in listing]

        def __enter__(self) -> list[_Unknown]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Listing)
    with pytest.raises(StoreUnreachableError, match="Stale file handle"):
        root.files(recursive=True)
