"""What is filled into a template is escaped, a name that it lacks is an error, and its files are shipped."""

import re

import pytest
from jinja2 import UndefinedError

from backproof.page.templates import bytes_of, render, text_of

pytestmark = pytest.mark.smoke


def test_what_is_filled_in_is_escaped_and_a_result_of_a_template_is_not_escaped_twice():
    assert "&lt;script&gt;" in render("notebook.html", style="", card="<script>")
    inner = render("notebook.html", style="", card="1 < 2")
    assert "1 &lt; 2" in render("notebook.html", style="", card=inner)


def test_a_name_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match="'card' is undefined"):
        render("notebook.html", style="")


def test_the_files_next_to_the_templates_can_be_read():
    assert ".bp-badge" in text_of("parts.css")
    assert bytes_of("stix-two-math.woff2")[:4] == b"wOF2"
    assert "SIL OPEN FONT LICENSE" in text_of("stix-two-math.LICENSE.txt")


def test_the_style_of_the_parts_touches_nothing_around_them():
    text = re.sub(r"/\*.*?\*/", "", text_of("parts.css"), flags=re.DOTALL)
    selectors = [one.strip() for part in re.findall(r"([^{};]+)\{", text) for one in part.split(",")]
    around = [
        one for one in selectors if not re.search(r"(^|\s)\.bp( |$)", one) and not one.startswith("@media")
    ]
    assert len(selectors) > 80
    assert around == []
