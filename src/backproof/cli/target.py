"""A target of the command line: a path, or `module:function` importable from the current folder."""

import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

from backproof.errors import UsageError, did_you_mean, message


def is_path(text: str) -> bool:
    """Return whether a target names a file or a folder rather than `module:function`."""
    return ":" not in text and (text.endswith(".py") or "/" in text or Path(text).exists())


def load_target(text: str) -> Any:
    """Return the object that `module:name` names.

    Raises:
        UsageError: the text has no colon, or there is no such module or name.
    """
    module_name, _, name = text.partition(":")
    if not (module_name and name):
        raise _no_target(text, "a target is written module:function", repr(text))
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        known = {one.name for one in pkgutil.iter_modules([folder])}
        advice = did_you_mean(module_name, known) if error.name == module_name else ""
        must = "the module must be importable from here"
        raise _no_target(text, must, str(error), advice) from error
    except Exception as error:
        # The module is the caller's code, so it may raise anything.
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _no_target(text, "the module must be importable from here", said) from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [one for one in dir(found) if not one.startswith("_")]
            advice = did_you_mean(part, known)
            raise _no_target(text, f"{module_name} must define {name}", f"no {part}", advice)
        found = getattr(found, part)
    return found


def _no_target(text: str, must: str, found: str, advice: str = "") -> UsageError:
    do = advice if "mean" in advice else "check the spelling"
    return UsageError(message(must=must, found=found, where=text, do=do))
