"""Reports as one JSON file, or as lines of JSON, in the form of `report.schema.json`."""

import json
import sys
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from backproof import derivations, verification

AnyReport = verification.Report | derivations.DerivationReport
One = TypeVar("One", bound=AnyReport)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of every report: gradient, derivation, intermediates."""
    return json.loads(
        resources.files("backproof.reporting").joinpath("report.schema.json").read_text("utf-8")
    )


def write_json(reports: Sequence[AnyReport], path: Path) -> None:
    """Write `reports` to `path` as a list of JSON objects, whole or not at all."""
    write_text(json.dumps([json.loads(report.to_json()) for report in reports], indent=2), path)


def print_jsonl(reports: Iterable[One]) -> list[One]:
    """Print each report as one line of JSON as soon as it is known, and return them all."""
    finished = []
    for report in reports:
        finished.append(report)
        sys.stdout.write(report.to_json() + "\n")
        sys.stdout.flush()
    return finished


def write_text(text: str, path: Path) -> None:
    """Write `text` and a newline to `path`, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
