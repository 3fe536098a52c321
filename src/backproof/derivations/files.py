"""Derivations in files: found by their path, in the order of the source, without registration."""

import importlib.util
import itertools
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from backproof.derivations.form import Derivation
from backproof.errors import UsageError, message


def find(paths: Iterable[Path], *, anew: bool = False) -> list[Derivation]:
    """Return every derivation defined at the top level of the files in `paths` and in its folders.

    Args:
        paths: files and folders.
        anew: whether files of packages that were imported before are read again, since they may have changed.

    Raises:
        UsageError: a path is neither a file nor a folder, a file cannot be imported, or a file or a folder in
            `paths` has no derivation.
    """
    found: list[Derivation] = []
    paths = list(paths)
    places = {
        path: [file for file in sorted(path.rglob("*.py")) if _may_hold_one(path, file)]
        for path in paths
        if path.is_dir()
    }
    if anew:
        _forget([*itertools.chain(*places.values()), *paths])
    for path in paths:
        if path in places:
            there = [one for file in places[path] for one in derivations_in(file)]
            if not there:
                raise _unusable(
                    path,
                    "a folder must hold derivations",
                    "none",
                    "name a folder with files that use bp.derivation",
                )
            found += there
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
    """Return the module of a file, imported with its folder on the import path.

    A file of a package, whose folder has an `__init__.py`, is imported as a part of it, so that it may import
    the other files of the package; any other file under a unique name.

    Raises:
        UsageError: there is no such file, or importing it raises.
    """
    if not path.is_file():
        raise _unusable(path, "a target is a Python file or a folder", "no such file", "check the spelling")
    if path.suffix != ".py":
        raise _unusable(path, "a target is a Python file or a folder", "another file", "name a .py file")
    package = _package_of(path.resolve())
    root = package.parent if package else path.resolve().parent
    sys.path.insert(0, str(root))
    try:
        return _member(package, path.resolve()) if package else _executed(_name_of(path.resolve()), path)
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
        sys.path.remove(str(root))


def _package_of(path: Path) -> Path | None:
    """Return the folder of the outermost package to which a file belongs; None if it belongs to none."""
    found = None
    for folder in path.parents:
        if not (folder / "__init__.py").exists():
            return found
        found = folder
    return found


def _name_of(path: Path) -> str:
    """Return a name that no other file and no package has."""
    return f"backproof_file_{path.stem}_{abs(hash(path))}"


def _member(package: Path, path: Path) -> ModuleType:
    """Return the module of a file of a package, under a name for the package that no other one has."""
    top = _name_of(package)
    if top not in sys.modules:
        _executed(top, package / "__init__.py")
    parts = [part for part in path.relative_to(package).with_suffix("").parts if part != "__init__"]
    return importlib.import_module(".".join([top, *parts]))


def _forget(paths: Iterable[Path]) -> None:
    """Forget the modules of the packages to which files belong."""
    tops = {_name_of(package) for path in paths if (package := _package_of(path.resolve()))}
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]


def _executed(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:  # no suffix but .py is without a loader
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _may_hold_one(folder: Path, file: Path) -> bool:
    """Return whether a file in a folder is worth importing: it mentions derivations and is not hidden."""
    parts = file.relative_to(folder).parts
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return not hidden and "derivation" in file.read_text(encoding="utf-8", errors="replace")


def _unusable(path: Path, must: str, found: str, do: str) -> UsageError:
    return UsageError(message(must=must, found=found, where=str(path), do=do))
