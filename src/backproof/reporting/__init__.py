"""One verdict, many pages: the terminal and JSON."""

from backproof.reporting.terminal import print_reports
from backproof.reporting.to_json import write_json

__all__ = ["print_reports", "write_json"]
