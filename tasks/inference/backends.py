"""The backends of an evaluation besides torch: packages, versions, devices, and the export of a model for them."""

from pathlib import Path

from nerbench.artifacts.errors import InputError
from nerbench.tasks.child_process import run_child
from nerbench.tasks.environment import installed, is_importable

PACKAGES = {
    "onnxruntime": ("onnx", "onnxruntime", "onnxscript"),
    "openvino": ("onnx", "onnxscript", "openvino"),
}
"""The packages of each backend; onnxruntime-gpu is imported as onnxruntime, too."""
EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}
"""The extra of nerbench that installs them."""
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""ONNX Runtime's providers by kind of device."""


def missing_packages(backend: str) -> list[str]:
    """The packages of a backend that are not installed."""
    return [name for name in PACKAGES.get(backend, ()) if not is_importable(name)]


def check_backend(backend: str, device_type: str) -> None:
    """Raise InputError for a backend whose packages are missing, or that does not compute on a type of device."""
    if backend == "torch":
        return
    if missing := missing_packages(backend):
        remedy = f"pip install 'nerbench[{EXTRAS[backend]}]', or use torch"
        problem = f"{backend} needs packages that are not installed: {', '.join(missing)}"
        raise InputError("benchmark.backend", problem, remedy)
    if device_type != "cpu":
        problem = f"{backend} computes on a CPU only, and the device is {device_type}"
        raise InputError("benchmark.backend", problem, "use torch, or device: cpu")


def versions(backend: str) -> dict[str, str]:
    """The installed versions of a backend's packages, by name."""
    return {name: str(installed(name) or installed(f"{name}-gpu")) for name in PACKAGES.get(backend, ())}


def export_graph(  # noqa: PLR0913, PLR0917 - what is exported, and how
    folder: Path, target: Path, backend: str, precision: str, window: int | None, name: str
) -> Path:
    """Export the model in `folder`, called `name` in messages, to a file in the folder `target`, for a backend.

    Raises InputError if the model cannot be exported.
    """
    graph = target / "model.onnx"
    job = {"folder": str(folder), "onnx": str(graph), "window": window, "name": name}
    job |= {"backend": backend, "precision": precision}
    run_child("nerbench.tasks.inference.onnx_export", job, what=f"export of {name} to ONNX")
    return graph
