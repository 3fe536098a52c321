"""Reports as one JSON file."""

import json
from collections.abc import Sequence
from pathlib import Path

from backproof import derivations, verification


def write_json(reports: Sequence[verification.Report | derivations.DerivationReport], path: Path) -> None:
    """Write `reports` to `path` as a list of JSON objects, whole or not at all."""
    write_text(json.dumps([json.loads(report.to_json()) for report in reports], indent=2), path)


def write_text(text: str, path: Path) -> None:
    """Write `text` and a newline to `path`, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
