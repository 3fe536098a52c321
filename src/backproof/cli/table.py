"""What a project's table says about single gradients, read as the command line reads its arguments."""

from collections.abc import Mapping
from typing import Any

from backproof.cli.arguments import arguments_in
from backproof.cli.target import load_target
from backproof.coverage.plan import Entry


def entries(rules: Mapping[str, Mapping[str, Any]]) -> dict[str, Entry]:
    """Return the entries of `[tool.backproof.rules]`, with the objects that their texts name.

    Raises:
        UsageError: a text names nothing.
    """
    return {name: _entry(name, table) for name, table in rules.items()}


def _entry(name: str, table: Mapping[str, Any]) -> Entry:
    module, args, named = name.partition(":")[0], None, {}
    if "args" in table:
        args, named = arguments_in(table["args"])
    of = table.get("of")
    if of is not None:
        of = load_target(of if ":" in of else f"{module}:{of}")
    return Entry(of, args, named, table.get("declared"), table.get("left_out", ""))
