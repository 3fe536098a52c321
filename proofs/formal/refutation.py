"""Proof, in Coq, that a planted error makes a theorem false: a point at which its words do not hold.

The definitions with the error and the theorem's own words about them become a file `planted.v` beside the
development without the error. A file of `refutations/` then works out the formula with the error at a point,
and the true derivative there, and derives that the words are false. Nothing here can be proved of a
definition that is merely written otherwise.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from statements import HERE, read_text

FOLDER = HERE / "refutations"
LOADED = (
    "prelude products differentials gradient network recursion parameters identity half_squared_error"
    " softmax_cross_entropy descent jacobians softmax_jacobian beyond"
)
NETWORK = "Variable R : realType.\nNotation arch := (network.arch R).\n"
BATCH = "Variables (R : realType) (B : nat).\nNotation bat n := (batch R n B).\n"


class Claim(NamedTuple):
    """Holds a theorem, the file and the section's variables, and the definitions that its words use."""

    theorem: str
    file: str
    variables: str
    definitions: tuple[str, ...] = ()


DELTA = Claim("delta_correct", "recursion.v", BATCH, ("delta",))
GRADIENTS = Claim("backprop_correct", "parameters.v", BATCH, ("delta", "grads", "grad_in"))
ENTROPY = Claim(
    "cross_entropy_gradient",
    "softmax_cross_entropy.v",
    "Variables (R : realType) (n : nat).\nImplicit Types (t z : vec R n).\n",
)
SOFTMAX = Claim(
    "softmax_jacobian_correct",
    "softmax_jacobian.v",
    "Variables (R : realType) (n : nat).\nImplicit Types (z : vec R n).\n",
    ("softmax_jacobian",),
)
LAYER_NORM = Claim(
    "layer_norm_pullback",
    "beyond.v",
    "Variables (R : realType) (n : nat) (eps : R).\nImplicit Types (z g : vec R n).\n"
    "Notation layer_norm := (layer_norm eps).\nNotation deviation := (deviation eps).\n",
)
RESIDUAL = Claim(
    "residual_gradients",
    "beyond.v",
    "Variables (R : realType) (B n m : nat) (A : arch R n m n).\nNotation bat n := (batch R n B).\n",
)
SWEEP = Claim("in_sweep_is_two_phase", "descent.v", BATCH, ("in_sweep",))


class Point(NamedTuple):
    """Holds where the claim fails: the file of `refutations/`, and the two numbers that it works out."""

    claim: Claim
    proof: str
    words: str
    given: str
    truth: str
    numbers: str = ""  # the definitions of the numbers that the file asks for

    @property
    def sentence(self) -> str:
        """Return the counterexample in one line."""
        return f"at {self.words}: the formula gives {self.given}, the derivative is {self.truth}"


def at_units(given: int) -> Point:
    """Return the point for δ: two units, one after the other."""
    words = "z^1 = 3, W^2 = 2, b^2 = 1, σ(x) = x², ∂J/∂a^2 = 1"
    return Point(DELTA, "delta", words, str(given), "456", _numbers(given=given, truth=456))


def along(change: str, given: int, truth: int) -> Point:
    """Return the point for all gradients: those units with two samples, along a change of W^1 or b^1."""
    words = f"x = 3 twice, W^1 = 1, b^1 = 0, then as for δ, along {change}^1"
    asked = _numbers(given=given, truth=truth, change_of_W=change == "W", change_of_b=change == "b")
    return Point(GRADIENTS, "gradients", words, str(given), str(truth), asked)


def _numbers(**named: int) -> str:
    return "".join(
        f"Definition {name} : int := {'- ' if value < 0 else ''}{abs(value)}%:Z.\n"
        for name, value in named.items()
    )


TRANSPOSE = Point(
    DELTA, "transpose", "W^2 = ((0, 1), (0, 0)), σ(x) = x, ∂J/∂a^2 = (1, 0)", "(0, 0)", "(0, 1)"
)
ANY_TARGET = Point(ENTROPY, "cross_entropy", "t = (0, 0)", "p, which is positive", "0")
UPDATED = Point(SWEEP, "sweep", "W^1 = W^2 = x = 1, η = 1, ∂J/∂a^2 = 1", "0", "1", _numbers(given=0, truth=1))
SHIFTED = Point(SOFTMAX, "softmax", "z = (0, 0), along h = (1, 1)", "p, which is positive", "0")
NORMED = Point(LAYER_NORM, "layer_norm", "z = (1, 0), ε = 1, g = y", "y / s", "y (1 − ‖y‖² / 2) / s")
AROUND = Point(
    RESIDUAL,
    "residual",
    "x = 3, W^1 = 1, then as for δ, along x",
    "456",
    "457",
    _numbers(given=456, truth=457),
)


def refutes(copy: Path, point: Point, scratch: Path) -> bool:
    """Return whether Coq accepts the proof that the words are false of the definitions in `copy`.

    Raises:
        ValueError: what both kinds of definitions share does not compile, so that nothing was decided.
    """
    for path in FOLDER.glob("*.v"):
        shutil.copy(path, scratch)
    (scratch / "planted.v").write_text(planted(copy, point), "utf-8")
    for shared in ("points.v", "planted.v"):
        answer = _coqc(scratch, shared)
        if answer.returncode:
            raise ValueError(f"{shared}: {answer.stderr}")
    return _coqc(scratch, f"{point.proof}.v").returncode == 0


def _coqc(scratch: Path, file: str) -> subprocess.CompletedProcess[str]:
    load = ("-Q", str(HERE), "Backproof", "-Q", ".", "Planted", "-w", "none")
    return subprocess.run(["coqc", *load, file], cwd=scratch, capture_output=True, text=True, check=False)


def planted(copy: Path, point: Point) -> str:
    """Return the text of planted.v: the definitions in `copy`, the claim about them, and the numbers."""
    claim = point.claim
    found = {
        one.name: one.text
        for file in ("network.v", claim.file)
        for one in read_text(file, (copy / file).read_text("utf-8"))
    }
    definitions = "".join(f"{found[name]}\n" for name in claim.definitions)
    variables = NETWORK if claim.file in ("recursion.v", "parameters.v") else claim.variables
    return (
        f"From mathcomp Require Import ssrint.\nFrom Backproof Require Import {LOADED}.\n"
        "Local Open Scope ring_scope.\nLocal Open Scope classical_set_scope.\n"
        f"Section Definitions.\n{variables}{definitions}End Definitions.\n"
        f"Section Claim.\n{claim.variables}{as_proposition(found[claim.theorem])}\nEnd Claim.\n"
        f"{point.numbers}"
    )


def as_proposition(theorem: str) -> str:
    """Return `Definition claim : Prop := forall x, P.` for a text `Theorem name x : P.` with variables x."""
    words = re.sub(r"\ATheorem\s+\w+\s+", "", theorem)
    depth = 0
    for place, letter in enumerate(words):
        depth += (letter == "(") - (letter == ")")
        if letter == ":" and depth == 0:
            return f"Definition claim : Prop := forall {words[:place].rstrip()},{words[place + 1 :]}"
    raise ValueError(f"no theorem with variables: {theorem}")
