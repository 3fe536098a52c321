"""The packages that a page needs, Jinja2 and math-core: which are missing, and what to do about it."""

from importlib.util import find_spec

from backproof.errors import UsageError, message

NEEDED = {"jinja2": "Jinja2", "math_core": "math-core"}
TO_INSTALL = 'pip install "backproof[html]"'


def missing() -> list[str]:
    """Return the names of the packages that a page needs and that are not installed."""
    return [name for module, name in NEEDED.items() if find_spec(module) is None]


def require_packages(where: str) -> None:
    """Require the packages that a page needs.

    Raises:
        UsageError: one is not installed.
    """
    if missing():
        raise UsageError(
            message(
                must="a page needs the packages Jinja2 and math-core",
                found=f"not installed: {', '.join(missing())}",
                where=where,
                do=f"install them: {TO_INSTALL}",
            )
        )
