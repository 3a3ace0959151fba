"""Dockerfile and compose file, checked without a container engine; `test_container_image.py` builds the image."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from importlib.metadata import requires
from typing import Any

import pytest
from containers import (
    COMPOSE,
    DOCKERFILE,
    Instruction,
    default_python,
    exists,
    server_settings,
    services,
    stages,
    worker_command,
)
from packaging.requirements import Requirement
from prefect_site import ROOT

SECRET = re.compile(r"PASSWORD|AUTH|SECRET|TOKEN|KEY")


def of(name: str) -> list[Instruction]:
    return [one for stage in stages() for one in stage if one.name == name]


def test_it_runs_as_an_unprivileged_user() -> None:
    (user,) = (one.rest for one in stages()[-1] if one.name == "USER")
    assert re.fullmatch(r"\d+:\d+", user), "a number, so that Kubernetes can tell that it is not root"
    assert not user.startswith("0:")
    names = [one.name for one in stages()[-1]]
    assert "RUN" not in names[names.index("USER") :]


def test_every_image_is_pinned() -> None:
    own = {one.rest.partition(" AS ")[2] for one in of("FROM")}
    for source in (one.rest.partition(" AS ")[0] for one in of("FROM")):
        pinned = re.search(r":\d+\.\d+", source.replace("${PYTHON}", default_python()))
        assert source in own or source == "torch-${DEVICE:-cpu}" or pinned, source


def test_every_package_has_a_hash_except_the_cpu_build_of_torch() -> None:
    installations = [one.rest for one in of("RUN") if "pip install" in one.rest]
    assert all("--no-deps" in command for command in installations)
    hashed = [command for command in installations if "--require-hashes -r" in command]
    (torch, ours) = [command for command in installations if command not in hashed]
    assert len(hashed) == 2
    assert torch.endswith("""whl/cpu  "$(grep -o '^torch==[^ ]*' torch-cuda.lock)\"""")
    assert len(re.findall(r"(?m)^torch==[^ ]*", LOCKS["torch-cuda.lock"])) == 1
    assert not any("constraints.txt" in one.rest for one in of("COPY")), "each changed pin would rebuild torch"
    assert "--no-build-isolation -e ." in ours
    assert "pip check" in ours


LOCKS = {path.name: path.read_text() for path in sorted((ROOT / "deployments").glob("*.lock"))}
LOCKED = re.compile(r"(?:[a-z0-9._-]+==[^ ]+(?: ; [^\\\n]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)+")


