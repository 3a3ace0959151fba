"""The recorded facts about machine and code, without heavy imports."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nerbench.artifacts.tables.schemas import TABLES
from nerbench.tasks import environment as module
from nerbench.tasks.environment import (
    PROJECT,
    code_origin,
    code_version,
    cpu_has_bf16,
    environment,
    installed,
    is_importable,
    library_versions,
    machine,
)

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    (tmp_path / "own.py").write_text("1\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*GIT, *arguments], cwd=tmp_path, check=True)
    return tmp_path


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fake processor."""
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    module._cpu_field.cache_clear()
    yield tmp_path / "cpuinfo"
    module._cpu_field.cache_clear()


def test_its_columns_are_columns_of_the_runs_table() -> None:
    found = environment()
    columns = {column.name for column in TABLES["runs"].columns}
    assert set(found) <= columns
    assert {"host", "cpu", "cpu_flags", "threads", "ram_bytes", "gpu", "driver", "cuda", "python"} <= set(found)
    assert found["threads"] >= 1
    assert found["ram_bytes"] > 2**20
    assert found["python"] == platform.python_version()


def test_the_rest_of_the_machine_is_columns_of_the_runs_table_too() -> None:
    found = machine()
    assert set(found) <= {column.name for column in TABLES["runs"].columns}
    assert not set(found) & set(environment())
    assert found["system"].startswith(platform.system())
    assert found["architecture"] == platform.machine()
    assert found["logical_cores"] >= (found["cores"] or 1) >= 1
    assert found["python_implementation"] == platform.python_implementation()


def test_the_governor_is_read_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CPUFREQ", tmp_path)
    assert machine()["governor"] is None
    (tmp_path / "scaling_governor").write_text("powersave\n")
    assert machine()["governor"] == "powersave"


@pytest.mark.parametrize(
    ("remote", "known"),
    [
        ("https://user:secret@example.org/a/b.git", "https://example.org/a/b.git"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("/home/somebody/b", None),
    ],
)
def test_a_checkout_knows_its_origin_without_credentials_and_folders(
    repository: Path, remote: str, known: str | None
) -> None:
    assert code_origin(repository) == {"code_repository": None, "code_tag": None}
    subprocess.run([*GIT, "remote", "add", "origin", remote], cwd=repository, check=True)
    subprocess.run([*GIT, "tag", "v1"], cwd=repository, check=True)
    assert code_origin(repository) == {"code_repository": known, "code_tag": "v1"}
    (repository / "inner").mkdir()
    assert code_origin(repository / "inner") == {"code_repository": None, "code_tag": None}


def test_versions_are_read_without_importing_the_libraries() -> None:
    heavy = "{'torch', 'transformers', 'prefect', 'pyarrow'}"
    call = "import sys; from nerbench.tasks.environment import library_versions; library_versions()"
    code = f"{call}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_versions_name_installed_packages() -> None:
    import numpy

    assert installed("numpy") == numpy.__version__
    assert installed("no-such-package") is None
    assert {"python", "torch", "transformers", "tokenizers"} <= set(library_versions())


def test_a_clean_checkout_has_a_commit_and_is_not_dirty(repository: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    assert code_version(repository) == {"commit": head.stdout.strip(), "dirty": False}


@pytest.mark.parametrize("name", ["own.py", "new.py"])
def test_a_changed_or_new_file_makes_it_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("2\n")
    assert code_version(repository)["dirty"] is True


def test_a_checkout_around_the_project_is_not_the_projects(repository: Path) -> None:
    (repository / "inner").mkdir()
    assert code_version(repository / "inner") == {"commit": None, "dirty": None}


def test_without_a_commit_or_without_git_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_version(tmp_path) == {"commit": None, "dirty": None}
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path, check=True)
    assert code_version(tmp_path) == {"commit": None, "dirty": None}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_version(PROJECT) == {"commit": None, "dirty": None}


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16 avx2\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("vmx flags\t: avx512_bf16\nflags\t: avx2\n", False),
        ("", False),
    ],
)
def test_bf16_is_native_if_the_processor_has_the_flag(cpuinfo: Path, text: str, native: bool) -> None:
    cpuinfo.write_text(text)
    assert cpu_has_bf16() is native


def test_a_machine_without_cpuinfo_still_has_a_processor(cpuinfo: Path) -> None:
    assert cpu_has_bf16() is False
    assert environment()["cpu_flags"] is None


def test_the_accelerator_is_asked_for_its_name_and_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A100, 550.54'\necho 'NVIDIA A100, 550.54'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = environment()
    assert (found["gpu"], found["driver"]) == ("NVIDIA A100", "550.54")


def test_the_accelerator_tells_memory_power_and_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A100, 550.54, 40960, 400.00, P0'\necho 'B, 550.54, [N/A], [N/A], P8'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = machine()
    assert (found["gpus"], found["gpu_memory_bytes"], found["gpu_power_limit_w"]) == (2, 40960 * 2**20, 400.0)
    assert found["gpu_performance_state"] == "P0"
    tool.write_text("#!/bin/sh\necho 'B, 550.54, [N/A], [N/A], P8'\n")
    found = machine()
    assert (found["gpus"], found["gpu_memory_bytes"], found["gpu_power_limit_w"]) == (1, None, None)


def test_a_broken_accelerator_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert {environment()[name] for name in ("gpu", "driver", "cuda")} == {None}


def test_a_folder_without_code_is_not_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs_of_a_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_importable("runs_of_a_tracker")
    assert not is_importable("no_such_package")
    assert is_importable("pytest")
