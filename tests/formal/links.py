"""The links from the formal theorems to the derivations in `proofs/` that show the same on numbers."""

import ast
from collections.abc import Iterable
from pathlib import Path


def derivations(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the items of every derivation, by its name `document.function`; nothing is imported.

    A document is a file of the folder, or all the files in a folder below it.
    """
    return {
        f"{path.relative_to(folder).parts[0].removesuffix('.py')}.{node.name}": items
        for path in sorted(folder.rglob("*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and (items := _items(node)) is not None
    }


def _items(function: ast.FunctionDef) -> tuple[str, ...] | None:
    """Return the `items=` of the decorator `derivation(…)`, or None if the function has no such decorator."""
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == "derivation":
            return next(
                (ast.literal_eval(one.value) for one in call.keywords if one.arg == "items"),
                (),
            )
    return None


def broken(links: Iterable[str], items: Iterable[str], known: dict[str, tuple[str, ...]]) -> list[str]:
    """Return what is wrong with the links of a theorem that carries these items of the specification."""
    items = set(items)
    return [f"there is no derivation {link}" for link in links if link not in known] + [
        f"{link} has neither an item nor the document of {', '.join(sorted(items))}"
        for link in links
        if link in known and not items & set(known[link]) and not any(_of(link, item) for item in items)
    ]


def _of(link: str, item: str) -> bool:
    """Return whether the item belongs to the document that the derivation stands in: S2.5 to doc_002."""
    document = link.partition(".")[0]
    return document == ("cross_cutting" if item.startswith("X") else f"doc_00{item[1]}")
