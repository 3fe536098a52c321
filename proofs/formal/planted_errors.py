"""`make mutants`: errors planted in a scratch copy, one at a time. Each must make a theorem false.

That a build stops says only that some proof script no longer goes through. So for every error Coq also proves
that a theorem's words have become false, at a point that is printed (`refutation.py`); two errors never get
that far, because the sizes of the matrices do not fit. A formula that is only written otherwise stops the
build too, and must be recognised: there, nothing has become false. The unchanged copy must build, and an
assumption smuggled in must be seen by the check.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from check import unproved_in
from refutation import (
    ANY_TARGET,
    AROUND,
    FOLDER,
    NORMED,
    SHIFTED,
    TRANSPOSE,
    UPDATED,
    Point,
    along,
    at_units,
    refutes,
)
from statements import HERE

ERROR = re.compile(r'File "\./([\w.]+)", line (\d+)')
MISFIT = "refused by its sizes"
FALSE = "false"
SCRIPT = "only the script broke"
STEP = "(W1 th.2)^T *m delta th.2 z' g ⊙ map_mx (slope s) z"
LAYER = "((d *m a^T, sum_samples d), grads"
REFUTED = re.compile(r"Theorem claim_is_false : (.*?)\.\nProof\..*?Qed\.", re.DOTALL)


class Mutant(NamedTuple):
    """Holds one error: the text `right` of a file becomes `wrong`, and the build must fail in `fails_in`.

    `point` is where a theorem becomes false; None if the sizes of the matrices no longer fit.
    """

    name: str
    file: str
    right: str
    wrong: str
    fails_in: str
    point: Point | None


def step(name: str, wrong: str, point: Point | None, fails_in: str = "recursion.v") -> Mutant:
    """Return an error in the step from δ^{l+1} to δ^l."""
    return Mutant(name, "network.v", STEP, wrong, fails_in, point)


def layer(name: str, right: str, wrong: str, point: Point) -> Mutant:
    """Return an error in the gradients of a layer."""
    return Mutant(name, "network.v", LAYER, LAYER.replace(right, wrong), "parameters.v", point)


MUTANTS = (
    step("no σ′", "(W1 th.2)^T *m delta th.2 z' g", at_units(76)),
    step("σ for σ′", STEP.replace("slope", "act"), at_units(684)),
    step("σ′ at a", STEP.replace("s) z", "s) (map_mx (act s) z)"), at_units(1368)),
    step("no transpose", STEP.replace("^T", ""), None, "network.v"),
    layer("doubled ∂W", "d *m a^T", "2%:R *: (d *m a^T)", along("W", 5472, 2736)),
    layer("zero ∂b", "sum_samples d", "0", along("b", 0, 912)),
    step("wrong sign", f"- ({STEP})", at_units(-456)),
    step("wrong layer's z", STEP.replace("(slope s) z", "(slope s) z'"), None, "network.v"),
    layer("batch mean on b only", "sum_samples d", "B.+1%:R^-1 *: sum_samples d", along("b", 456, 912)),
    # The two that the sizes refuse, made to fit: on layers of equal width these are the same errors.
    step("no transpose, fitted",
         STEP.replace("(W1 th.2)^T", "(\\matrix_(i, j) W1 th.2 (inord i) (inord j))"), TRANSPOSE),
    step("wrong layer's z, fitted",
         STEP.replace("(slope s) z", "(slope s) (\\matrix_(i, j) z' (inord i) j)"), at_units(2888)),
    # Beyond the nine.
    Mutant("no σ′ at the output", "network.v", "      g ⊙ map_mx (slope s) z", "      g", "recursion.v",
           at_units(12)),
    Mutant("σ′ for σ on the way up", "network.v", "let z' := z1 th.2 (map_mx (act s) z)",
           "let z' := z1 th.2 (map_mx (slope s) z)", "recursion.v", at_units(312)),
    Mutant("p − t for any t", "softmax_cross_entropy.v", "((\\sum_k t k ord0) *: softmax z - t).",
           "(softmax z - t).", "softmax_cross_entropy.v", ANY_TARGET),
    Mutant("W updated first", "descent.v", "above.1), th.1.1^T *m d)\n  end",
           "above.1), (th.1.1 - eta *: (d *m a^T))^T *m d)\n  end", "descent.v", UPDATED),
    Mutant("diag(p) alone", "softmax_jacobian.v", "diag_mx (softmax z)^T - softmax z *m (softmax z)^T.",
           "diag_mx (softmax z)^T.", "softmax_jacobian.v", SHIFTED),
    Mutant("deviation held fixed", "beyond.v", "(centred g - (n.+1%:R^-1 * dot g y) *: y)).", "centred g).",
           "beyond.v", NORMED),
    Mutant("residual forgotten", "beyond.v", "dot (g + grad_in th x g) h.1", "dot (grad_in th x g) h.1",
           "beyond.v", AROUND),
)  # fmt: skip

SWAPPED = "map_mx (slope s) z ⊙ ((W1 th.2)^T *m delta th.2 z' g)"  # the factors of STEP in the other order
REWRITTEN = step("no error, rewritten", SWAPPED, at_units(456))


def main() -> int:
    """Plant each error; print what it did, and return 0 if each made a theorem false or does not even fit."""
    wrong = unproved_in(sorted(FOLDER.glob("*.v")))
    wrong += [one.name for one in MUTANTS if verdict(one) != (FALSE if one.point else MISFIT)]
    wrong += [] if verdict(REWRITTEN) == SCRIPT else ["(a formula written otherwise passes for an error)"]
    wrong += [] if control_builds() else ["(the unchanged copy does not build)"]
    wrong += [] if assumption_is_seen() else ["an assumption outside a section"]
    if wrong:
        print(f"FAILED: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


def verdict(mutant: Mutant) -> str:
    """Print and return what the error did: whether the build fails in the expected file, and why."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as beside:
        copy = scratch(Path(folder))
        replace(copy / mutant.file, mutant.right, mutant.wrong)
        built = build(copy)
        where = ERROR.search(built.stderr)
        if built.returncode == 0 or where is None or where[1] != mutant.fails_in:
            found, why = "not stopped where it should be", built.stderr
        elif mutant.point is None:
            sizes = "while it is expected to have type" in " ".join(built.stderr.split())
            found, why = (MISFIT, f"see “{mutant.name}, fitted”") if sizes else (SCRIPT, reason(built.stderr))
        elif refutes(copy, mutant.point, Path(beside)):
            found, why = FALSE, mutant.point.sentence
        else:
            found, why = SCRIPT, reason(built.stderr)
    place = f"{where[1]}, line {where[2]}" if where else "nowhere"
    print(f"{mutant.name:<24} {time.perf_counter() - begun:4.0f} s   stopped in {place}", flush=True)
    print(f"{'':<24}          {found}: {why}", flush=True)
    return found


