"""Shell completion of model names and aliases in a local store. This module imports nothing heavy."""

import re
from pathlib import Path

CONFIGURATION = Path("nerbench.yaml")
DEFAULT_STORE = "./var/artifacts"
_STORE = re.compile(r"^store:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


def complete_reference(incomplete: str) -> list[str]:
    """References with this prefix: names, or after an `@`, the aliases of that name.

    They come from the store in `./nerbench.yaml`, or from the default store. Remote stores offer no completion.
    """
    models = _store() / "models"
    name, at, alias = incomplete.partition("@")
    if at:
        known = sorted(path.stem for path in (models / name / "aliases").glob("*.json")) if _is_name(name) else []
        return [f"{name}@{one}" for one in known if one.startswith(alias)]
    return sorted(path.name for path in models.glob("*/") if path.name.startswith(incomplete))


def complete_model(incomplete: str) -> list[str]:
    """Names of models with this prefix."""
    return [] if "@" in incomplete else complete_reference(incomplete)


def _store() -> Path:
    text = CONFIGURATION.read_text(encoding="utf-8", errors="replace") if CONFIGURATION.is_file() else ""
    found = _STORE.search(text)
    return Path(found[1] if found else DEFAULT_STORE)


def _is_name(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name))
