"""Every block of the README and of the guides in docs/ runs as written, and prints what stands below it."""

import contextlib
import io
import linecache
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = {"your code": "your-code.md", "a page": "page.md"}
HEADING = re.compile(r"^(?=##+ )", re.MULTILINE)
SECTIONS = {"README": HEADING.split(README)} | {
    name: HEADING.split((ROOT / "docs" / file).read_text(encoding="utf-8")) for name, file in GUIDES.items()
}
RUN = [(page, i) for page, parts in SECTIONS.items() for i, part in enumerate(parts) if "```python" in part]


def blocks(text):
    """Return the kind and the text of every fenced block."""
    return re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)


def imports(sections):
    """Return the import lines of these sections; of everything else a section stands alone."""
    code = "".join(text for section in sections for kind, text in blocks(section) if kind == "python")
    return "\n".join(re.findall(r"^(?:import|from) .*", code, re.MULTILINE))


def without_measurements(text):
    """Drop what differs from one release to another: the rounding that was met, and how many draws met what.

    Hypothesis chooses some of its seeds from the constants of the modules that are loaded.
    """
    text = re.sub(r"\d+ examples, seed", "… examples, seed", text)
    text = re.sub(r"no evidence at \d+ points", "no evidence at … points", text)
    text = re.sub(r"agree, at \d+ points", "agree, at … points", text)
    text = re.sub(r"right at all \d+ points", "right at all … points", text)
    text = re.sub(r"within \S+ noise units", "within … noise units", text)
    return re.sub(r"\(\S+ noise units apart\)", "(… noise units apart)", text).strip()


def compiled(lines, text):
    """Return a block as if it stood in a file below those before it, with a source that can be read."""
    below = "\n" * len(lines) + text
    lines += text.splitlines()
    linecache.cache["example.py"] = (0, None, below.splitlines(keepends=True), "example.py")
    return compile(below, "example.py", "exec")


def run(section, names):
    """Run the blocks of a section in order, and compare what they print with the text below them."""
    printed, lines = [], []
    for kind, text in blocks(section):
        if kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compiled(lines, text), names)
            printed.append(out.getvalue())
        elif kind == "text":
            assert without_measurements(printed.pop()) == without_measurements(text)
    assert not any(printed)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("page", "number"),
    RUN,
    ids=[f"{page}: {SECTIONS[page][i].partition(chr(10))[0].lstrip('# ')}" for page, i in RUN],
)
def test_a_section_runs_on_the_imports_above_it_and_prints_what_it_says(page, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for the files that it writes
    names = {}
    exec(imports(SECTIONS[page][:number]), names)
    run(SECTIONS[page][number], names)


@pytest.mark.smoke
@pytest.mark.parametrize(
    "section",
    [
        "```python\nprint(1)\n```\n```text\n2\n```\n",
        "```python\nprint(1)\n```\nwith nothing below it\n",
        "```python\n1 / 0\n```\n",
    ],
)
def test_a_block_that_prints_something_else_or_raises_is_seen(section):
    with pytest.raises((AssertionError, ZeroDivisionError)):
        run(section, {})


@pytest.mark.smoke
def test_ci_calls_the_test_command_of_the_readme():
    commands = [text.strip() for kind, text in blocks(README) if kind == "sh"]
    pytest_command = next(command for command in commands if "pytest" in command)
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in run
    assert pytest_command.startswith("python3 -m venv .venv && ")