def control_builds() -> bool:
    """Return whether a copy changed by a comment only builds to the end."""
    with tempfile.TemporaryDirectory() as folder:
        copy = scratch(Path(folder))
        with (copy / "network.v").open("a", encoding="utf-8") as file:
            file.write("(* nothing *)\n")
        built = build(copy)
    print(f"{'no error':<24} {'builds' if built.returncode == 0 else built.stderr}", flush=True)
    return built.returncode == 0


def assumption_is_seen() -> bool:
    """Return whether the check names an assumption smuggled in without any of the words it looks for."""
    with tempfile.TemporaryDirectory() as folder:
        copy = scratch(Path(folder))
        path = copy / "scaling.v"
        text = path.read_text("utf-8")
        path.write_text(
            REFUTED.sub(r"Theorem claim_is_false : \1.\nProof. exact: smuggled. Qed.", text).replace(
                "Section Refutation.", "Hypothesis smuggled : forall P : Prop, P.\nSection Refutation."
            ),
            "utf-8",
        )
        built = build(copy)
        checked = subprocess.run(
            [sys.executable, "check.py"], cwd=copy, capture_output=True, text=True, check=False
        )
    seen = built.returncode == 0 and checked.returncode == 1 and "smuggled" in checked.stderr
    print(f"{'an assumption':<24} {checked.stderr.strip()}", flush=True)
    return seen


def scratch(folder: Path) -> Path:
    """Return a copy of the development, compiled files and their times included."""
    return Path(shutil.copytree(HERE, folder / "formal", ignore=shutil.ignore_patterns("__pycache__")))


def replace(path: Path, right: str, wrong: str) -> None:
    """Replace the one occurrence of `right`."""
    text = path.read_text("utf-8")
    if text.count(right) != 1:
        sys.exit(f"FAILED: {path.name} must contain this once, but has it {text.count(right)} times: {right}")
    path.write_text(text.replace(right, wrong), "utf-8")


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run make there."""
    return subprocess.run(["make", "build"], cwd=folder, capture_output=True, text=True, check=False)


def reason(output: str) -> str:
    """Return Coq's message after `Error:`, in one line."""
    message = " ".join(output.partition("Error:")[2].partition("\n\nmake")[0].split())
    message = message[max(message.find("The term"), 0) :]  # leave out the environment
    return message if len(message) <= 80 else f"{message[:79]}…"


if __name__ == "__main__":
    sys.exit(main())
