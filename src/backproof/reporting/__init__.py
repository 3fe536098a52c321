"""Reports in the terminal, as JSON and as a page."""

from backproof.reporting.derived import print_derivations, print_slips, show
from backproof.reporting.html import write_html
from backproof.reporting.terminal import print_reports, progress
from backproof.reporting.to_json import print_jsonl, schema, write_json

__all__ = [
    "print_derivations", "print_jsonl", "print_reports", "print_slips", "progress", "schema", "show",
    "write_html", "write_json",
]  # fmt: skip
