"""A report as a notebook shows it; where the packages for pages are missing, what it shows instead."""

import html
from typing import Any

from backproof.page.cards import derivation_card, report_card
from backproof.page.extra import TO_INSTALL, missing
from backproof.page.templates import render, text_of


def report_in_notebook(report: Any) -> str:
    """Return a verifier's report as HTML; without the packages it is plain text, with what to install."""
    if missing():
        said = f"With formulas, distances and matrices: {TO_INSTALL}"
        return f"<pre>{html.escape(str(report))}</pre><p><small>{html.escape(said)}</small></p>"
    return _alone(report_card(report))


def derivation_in_notebook(report: Any) -> str | None:
    """Return the report on a derivation as HTML; None without the packages: its Markdown is shown then."""
    return None if missing() else _alone(derivation_card(report, opened=True))


def _alone(card: str) -> str:
    """Return a card with its style."""
    return render("notebook.html", style=text_of("parts.css"), card=card)
