"""Makes a stand-in for the base image of the Dockerfile if no registry answers: Debian with its own Python.

    python tests/deployments/base_image.py 3.11

As root, `debootstrap` installs the release of Debian with that Python into a folder, and `buildah` commits the folder
as `docker.io/library/python:3.11-slim-bookworm`, as the Dockerfile names it. The packages come from Debian's mirror,
or from DEBIAN_MIRROR. Without overlayfs, set `driver = "vfs"` in storage.conf; without that file, Buildah 1.28 ignores
the variable STORAGE_DRIVER. Podman uses the same images.
"""

import os
import shutil
import subprocess
import sys
import tempfile

RELEASES = {"3.11": "bookworm", "3.13": "trixie"}
"""Debian's release by the version of its Python; the name of the image ends in `bookworm` for both."""
PROGRAMS = ("debootstrap", "buildah")
PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"


def name_of(python: str) -> str:
    """The name of the image."""
    return f"docker.io/library/python:{python}-slim-bookworm"


def obstacle(python: str) -> str:
    """Why this machine cannot make an image with this Python, or an empty text."""
    if python not in RELEASES:
        return f"no release of Debian is known for Python {python}"
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        return f"{' and '.join(missing)} not installed"
    return "" if os.geteuid() == 0 else "debootstrap needs root"


def make(python: str) -> None:
    """Make the image; raises CalledProcessError."""
    release, mirror = RELEASES[python], os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
    with tempfile.TemporaryDirectory(prefix="nerbench-base-", dir="/var/tmp") as folder:
        _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, folder, mirror)
        container = _run("buildah", "from", "scratch").split()[-1]
        try:
            _run("buildah", "add", "--quiet", container, folder, "/")
            _run("buildah", "commit", "--quiet", container, name_of(python))
        finally:
            _run("buildah", "rm", container)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    make(sys.argv[1])
