"""`make check`: Coq's own checker on the built files, and what every theorem rests on.

1. No word in the sources claims something without proof.
2. Print Assumptions of every theorem shows nothing but the three axioms of mathcomp-analysis.
3. coqchk, a separate and smaller program, checks the compiled proofs again.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from statements import HERE, Statement, files, read, without_comments

UNPROVED = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjecture|Admit\s+Obligations|bypass_check"
    r"|Guard\s+Checking|Positivity\s+Checking|Universe\s+Checking|type-in-type)\b"
)
LIBRARY = {  # classical reasoning over the reals, assumed by mathcomp-analysis itself
    "boolp.propositional_extensionality",
    "boolp.functional_extensionality_dep",
    "boolp.constructive_indefinite_description",
}
LOAD = ("-Q", ".", "Backproof")
AXIOM = re.compile(r"^([\w.']+)\s*(?::|$)", re.MULTILINE)


def main() -> int:
    """Run the three checks; print what was found, and return 0 if nothing is wrong."""
    claims = [one for one in read() if one.is_claim]
    wrong = [*unproved_words(HERE), *foreign_axioms(claims), *coqchk()]
    for line in wrong:
        print(f"FAILED: {line}", file=sys.stderr)
    if not wrong:
        print(f"{len(claims)} theorems, each resting on the library's own axioms only; coqchk agrees")
    return 1 if wrong else 0


def unproved_words(folder: Path) -> list[str]:
    """Return a line for every word that asserts something without proof."""
    options = (folder / "_CoqProject").read_text("utf-8")
    return [f"_CoqProject: {found[0]}" for found in UNPROVED.finditer(options)] + unproved_in(files(folder))


def unproved_in(sources: list[Path]) -> list[str]:
    """Return a line for every such word in these files."""
    return [
        f"{path.name}:{number}: {found[0]}"
        for path in sources
        for number, line in enumerate(without_comments(path.read_text("utf-8")).splitlines(), 1)
        for found in UNPROVED.finditer(line)
    ]


def foreign_axioms(claims: list[Statement]) -> list[str]:
    """Return a line for every axiom that some theorem assumes and the library does not.

    Each question walks through the whole library, so all theorems are asked about at once, as a tuple.
    """
    modules = " ".join(path.stem for path in files())
    names = ", ".join(f"@Backproof.{one.file.removesuffix('.v')}.{one.name}" for one in claims)
    with tempfile.TemporaryDirectory() as folder:
        question = Path(folder) / "question.v"
        question.write_text(
            f"From Backproof Require {modules}.\n"
            f"Definition every_theorem := ({names}).\n"
            "Print Assumptions every_theorem.\n"
        )
        answer = run("coqc", *LOAD, "-w", "none", str(question))
    if answer.returncode:
        return [f"Print Assumptions: {answer.stderr.strip()}"]
    return [f"some theorem assumes {axiom}" for axiom in sorted(assumptions(answer.stdout) - LIBRARY)]


def assumptions(answer: str) -> set[str]:
    """Return the axioms that the answer of Print Assumptions names.

    Raises:
        ValueError: it is no such answer.
    """
    heading, _, body = answer.partition("\n")
    if heading == "Axioms:":
        return set(AXIOM.findall(body))
    if heading == "Closed under the global context":
        return set()
    raise ValueError(f"no answer of Print Assumptions: {answer!r}")


def coqchk() -> list[str]:
    """Return what coqchk finds wrong with the compiled files; the libraries below are admitted."""
    modules = [argument for path in files() for argument in ("-norec", f"Backproof.{path.stem}")]
    answer = run("coqchk", "-silent", "-o", *LOAD, *modules)
    context = answer.stdout + answer.stderr
    if answer.returncode:
        return [f"coqchk: {context.strip()}"]
    ours = [f"coqchk: {line.strip()} is assumed" for line in context.splitlines() if "Backproof." in line]
    unsafe = re.findall(r"\* ([^:\n]*(?:type-in-type|unsafe|assumed)[^:\n]*):(?! <none>)", context)
    return ours + [f"coqchk: {line}" for line in unsafe]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command beside the sources and return what it answered."""
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
