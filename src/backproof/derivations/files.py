"""Derivations in files: found by their path, in the order of the source, without registration."""

import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from backproof.derivations.form import Derivation
from backproof.errors import UsageError, message


def find(paths: Iterable[Path]) -> list[Derivation]:
    """Return every derivation defined at the top level of the files in `paths` and in its folders.

    Raises:
        UsageError: a path is neither a file nor a folder, a file cannot be imported, or a file in `paths`
            defines no derivation.
    """
    found: list[Derivation] = []
    for path in paths:
        if path.is_dir():
            files = [file for file in sorted(path.rglob("*.py")) if _may_hold_one(path, file)]
            found += [one for file in files for one in derivations_in(file)]
            continue
        inside = derivations_in(path)
        if not inside:
            raise _unusable(
                path, "a file must define a derivation", "none", "decorate one with bp.derivation"
            )
        found += inside
    return found


def derivations_in(path: Path) -> list[Derivation]:
    """Return the derivations that one file defines at its top level, in the order of the source.

    Raises:
        UsageError: there is no such file, or it cannot be imported.
    """
    module = load(path)
    defined = [one for one in vars(module).values() if isinstance(one, Derivation)]
    own = [one for one in defined if Path(one.path).resolve() == path.resolve()]
    return sorted(dict.fromkeys(own), key=lambda one: one.row)


def load(path: Path) -> ModuleType:
    """Return the module of a file, imported under a unique name with its folder on the import path.

    Raises:
        UsageError: there is no such file, or importing it raises.
    """
    if not path.is_file():
        raise _unusable(path, "a target is a Python file or a folder", "no such file", "check the spelling")
    name = f"backproof_file_{path.stem}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _unusable(path, "a target is a Python file or a folder", "another file", "name a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        # A user's file may raise anything; the error is shown with the row that raised it.
        rows = [
            row for row in traceback.extract_tb(error.__traceback__) if Path(row.filename) == path.resolve()
        ]
        where = f"{path}:{rows[-1].lineno}" if rows else str(path)
        said = f"{type(error).__name__}: {error}"
        raise UsageError(
            message(must="a file must be importable", found=said, where=where, do="correct the file")
        ) from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _may_hold_one(folder: Path, file: Path) -> bool:
    """Return whether a file in a folder is worth importing: it mentions derivations and is not hidden."""
    parts = file.relative_to(folder).parts
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return not hidden and "derivation" in file.read_text(encoding="utf-8", errors="replace")


def _unusable(path: Path, must: str, found: str, do: str) -> UsageError:
    return UsageError(message(must=must, found=found, where=str(path), do=do))
