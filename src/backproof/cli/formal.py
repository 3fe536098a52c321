"""`backproof verify --formal`: build the machine-checked development and check its axioms."""

import argparse
import shutil
import subprocess
from pathlib import Path

from backproof.errors import UsageError, message

TOOLS = ("coqc", "coqchk", "coq_makefile", "make")
INSTALL = "install Coq 8.16 with mathcomp-analysis 0.6 and make; on Debian 12: " + (
    "apt-get install --no-install-recommends coq libcoq-mathcomp-analysis make"
)


def run(arguments: argparse.Namespace) -> int:
    """Run `make check` in proofs/formal; return 0 if every proof is accepted, else 1.

    Raises:
        UsageError: other options are given with --formal, Coq is not installed, or this is not a clone.
    """
    others = ("targets", "of", "vjp", "grad", "jvp", "args", "json", "examples", "slips", "full", "seeds")
    given = [name for name in others if getattr(arguments, name) not in (None, [], False)]
    if given or arguments.self_test:
        raise _unusable("--formal must stand alone", ", ".join(given) or "--self-test", "drop one of them")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise _unusable("Coq and make must be installed", f"no {', no '.join(missing)}", INSTALL)
    return 1 if subprocess.run(["make", "check"], cwd=development(Path.cwd()), check=False).returncode else 0


def development(start: Path) -> Path:
    """Return the folder proofs/formal of the clone that contains `start`, or the one this file is in.

    Raises:
        UsageError: there is no such folder; an installed package does not contain the proofs.
    """
    for folder in (start, *start.parents, *Path(__file__).resolve().parents):
        if (folder / "proofs" / "formal" / "_CoqProject").is_file():
            return folder / "proofs" / "formal"
    raise _unusable(
        "the folder proofs/formal must exist",
        f"no proofs/formal in or above {start}",
        "run this in a clone of the repository",
    )


def _unusable(must: str, found: str, do: str) -> UsageError:
    return UsageError(message(must=must, found=found, where="backproof verify --formal", do=do))
