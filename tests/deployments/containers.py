"""Reads the Dockerfile and the compose file like a container engine."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from prefect_site import ROOT

DOCKERFILE = ROOT / "deployments" / "Dockerfile"
COMPOSE = ROOT / "deployments" / "compose.yaml"


class Instruction(NamedTuple):
    """One line of a Dockerfile, continuations joined."""

    name: str
    rest: str

    @property
    def arguments(self) -> list[str]:
        """The arguments of a CMD in JSON form."""
        found: list[str] = json.loads(self.rest[self.rest.index("[") :])
        return found


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, without the arguments before the first one."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text()))
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction = Instruction(*line.split(maxsplit=1))
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def default_python() -> str:
    """The version of Python in the image, without a build argument."""
    found = re.search(r"(?m)^ARG PYTHON=(\S+)$", DOCKERFILE.read_text())
    assert found
    return found[1]


def worker_command() -> list[str]:
    """The default command of a container."""
    return next(one.arguments for one in stages()[-1] if one.name == "CMD")


def services() -> dict[str, dict[str, Any]]:
    """The services of the compose file, merged."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def server_settings() -> dict[str, str]:
    """The Prefect settings of the composed server, except those of its database and its secrets."""
    environment: dict[str, str] = services()["server"]["environment"]
    return {name: value for name, value in environment.items() if "DATABASE" not in name and "$" not in value}


def exists(path: str) -> bool:
    """Whether a path of the build context is in the checkout."""
    return (ROOT / Path(path)).exists()
