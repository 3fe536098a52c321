"""What a release says of itself: one version, and one licence."""

import importlib.metadata
import pathlib
import re
import tomllib

import pytest

import backproof

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
pytestmark = pytest.mark.smoke


def cited(name):
    """Return a field of the citation."""
    return re.search(rf"^{name}: (.*)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)[1]


def test_the_version_stands_in_one_place_and_the_citation_says_the_same():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/backproof/__init__.py"
    assert cited("version") == importlib.metadata.version("backproof") == backproof.__version__


def test_the_licence_is_the_same_everywhere():
    assert cited("license") == PROJECT["project"]["license"]
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")


def test_every_extra_that_an_error_asks_for_exists():
    texts = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    said = {extra for text in texts for extra in re.findall(r"backproof\[([a-z]+)\]", text)}
    assert said
    assert said <= set(PROJECT["project"]["optional-dependencies"])
