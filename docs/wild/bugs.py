"""What the verifier says of real gradient bugs: verdict, cause, line and mend of each, as a table.

python docs/wild/bugs.py            the table of docs/real-bugs.md
python docs/wild/bugs.py sigmoid    the full reports of the cases with this word in their name
"""

import sys
import warnings

import backproof as bp
from backproof.selftest.corpus import CASES
from backproof.verification import Report
from backproof.verification.running.low_precision import DTYPES


def main() -> None:
    """Print a row for each bug, or the reports that were asked for."""
    wanted = sys.argv[1:]
    warnings.simplefilter("ignore")
    for case in CASES:
        if case.wrong is None or not all(word in case.name for word in wanted):
            continue
        report = bp.verify(**{"dtypes": DTYPES, **case.wrong})
        if wanted:
            print(report, "\n", flush=True)
        else:
            said = (case.name, source(case.source), str(report.verdict), f"`{report.cause}`", *blamed(report))
            print(f"| {' | '.join(said)} |", flush=True)


def source(text: str) -> str:
    """Return where a bug happened, as a link where that is an issue of a project."""
    project, _, number = text.partition("#")
    is_issue = "/" in project and number.isdigit()
    return f"[{text}](https://github.com/{project}/issues/{number})" if is_issue else text


def blamed(report: Report) -> tuple[str, str]:
    """Return the line that is named, and its mend; else how many lines are in question."""
    found = report.blame
    if found is None:
        return "-", ""
    if found.mend:
        return code(found.text), code(found.mend)
    if found.line is None and len(found.lines) > 1:
        return f"one of {len(found.lines)} lines", ""
    if found.line is None:
        return f"{code(found.text)}, or what it calls", ""
    return code(found.text), ""


def code(text: str) -> str:
    """Return a line of code as it stands in a cell of a table."""
    return "`" + text.replace("|", "\\|") + "`"


if __name__ == "__main__":
    main()
