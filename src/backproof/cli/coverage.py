"""`backproof coverage MODULE…`: the gradients written by hand in modules, and which of them tests verify."""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

from backproof.cli.table import entries
from backproof.coverage.found import find
from backproof.coverage.plan import Plan, plans
from backproof.coverage.project import read
from backproof.errors import UsageError, message

GOOD, WRONG, MISUSED = 0, 1, 2


def run(arguments: argparse.Namespace) -> int:
    """List the gradients in the named modules; with `--tests`, run these and say which they verify.

    Return 0, or with `--tests` 1 unless the tests pass and every gradient is verified.

    Raises:
        UsageError: a module cannot be imported, or pytest is missing or cannot run.
    """
    folder = Path.cwd()
    project = read(folder / "pyproject.toml")
    modules = arguments.modules or list(project.modules if project else ())
    if not modules:
        raise UsageError(
            message(
                must="a module must be named, here or in [tool.backproof] of pyproject.toml",
                found="none",
                where="backproof coverage",
                do="write e.g. backproof coverage my_package",
            )
        )
    if arguments.tests is not None:
        return _tested(modules, arguments.tests)
    found = find(modules, folder)
    names = {one.name for one in found}
    table = {name: rule for name, rule in (project.rules if project else {}).items() if name in names}
    made = plans(found, entries(table))
    for line in _lines(made, folder):
        print(line)
    return GOOD


def _lines(made: list[Plan], folder: Path) -> list[str]:
    """Return a line for each gradient, and one that counts them."""
    width = max((len(plan.found.name) for plan in made), default=0)
    lines = [
        f"{plan.found.name:<{width}}  {plan.found.kind:<10}  {plan.found.place.removeprefix(f'{folder}/')}  "
        + (plan.why_not or f"compared with {plan.reference}")
        for plan in made
    ]
    known = sum(not plan.why_not for plan in made)
    return [*lines, f"{known} of {len(made)} gradients by hand can be verified without a test"]


def _tested(modules: list[str], tests: list[str]) -> int:
    """Run tests in a process of their own, which says what they verify, and return the exit status.

    Raises:
        UsageError: pytest is not installed, or finds its own command line or settings wrong.
    """
    if importlib.util.find_spec("pytest") is None:
        raise UsageError(
            message(
                must="--tests runs them by pytest",
                found="no pytest",
                where="backproof coverage",
                do="run pip install pytest in this environment",
            )
        )
    listed = [f"--backproof-coverage={name}" for name in modules]
    command = [sys.executable, "-m", "pytest", *tests, *listed, "--backproof-require", "--backproof-whole"]
    status = subprocess.run(command, check=False).returncode
    return status if status in (GOOD, WRONG) else MISUSED
