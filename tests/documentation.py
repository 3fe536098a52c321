"""The documentation as sybil reads it: how a block is run, and how what it prints is compared.

A page is divided at its headings; a section runs on the imports of the sections above it and on nothing else.
A page with the comment `<!-- one section -->` is not divided.
"""

import contextlib
import functools
import io
import json
import linecache
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

from backproof.cli.parser import build_parser

ROOT = pathlib.Path(__file__).parent.parent
# The pages of the documents show derivations, which tests/test_proofs.py runs and compares.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[!_]*.md"))]
HEADING = re.compile(r"^##+ ", re.MULTILINE)
# What differs from one release of a library to the next. Hypothesis chooses some of its seeds from the
# constants of the modules that are loaded, so that it may draw other points.
MEASURED = (
    (r"\d+ examples, seed", "# examples, seed"),
    (r"no evidence at \d+ points", "no evidence at # points"),
    (r"agree, at \d+ points", "agree, at # points"),
    (r"right at all \d+ points", "right at all # points"),
    (r"within \S+ noise units", "within # noise units"),
    (r"\(\S+ noise units apart\)", "(# noise units apart)"),
)


def matches(printed, shown):
    """Return whether a page shows what was printed; in it, `…` stands for anything within a line."""
    for pattern, instead in MEASURED:
        printed, shown = re.sub(pattern, instead, printed), re.sub(pattern, instead, shown)
    pattern = ".*".join(map(re.escape, shown.strip().split("…")))
    return re.fullmatch(pattern, printed.strip()) is not None


def run_python(example):
    """Run a block as if it stood in example.py below those before it; keep what it prints.

    A block whose first line is a comment with the name of a file, `# gradients.py`, is that file, too; the
    tests of a `# test_….py` are run.
    """
    names, text = example.namespace, str(example.parsed)
    _require_nothing_printed(names)
    lines = names.setdefault("__lines__", [])
    below = "\n" * len(lines) + text
    lines += text.splitlines()
    linecache.cache["example.py"] = (0, None, below.splitlines(keepends=True), "example.py")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(below, "example.py", "exec"), names)
        if text.startswith("# test_"):
            for test in [value for name, value in names.items() if name.startswith("test_")]:
                test()
    names["__printed__"] = out.getvalue()
    file = re.match(r"# (\w+\.py)\n", text)
    if file:
        pathlib.Path(file[1]).write_text(text, encoding="utf-8")


def run_shell(example):
    """Parse the commands of this project; run them if the page shows below them what they print."""
    _require_nothing_printed(example.namespace)
    commands = [shlex.split(line, comments=True) for line in str(example.parsed).splitlines() if line.strip()]
    for command in commands:
        if command[:1] == ["backproof"]:
            build_parser().read([one for one in command[1:] if one not in ("&&", ">")])
    if re.match(r"\s*```text\n", example.document.text[example.end :]):
        example.namespace["__printed__"] = "".join(map(_output_of, commands))


def _output_of(command):
    """Return what a command prints, `backproof` or `python`, with settings such as `NAME=value` before it."""
    settings = dict(word.split("=", 1) for word in command if re.match(r"[A-Z_]+=", word))
    program, *rest = command[len(settings) :]
    start = {"backproof": [sys.executable, "-m", "backproof"], "python": [sys.executable]}[program]
    folders = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "COLUMNS": "100", "PYTHONPATH": folders, "JAX_PLATFORMS": "cpu", **settings}
    run = subprocess.run([*start, *rest], capture_output=True, text=True, check=False, env=env)
    assert not run.stderr, run.stderr
    return run.stdout


def compare(example):
    """Compare a block of text with what the block before it printed."""
    printed = example.namespace.pop("__printed__")
    example.namespace["__printed__"] = ""
    shown = str(example.parsed)
    return None if matches(printed, shown) else f"the page shows\n{shown}\nand this is printed:\n{printed}"


def _require_nothing_printed(names):
    printed = names.pop("__printed__", "")
    assert not printed, f"the page does not show what was printed:\n{printed}"


EVALUATORS = {
    "python": run_python,
    "sh": run_shell,
    "text": compare,
    "json": lambda example: json.loads(str(example.parsed)) and None,
    "toml": lambda example: tomllib.loads(str(example.parsed)) and None,
}
SYBIL = Sybil([CodeBlockParser(language, run) for language, run in EVALUATORS.items()])


def unknown_languages(text):
    """Return the languages of the blocks that nothing runs; directives of Sphinx stand in braces."""
    fences = re.findall(r"^[ >]*```+([^\n`]*)\n.*?^[ >]*```+$", text, re.MULTILINE | re.DOTALL)
    return sorted({kind.strip() for kind in fences if not kind.startswith("{")} - {*EVALUATORS})


@functools.cache
def sections_of(page):
    """Return the examples below each heading that has any, by the text of the heading."""
    document = SYBIL.parse(page)
    whole = "<!-- one section -->" in document.text
    found, heads = {}, [0, *(match.start() for match in HEADING.finditer(document.text) if not whole)]
    for start, end in zip(heads, [*heads[1:], len(document.text)], strict=True):
        examples = [one for one in document.examples() if start <= one.start < end]
        if examples:
            found[document.text[start:end].partition("\n")[0].lstrip("# ")] = examples
    return found


def run_section(examples):
    """Run the examples of a section in order, on the imports of the sections above it."""
    document, names = examples[0].document, examples[0].namespace
    names.clear()
    names["__name__"] = "example"
    above = [one for one in document.examples() if one.start < examples[0].start]
    code = "".join(str(one.parsed) for one in above if one.region.evaluator is run_python)
    exec("\n".join(re.findall(r"^(?:import|from) .*", code, re.MULTILINE)), names)
    for example in examples:
        example.evaluate()
    _require_nothing_printed(names)