def locked(*names: str) -> dict[str, str]:
    """The version of each package."""
    return dict(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", "".join(LOCKS[name] for name in names)))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_contains_versions_and_hashes_but_no_index(name: str) -> None:
    assert LOCKED.fullmatch(LOCKS[name])


def test_files_name_no_index_except_that_of_torch() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    places = [
        name for name in tracked if re.search(r"\.lock$|\.txt$|\.toml$|\.cfg$|\.ini$|Dockerfile|Makefile|^\.ci/", name)
    ]
    assert {"constraints.txt", "deployments/Dockerfile"} <= set(places)
    option = re.compile(
        r"--(?:extra-)?index-url[= ](\S+)|--find-links|--trusted-host|^(?:extra-)?index-url|file://", re.M
    )
    found = [hit for name in places for hit in option.finditer((ROOT / name).read_text(errors="replace"))]
    assert {hit[1] for hit in found} == {"https://download.pytorch.org/whl/cpu"}


def test_locks_and_constraints_have_the_same_versions() -> None:
    constraints = re.findall(r"(?m)^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text())
    pinned = {canonical(name): version for name, version in constraints}
    versions = locked(*LOCKS)
    assert len(versions) > 100
    assert {name: version for name, version in versions.items() if pinned.get(name, version) != version} == {}


def test_packages_installed_without_dependencies_are_complete() -> None:
    """All direct and transitive requirements, as the installed packages declare them."""
    wanted, seen = ["nerbench"], set[str]()
    while wanted:
        name = wanted.pop()
        for requirement in map(Requirement, requires(name) or ()):
            one = canonical(requirement.name)
            if one not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                seen.add(one)
                wanted.append(one)
    assert seen - {"torch"} <= set(locked("requirements.lock"))
    assert "torch" in locked("torch-cuda.lock")


def test_both_devices_have_a_stage() -> None:
    assert {"torch-cpu", "torch-cuda"} <= {one.rest.partition(" AS ")[2] for one in of("FROM")}
    assert {str(one.get("build", {}).get("args", {}).get("DEVICE", "cpu")) for one in services().values()} == {
        "cpu",
        "cuda",
    }


def copied() -> list[str]:
    """Paths of the build context that the image contains."""
    return [path for one in of("COPY") if "--from" not in one.rest for path in one.rest.split()[:-1]]


def test_the_image_contains_all_packages_and_their_files() -> None:
    assert [path for path in copied() if not exists(path)] == []
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"].values()
    assert set(folders) <= set(copied())


def test_packages_are_in_layers_below_the_code() -> None:
    """After a change of the code, the large layers in a registry stay as they are."""
    last = [f"{one.name} {one.rest}" for one in stages()[-1]]
    packages = next(place for place, line in enumerate(last) if line.startswith("RUN pip") and "requirements" in line)
    assert packages < last.index("COPY nerbench nerbench")
    assert [one.rest for one in of("COPY") if "--from" in one.rest] == []


def test_the_build_context_contains_only_copied_files() -> None:
    rules = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*"
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    for path in copied():
        assert any(fnmatch(path, rule) or rule.startswith(f"{path}/") for rule in kept), path
    for secret in (".env", "deployments/.env", "deployments/worker.env", "var", "nerbench.yaml"):
        assert not any(fnmatch(secret, rule) for rule in kept), secret


def environment() -> list[tuple[str, str, str]]:
    return [(service, name, value) for service, one in services().items() for name, value in one["environment"].items()]


def test_secrets_are_required_from_outside() -> None:
    secrets = [(name, value) for _, name, value in environment() if SECRET.search(name)]
    assert len(secrets) >= 4
    for name, value in secrets:
        assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), name
    assert "://" not in "".join(value for _, name, value in environment() if "DATABASE" in name)
    assert "deployments/.env" in COMPOSE.read_text()
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"deployments/.env", "deployments/worker.env"} <= set(ignored)


def test_the_server_requires_the_auth_string_and_csrf_tokens() -> None:
    settings = services()["server"]["environment"]
    assert settings["PREFECT_SERVER_API_AUTH_STRING"] == services()["worker"]["environment"]["PREFECT_API_AUTH_STRING"]
    assert settings["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert "*" not in settings["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]
    published = [port for one in services().values() for port in one.get("ports", ())]
    assert [port.rpartition(":")[0] for port in published] == ["127.0.0.1:4200"]


def test_prefect_knows_every_setting() -> None:
    from prefect.settings import Settings
    from prefect.settings.legacy import _get_valid_setting_names

    known = _get_valid_setting_names(Settings)
    image = [name for one in of("ENV") for name in re.findall(r"(\w+)=", one.rest)]
    named = [name for name in [*image, *(name for _, name, _ in environment())] if name.startswith("PREFECT_")]
    assert len(named) > 15
    assert [name for name in named if name not in known] == []
    assert {"PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE"} <= set(server_settings())


@pytest.mark.parametrize("service", ["database", "server", "worker", "worker-cuda"])
def test_a_service_has_few_rights_and_waits_for_its_dependencies(service: str) -> None:
    one: dict[str, Any] = services()[service]
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["read_only"]
    assert any(place.startswith("/tmp") for place in one["tmpfs"])
    assert one["init"]
    for needed, how in one.get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in services()[needed]


def test_the_worker_serves_the_pool_of_the_deployments_and_reports_its_health() -> None:
    import yaml

    pool = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["definitions"]["pool"]["name"]
    command = worker_command()
    assert command[command.index("--pool") + 1] == pool
    assert "--with-healthcheck" in command
    assert any(one.name == "HEALTHCHECK" for one in stages()[-1])
