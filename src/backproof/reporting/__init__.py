"""Reports in the terminal and as JSON."""

from backproof.reporting.derived import print_derivations, print_slips, show
from backproof.reporting.terminal import print_reports, progress
from backproof.reporting.to_json import write_json

__all__ = ["print_derivations", "print_reports", "print_slips", "progress", "show", "write_json"]
