"""Builds the image and runs commands in it, with the first of Docker, Podman and Buildah that works on this machine.

Buildah alone has no read-only root. There, `unshare`, `chroot` and `setpriv` run the command in the image's mounted
files, with the user, the environment and the folder that the image declares, and without capabilities; this needs root.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import base_image
import psutil
import pytest
from containers import DOCKERFILE, default_python, services
from prefect_site import PATIENCE_S, ROOT

TAG = "localhost/nerbench:test"
CONTAINER = "nerbench-test"
"""The working container of Buildah with the image's files."""
DEVICE = os.environ.get("DEVICE", "cpu")
"""The build argument of the Dockerfile; the image for `cuda` runs on the CPU here."""
TORCH_INDEX = "https://download.pytorch.org/whl/cpu/torch/"
WRITABLE = ("/work", "/home/nerbench", "/cache")
"""Folders of the image's user; everything else except /tmp is read-only."""
CHROOT = """
root=$1 folder=$2 user=$3 network=$4; shift 4
[ "$network" = host ] || ip link set lo up
mount --bind "$root" "$root" && mount -o remount,bind,ro "$root"
mount --bind "$WORK" "$root/work" && mount --bind "$OWN" "$root/home/nerbench" && mount --bind "$CACHE" "$root/cache"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp" && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev"
exec chroot "$root" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all env --ignore-environment --chdir="$folder" "$@"
"""


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)


class Engine(NamedTuple):
    """An image, and the program that runs it."""

    name: str
    """`docker`, `podman` or `buildah`."""
    python: str
    """The version of Python in the image, as in 3.13."""
    folder: Path
    """An empty folder, for the files of containers that Buildah runs."""

    def command(
        self, *command: str, network: str = "none", env: Mapping[str, str] | None = None, work: Path | None = None
    ) -> list[str]:
        """The command that runs `command` with the rights of the composed worker; without one, the image's default.

        `network` is `none` or `host`. `work` is the folder /work; by default it is empty.
        """
        if self.name == "buildah":
            return self._chrooted(command, network, env or {}, work)
        worker = services()["worker"]
        assert worker["read_only"]
        rights = [f"--cap-drop={name}" for name in worker["cap_drop"]]
        rights += [f"--security-opt={option}" for option in worker["security_opt"]]
        # Volumes without a name belong to the image's user; the --tmpfs of Podman 4.3 knows no `uid`.
        volumes = [f"--volume={folder}" for folder in WRITABLE if not (work and folder == "/work")]
        volumes += [f"--volume={work}:/work"] if work else []
        given = [f"--env={name}={value}" for name, value in (env or {}).items()]
        restricted = ["--rm", "--init", "--read-only", f"--network={network}", "--tmpfs=/tmp:exec", *rights]
        return [self.name, "run", *restricted, *volumes, *given, TAG, *command]

    def end(self, process: "subprocess.Popen[Any]") -> None:
        """End a container that `command` started."""
        # Docker and Podman pass the signal on; `unshare` ignores it and waits for its child.
        receivers = psutil.Process(process.pid).children() if self.name == "buildah" else [process]
        for one in receivers:
            one.terminate()
        process.wait(PATIENCE_S)

    def _chrooted(self, command: tuple[str, ...], network: str, env: Mapping[str, str], work: Path | None) -> list[str]:
        config = json.loads(run("buildah", "inspect", "--type", "image", TAG).stdout)["OCIv1"]["config"]
        root = run("buildah", "mount", CONTAINER).stdout.strip()
        fresh = Path(tempfile.mkdtemp(dir=self.folder))
        places = {"WORK": work or fresh / "work", "OWN": fresh / "home", "CACHE": fresh / "cache"}
        for place in places.values():
            place.mkdir(exist_ok=True)
            os.chown(place, *map(int, config["User"].split(":")))  # nerbench refuses a cache that others can change
        unshared = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *["--net"] * (network == "none")]
        mounted = [f"{name}={place}" for name, place in places.items()]
        inside = [*config["Env"], "HOME=/home/nerbench", *(f"{name}={value}" for name, value in env.items())]
        arguments = [root, config["WorkingDir"], config["User"], network, *inside, *(command or config["Cmd"])]
        return ["env", *mounted, *unshared, "sh", "-euc", CHROOT, "sh", *arguments]


def build(folder: Path) -> Engine:
    """Build the image with the first engine that works, or skip the test with one line that names the reasons."""
    arguments = [f"--build-arg=DEVICE={DEVICE}"] * (DEVICE != "cpu")
    if shutil.which("docker") and not run("docker", "info").returncode:
        built = run("docker", "build", *arguments, "-f", str(DOCKERFILE), "-t", TAG, ".")
        assert built.returncode == 0, built.stdout + built.stderr
        return Engine("docker", default_python(), folder)
    builder = next((name for name in ("buildah", "podman") if shutil.which(name)), "")
    if not builder:
        pytest.skip("docker does not answer, and neither podman nor buildah is installed")
    python = default_python()
    if DEVICE == "cpu" and not answers(TORCH_INDEX):
        python = "{}.{}".format(*sys.version_info)
        arguments.append(f"--build-arg=PYTHON={python}")
    provide_base(builder, python)
    # Without layers, an image is written once for each stage instead of once for each instruction.
    options = ["--isolation=chroot", "--format=docker", "--layers=false", "--pull-never", *arguments]
    build = ["bud"] if builder == "buildah" else ["build"]
    built = run(builder, *build, *options, *pip_options(folder), "-f", str(DOCKERFILE), "-t", TAG, ".")
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr[-4000:]
    if shutil.which("podman") and not run(*Engine("podman", python, folder).command("true")).returncode:
        return Engine("podman", python, folder)
    missing = [name for name in ("buildah", "unshare", "setpriv", "ip") if not shutil.which(name)]
    if missing:
        pytest.skip(f"podman cannot run the image, and without it {' and '.join(missing)} must be installed")
    run("buildah", "rm", CONTAINER)  # with the files of an earlier image
    made = run("buildah", "from", "--pull-never", "--name", CONTAINER, TAG)
    assert made.returncode == 0, made.stderr
    return Engine("buildah", python, folder)


def answers(url: str) -> bool:
    """Whether a location on the web can be read."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=20) as answer:
        return bool(answer.status == 200)
    return False


def provide_base(builder: str, python: str) -> None:
    """Make the base image available: from this machine, from the registry, or by debootstrap."""
    name = base_image.name_of(python)
    known = ["inspect", "--type", "image"] if builder == "buildah" else ["image", "exists"]
    if not run(builder, *known, name).returncode or not run(builder, "pull", name).returncode:
        return
    if problem := base_image.obstacle(python):
        pytest.skip(f"no registry has {name}, and it cannot be made here: {problem}")
    base_image.make(python)


def pip_options(folder: Path) -> list[str]:
    """Options of a build that give it this machine's pip configuration, and the files and folders that it names."""
    listed = run(sys.executable, "-m", "pip", "config", "list").stdout
    settings: dict[str, str] = dict(re.findall(r"(?m)^[\w:.]*\.([\w-]+)='(.*)'$", listed))
    settings.pop("constraint", None)  # the image has its own
    file = folder / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    words = [word for value in settings.values() for word in value.split()]
    # The pages of an index name files beside the index.
    paths = [Path(word.removeprefix("file://")).parent if word.startswith("file://") else Path(word) for word in words]
    local = sorted({path for path in paths if path.is_absolute() and path.exists()})
    return [f"--volume={file}:/etc/pip.conf:ro", *(f"--volume={path}:{path}:ro" for path in local)]
