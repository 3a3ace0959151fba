"""The wheel's packages: the folders at the top level, below `nerbench` (see `package-dir` in pyproject.toml)."""

from setuptools import find_namespace_packages, setup

FOLDERS = ("artifacts", "deployments", "flows", "tasks")
found = find_namespace_packages(include=[pattern for folder in FOLDERS for pattern in (folder, f"{folder}.*")])
setup(packages=["nerbench", "nerbench.taggers", *(f"nerbench.{package}" for package in found)])
