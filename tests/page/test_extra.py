"""Where Jinja2 or math-core is missing, it is said, with what to do, and notebooks show text."""

import pytest

import backproof as bp
from backproof.errors import UsageError
from backproof.page import extra
from backproof.page.extra import missing, require_packages
from backproof.page.notebook import derivation_in_notebook, report_in_notebook
from backproof.verification import Report, Verdict

pytestmark = pytest.mark.smoke


@pytest.fixture
def without(monkeypatch):
    """Let packages be missing."""
    there = extra.find_spec

    def hide(*modules):
        monkeypatch.setattr(extra, "find_spec", lambda name: None if name in modules else there(name))

    return hide


def test_with_both_packages_nothing_is_missing():
    assert missing() == []
    require_packages("here")


@pytest.mark.parametrize(
    ("modules", "said"), [(("jinja2",), "Jinja2"), (("jinja2", "math_core"), "Jinja2, math-core")]
)
def test_a_package_that_is_missing_is_named_with_what_to_do(without, modules, said):
    without(*modules)
    with pytest.raises(UsageError, match=f'not installed: {said}.*pip install "backproof\\[html\\]"'):
        require_packages("here")
    with pytest.raises(UsageError, match="write_html"):
        bp.write_html([], "page.html")


def test_a_notebook_shows_the_text_instead_and_what_to_install(without):
    report = Report("f<g>", Verdict.WRONG, explanation="<b>no</b>")
    without("math_core")
    shown = report_in_notebook(report)
    assert shown.startswith("<pre>f&lt;g&gt;: WRONG\n  &lt;b&gt;no&lt;/b&gt;")
    assert "pip install &quot;backproof[html]&quot;" in shown
    assert report._repr_html_() == shown
    assert derivation_in_notebook(None) is None  # so the Markdown of the report is shown
