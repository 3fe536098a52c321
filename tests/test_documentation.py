"""Every block of the README and of the site runs as written, and prints what stands below it."""

import re

import pytest
from sybil.example import SybilFailure

from documentation import PAGES, ROOT, matches, run_section, sections_of, unknown_languages

RUN = [(page, heading) for page in PAGES for heading in sections_of(page)]


@pytest.mark.as_user
@pytest.mark.parametrize(("page", "heading"), RUN, ids=[f"{page.stem}: {heading}" for page, heading in RUN])
def test_a_section_runs_on_the_imports_above_it_and_prints_what_it_says(page, heading, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_section(sections_of(page)[heading])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_is_left_out(page):
    assert unknown_languages(page.read_text(encoding="utf-8")) == []


def section(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    return sections_of(page)


@pytest.mark.smoke
@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1)\n```\n```text\n2\n```\n",
        "```python\nprint(1)\nprint(2)\n```\n```text\n1\n```\n",
        "```python\nprint(1)\n```\nwith nothing below it\n",
        "```python\nprint(1)\n```\n```python\nx = 1\n```\n",
        "```python\nx = 1\n```\n```text\n1\n```\n",
        "```text\nwith nothing above it\n```\n",
        "```python\n1 / 0\n```\n",
        "## One\n```python\nx = 1\n```\n## Two\n```python\nx\n```\n",
        '```json\n{"a": 1,}\n```\n',
        "```toml\na = \n```\n",
    ],
)
def test_a_block_that_prints_something_else_or_raises_is_seen(text, tmp_path):
    sections = section(tmp_path, text).values()
    with pytest.raises((SybilFailure, AssertionError, ZeroDivisionError, KeyError, NameError, ValueError)):
        list(map(run_section, sections))


@pytest.mark.smoke
def test_a_command_that_does_not_exist_is_seen(tmp_path, capsys):
    (examples,) = section(tmp_path, "```sh\nbackproof verify --every-line\n```\n").values()
    with pytest.raises(SystemExit):
        run_section(examples)
    assert "--every-line" in capsys.readouterr().err


@pytest.mark.smoke
def test_a_block_without_a_language_or_of_an_unknown_one_is_seen():
    assert unknown_languages("```\nx\n```\n\n```pyhton\nx\n```\n\n```python\nx\n```\n") == ["", "pyhton"]
    assert unknown_languages("```{toctree}\nx\n```\n> ```perl\n> x\n> ```\n") == ["perl"]


@pytest.mark.smoke
def test_measurements_may_differ_and_a_gap_stands_for_a_part_of_a_line():
    assert matches("5 examples, seed 0; within 1.2 noise units\n", "9 examples, seed 0; within … noise units")
    assert matches("a = 1.25 seconds", "a = … seconds")
    assert not matches("a = 1.25\nb seconds", "a = … seconds")
    assert not matches("58 examples, seed 1", "58 examples, seed 0")
    assert not matches("a = 1.25", "a = 1.2")


@pytest.mark.smoke
def test_ci_calls_the_test_command_of_the_readme():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    pytest_command = next(block.strip() for block in blocks if "pytest" in block)
    assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert pytest_command.startswith("python3 -m venv .venv && ")
