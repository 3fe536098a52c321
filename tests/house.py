"""The imports of the package, read from its source: which file needs which, wherever the import stands."""

import ast
import functools
import pathlib
from collections import defaultdict

SRC = pathlib.Path(__file__).parent.parent / "src" / "backproof"
# From the ground up: a place may import from those before it and from itself.
FLOORS = (
    "errors", "session", "arguments", "rule", "rules", "losses", "datasets", "compose", "stack", "depth",
    "precision", "network", "gradient", "catalogue", "numerics", "page", "verification", "derivations",
    "coverage", "selftest", "auditing", "training", "benchmark", "reporting", "cli", "__main__", "__init__",
)  # fmt: skip
# The rooms of the verifier in the order of a run; its other files stand above them.
ROOMS = ("points", "claims", "running", "aiming", "judging", "blame", "diagnosis")


def files(root=SRC):
    """Return the source of every module below `root`, by its dotted name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


@functools.cache
def imports_of(source):
    """Return the dotted names that a source imports: at its top, under TYPE_CHECKING, inside functions.

    Of a name that is put together when it runs, `import_module(f"package.{name}")`, what stands before the
    first brace is returned, with a star after it.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                names |= _written(node.args[0])
    return names


def _written(node):
    if isinstance(node, ast.Constant):
        return {node.value}
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return {f"{parts[0].value}*"} if parts and isinstance(parts[0], ast.Constant) else set()


def arrows(modules):
    """Return, for each module, the modules it imports; the lazy face of the package is left out."""
    found = defaultdict(set)
    for name, source in modules.items():
        package = name.partition(".")[0]
        for target in imports_of(source) if name != package else ():
            if target.endswith("*"):
                found[name] |= {other for other in modules if other.startswith(target[:-1])}
            elif target in modules:
                found[name].add(target)
            elif target.rpartition(".")[0] in modules and target.rpartition(".")[0] != package:
                found[name].add(target.rpartition(".")[0])
    return {name: targets - {name} for name, targets in found.items()}


def circle(graph):
    """Return the modules of one circle, each importing the next, the first again last; empty without one."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        for target in sorted(graph.get(name, ())):
            found = visit(target)
            if found:
                return found
        done.add(path.pop())
        return []

    return next(filter(None, map(visit, sorted(graph))), [])


def floor(module):
    """Return how high a module stands: its place, and in the verifier its room."""
    _, place, *rest = [*module.split("."), ""] if module.count(".") == 0 else module.split(".")
    room = ROOMS.index(rest[0]) if place == "verification" and rest and rest[0] in ROOMS else len(ROOMS)
    return FLOORS.index(place or "__init__"), room


def upward(graph):
    """Return the arrows that point up, as `importer -> imported`."""
    return [
        f"{name} -> {target}"
        for name, targets in sorted(graph.items())
        for target in sorted(targets)
        if floor(target) > floor(name)
    ]
