"""Fill the column of derivations in traceability.md from the `items=` of the derivations in proofs/*.py.

A derivation shows a theorem on numbers if both carry the same item of the specification; one that carries an
erratum (E0 … E4) shows a slip of the document instead, and is left out.
"""

import ast
from pathlib import Path

from statements import HERE

TABLE = HERE / "traceability.md"
NONE = "—"


def main() -> None:
    """Rewrite the table."""
    TABLE.write_text(filled(TABLE.read_text("utf-8"), derivations(HERE.parent)), "utf-8")


def derivations(folder: Path) -> dict[str, list[str]]:
    """Return, for each item, the names `file.function` of the derivations that carry it."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            items = items_of(node)
            for item in () if any(one.startswith("E") for one in items) else items:
                found.setdefault(item, []).append(f"{path.stem}.{node.name}")
    return found


def items_of(node: ast.stmt) -> tuple[str, ...]:
    """Return the items in `@bp.derivation(…, items=(…))` above a function."""
    calls = [one for one in getattr(node, "decorator_list", []) if isinstance(one, ast.Call)]
    return tuple(
        item
        for call in calls
        if ast.unparse(call.func).rpartition(".")[2] == "derivation"
        for keyword in call.keywords
        if keyword.arg == "items"
        for item in ast.literal_eval(keyword.value)
    )


def filled(table: str, by_item: dict[str, list[str]]) -> str:
    """Return the text of the table with the last cell of every row of five cells filled."""
    return "\n".join(_filled_row(line, by_item) for line in table.split("\n"))


def _filled_row(line: str, by_item: dict[str, list[str]]) -> str:
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    if len(cells) != 5 or not cells[0].startswith("`"):
        return line
    names = dict.fromkeys(name for item in cells[2].split(", ") for name in by_item.get(item, []))
    cells[4] = ", ".join(f"`{name}`" for name in names) or NONE
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
