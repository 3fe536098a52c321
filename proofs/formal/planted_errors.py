"""`make mutants`: errors planted in a scratch copy, one at a time. Each must stop the build.

An error in a definition leaves the theorem's words as they are and makes it false, so that its proof no
longer goes through; two are refused even earlier, because the sizes of the matrices do not fit. The
unchanged copy must build, and an assumption smuggled in must be seen by the check.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ERROR = re.compile(r'File "\./([\w.]+)", line (\d+)')
STEP = "(W1 th.2)^T *m delta th.2 z' g ⊙ map_mx (slope s) z"
LAYER = "((d *m a^T, sum_samples d), grads"
REFUTED = re.compile(r"Theorem claim_is_false : (.*?)\.\nProof\..*?Qed\.", re.DOTALL)


class Mutant(NamedTuple):
    """Holds one error: the text `right` of a file becomes `wrong`, and the build must fail in `fails_in`."""

    name: str
    file: str
    right: str
    wrong: str
    fails_in: str


MUTANTS = (
    Mutant("no σ′", "network.v", STEP, "(W1 th.2)^T *m delta th.2 z' g", "recursion.v"),
    Mutant("σ for σ′", "network.v", STEP, STEP.replace("slope", "act"), "recursion.v"),
    Mutant("σ′ at a", "network.v", STEP, STEP.replace("s) z", "s) (map_mx (act s) z)"), "recursion.v"),
    Mutant("no transpose", "network.v", STEP, STEP.replace("^T", ""), "network.v"),  # the sizes do not fit
    Mutant("doubled ∂W", "network.v", LAYER, LAYER.replace("d *m a^T", "2%:R *: (d *m a^T)"), "parameters.v"),
    Mutant("zero ∂b", "network.v", LAYER, LAYER.replace("sum_samples d", "0"), "parameters.v"),
    Mutant("wrong sign", "network.v", STEP, f"- ({STEP})", "recursion.v"),
    Mutant("wrong layer's z", "network.v", STEP, STEP.replace("(slope s) z", "(slope s) z'"), "network.v"),
    Mutant(
        "batch mean on b only",
        "network.v",
        LAYER,
        LAYER.replace("sum_samples d", "B.+1%:R^-1 *: sum_samples d"),
        "parameters.v",
    ),
    # The two that the sizes refuse, made to fit: on layers of equal width these are the same errors.
    Mutant("no transpose, fitted", "network.v", STEP,
           STEP.replace("(W1 th.2)^T", "(\\matrix_(i, j) W1 th.2 (inord i) (inord j))"), "recursion.v"),
    Mutant("wrong layer's z, fitted", "network.v", STEP,
           STEP.replace("(slope s) z", "(slope s) (\\matrix_(i, j) z' (inord i) j)"), "recursion.v"),
    # Beyond the nine.
    Mutant("no σ′ at the output", "network.v", "      g ⊙ map_mx (slope s) z", "      g", "recursion.v"),
    Mutant("σ′ for σ on the way up", "network.v", "let z' := z1 th.2 (map_mx (act s) z)",
           "let z' := z1 th.2 (map_mx (slope s) z)", "recursion.v"),
    Mutant("p − t for any t", "softmax_cross_entropy.v", "((\\sum_k t k ord0) *: softmax z - t).",
           "(softmax z - t).", "softmax_cross_entropy.v"),
    Mutant("W updated first", "descent.v", "above.1), th.1.1^T *m d)\n  end",
           "above.1), (th.1.1 - eta *: (d *m a^T))^T *m d)\n  end", "descent.v"),
)  # fmt: skip


def main() -> int:
    """Plant each error; print what stopped the build, and return 0 if each was stopped where it should be."""
    survivors = [mutant.name for mutant in MUTANTS if not stopped(mutant)]
    survivors += [] if control_builds() else ["(the unchanged copy does not build)"]
    survivors += [] if assumption_is_seen() else ["an assumption outside a section"]
    if survivors:
        print(f"FAILED: {', '.join(survivors)}", file=sys.stderr)
    return 1 if survivors else 0


def stopped(mutant: Mutant) -> bool:
    """Return whether the build of a copy with the error fails in the expected file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = scratch(Path(folder))
        replace(copy / mutant.file, mutant.right, mutant.wrong)
        begun = time.perf_counter()
        built = build(copy)
        seconds = time.perf_counter() - begun
    where = ERROR.search(built.stderr)
    failed = built.returncode != 0 and where is not None and where[1] == mutant.fails_in
    place = f"{where[1]}, line {where[2]}: {reason(built.stderr)}" if where else "nothing stopped it"
    print(f"{mutant.name:<24} {seconds:4.0f} s   {place}", flush=True)
    return failed


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
