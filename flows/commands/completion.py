"""What the shell completes: the models of a local store, by name and alias. Nothing heavy is imported for it."""

import re
from pathlib import Path

CONFIGURATION = Path("nerbench.yaml")
DEFAULT_STORE = "./var/artifacts"
_STORE = re.compile(r"^store:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


def complete_reference(incomplete: str) -> list[str]:
    """References that begin so: names, and once there is an `@`, the aliases of that name.

    They are those of the store of `nerbench.yaml` here, or of the default one; a store that is no folder offers none.
    """
    models = _store() / "models"
    name, at, alias = incomplete.partition("@")
    if at:
        known = sorted(path.stem for path in (models / name / "aliases").glob("*.json")) if _is_name(name) else []
        return [f"{name}@{one}" for one in known if one.startswith(alias)]
    return sorted(path.name for path in models.glob("*/") if path.name.startswith(incomplete))


def complete_model(incomplete: str) -> list[str]:
    """Names of models that begin so."""
    return [] if "@" in incomplete else complete_reference(incomplete)


def _store() -> Path:
    text = CONFIGURATION.read_text(encoding="utf-8", errors="replace") if CONFIGURATION.is_file() else ""
    found = _STORE.search(text)
    return Path(found[1] if found else DEFAULT_STORE)


def _is_name(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name))
