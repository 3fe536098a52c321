"""What an option needs beside the core: its optional package, and a file of a kind that can be written."""

import importlib.util
from pathlib import Path

from backproof.errors import UsageError, message

FORMATS = (".png", ".svg", ".pdf")


def require_package(name: str, extra: str, option: str) -> None:
    """Raise `UsageError` unless a package is installed, before any work is done.

    Args:
        name: the package.
        extra: the extra of backproof that brings it.
        option: the option that needs it.
    """
    if importlib.util.find_spec(name) is None:
        raise UsageError(
            message(
                must=f"{name} must be installed",
                found=f"no {name}",
                where=option,
                do=f'run: pip install "backproof[{extra}]"',
            )
        )


def require_plot(path: Path) -> None:
    """Raise `UsageError` unless `path` can be drawn, before any work is done."""
    if path.suffix not in FORMATS:
        raise UsageError(
            message(
                must=f"a plot must be one of {', '.join(FORMATS)}",
                found=path.name,
                where="--plot",
                do="write e.g. --plot figure.png",
            )
        )
    require_package("matplotlib", "plot", "--plot")
