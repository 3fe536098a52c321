"""Executable derivations: which line of my derivation is wrong?"""

from backproof.derivations.files import find
from backproof.derivations.form import Derivation, derivation
from backproof.derivations.lines import assume, at_least, at_most, differ, equal, holds, less
from backproof.derivations.report import Mark, Refutes, Report, Verdict

__all__ = [
    "Derivation",
    "Mark",
    "Refutes",
    "Report",
    "Verdict",
    "assume",
    "at_least",
    "at_most",
    "derivation",
    "differ",
    "equal",
    "find",
    "holds",
    "less",
]
