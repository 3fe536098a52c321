"""The table `[tool.backproof]` of a project's pyproject.toml, as texts; it imports neither jax nor NumPy."""

import glob
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from backproof.errors import UsageError, did_you_mean, message

WHERE = "[tool.backproof]"
KEYS = {"modules": list, "derivations": list, "rules": dict, "require": bool, "cache": bool}
RULE_KEYS = {"of": str, "args": str, "declared": dict, "left_out": str}


class Project(NamedTuple):
    """Holds what a project says about its gradients.

    Attributes:
        folder: where its pyproject.toml stands.
        modules: the modules whose gradients are listed, and verified where it is known how.
        derivations: files, folders and patterns of files with derivations.
        rules: what is said about single gradients, by name, as it is written.
        require: whether a run of the tests fails if one of them was never verified.
        cache: whether compiled programs are kept from one run of the tests to the next.
    """

    folder: Path
    modules: tuple[str, ...] = ()
    derivations: tuple[str, ...] = ()
    rules: Mapping[str, Mapping[str, Any]] = {}
    require: bool = False
    cache: bool = True


def read(file: Path) -> Project | None:
    """Return what a pyproject.toml says about gradients; None if it says nothing, or does not exist.

    Raises:
        UsageError: the table has a key that means nothing, or a value of another kind.
    """
    if not file.is_file():
        return None
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("backproof")
    except tomllib.TOMLDecodeError as error:
        said = f"{type(error).__name__}: {error}"
        raise UsageError(
            message(must="it must be TOML", found=said, where=str(file), do="mend it")
        ) from error
    if table is None:
        return None
    _require(table, KEYS, WHERE)
    for key in ("modules", "derivations"):
        _require_texts(table.get(key, []), key)
    for name, rule in table.get("rules", {}).items():
        where = f'[tool.backproof.rules."{name}"]'
        _require_kind(rule, dict, where, where)
        _require(rule, RULE_KEYS, where)
    lists = {key: tuple(table.get(key, ())) for key in ("modules", "derivations")}
    return Project(file.parent, **lists, **{key: table[key] for key in table if key not in lists})


def is_whole(given: Iterable[str], folder: Path, testpaths: Iterable[str], root: Path) -> bool:
    """Return whether arguments of pytest are the whole suite: folders that hold all of its test paths.

    Args:
        given: the arguments; a file or a node id is a part of the suite.
        folder: the folder that they are relative to.
        testpaths: the patterns of pytest's setting `testpaths`; without any, folders are the whole suite.
        root: the folder that the patterns are relative to.
    """
    folders = [(folder / one).resolve() for one in given]
    paths = [Path(path) for one in testpaths for path in glob.glob(str(root / one), recursive=True)]
    held = (any(path.resolve().is_relative_to(one) for one in folders) for path in paths)
    return all(one.is_dir() for one in folders) and all(held)


def files_of_derivations(project: Project) -> set[Path]:
    """Return the files that a project's patterns name; of a folder, all of its files.

    Raises:
        UsageError: a pattern names nothing.
    """
    found: set[Path] = set()
    for pattern in project.derivations:
        named = list(project.folder.glob(pattern))
        if not named:
            raise UsageError(
                message(
                    must="an entry of derivations must name files or folders",
                    found=f"{pattern!r}, which names none in {project.folder}",
                    where=WHERE,
                    do="write e.g. derivations = ['proofs/*.py']",
                )
            )
        files = [file for one in named for file in (one.rglob("*.py") if one.is_dir() else [one])]
        found |= {file for file in files if mentions_derivations(file)}
    return found


def mentions_derivations(file: Path) -> bool:
    """Return whether a file of Python is worth importing for its derivations."""
    if file.suffix != ".py" or any(part.startswith(".") for part in file.parts[-2:]):
        return False
    text = file.read_text(encoding="utf-8", errors="replace")
    return "derivation" in text and "backproof" in text


def _require(table: Mapping[str, Any], known: Mapping[str, type], where: str) -> None:
    for key, value in table.items():
        if key not in known:
            raise UsageError(
                message(
                    must=f"a key must be one of {', '.join(known)}",
                    found=repr(key),
                    where=where,
                    do=did_you_mean(key, known),
                )
            )
        _require_kind(value, known[key], key, where)


def _require_kind(value: Any, kind: type, name: str, where: str) -> None:
    if not isinstance(value, kind):
        words = {list: "a list of texts", dict: "a table", bool: "true or false", str: "a text"}
        raise UsageError(
            message(
                must=f"{name} must be {words[kind]}",
                found=f"{name}={value!r}",
                where=where,
                do="see docs/pytest.md",
            )
        )


def _require_texts(values: Iterable[Any], key: str) -> None:
    for value in values:
        _require_kind(value, str, f"every entry of {key}", WHERE)
