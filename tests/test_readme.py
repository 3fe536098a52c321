"""Every block of the README runs, as a user would run it, and prints what stands below it."""

import contextlib
import io
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def without_measurements(text):
    """Drop what differs from one release of jax to another: the size of the rounding that was met."""
    text = re.sub(r"within \S+ noise units", "within … noise units", text)
    return re.sub(r"\(\S+ noise units apart\)", "(… noise units apart)", text).strip()


@pytest.mark.as_user
def test_the_tour_runs_and_prints_what_it_says():
    names, printed = {}, []
    for kind, text in BLOCKS:
        if kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, "README.md", "exec"), names)
            printed.append(out.getvalue())
        elif kind == "text":
            assert without_measurements(printed.pop()) == without_measurements(text)
    assert not any(printed)


def test_ci_calls_the_test_command_of_the_readme():
    commands = [text.strip() for kind, text in BLOCKS if kind == "sh"]
    pytest_command = next(command for command in commands if "pytest" in command)
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in run
    assert pytest_command.startswith("python3 -m venv .venv && ")
