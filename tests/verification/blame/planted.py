"""Slips planted in the source of right backward passes, each by one change of the syntax tree.

`python planted.py 400 5` plants 400 of them, chosen by seed 5, and prints how many lines and mends are right.
"""

import ast
import collections
import copy
import itertools
import pathlib
import random
import sys
import tempfile
import types

import passes

import backproof as bp

QUICK = {"examples": 60, "dtypes": (), "second_order": False}
SOURCE = pathlib.Path(passes.__file__)
OPPOSITE = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
REDUCTION = {"sum": "mean", "mean": "sum"}


def slips_in(node, names):
    """Yield (name of the slip, expression in its place) for one expression."""
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Mult | ast.Add):
            yield "dropped right operand", node.left
            yield "dropped left operand", node.right
        if isinstance(node.op, ast.Sub | ast.Div | ast.Pow):
            yield "dropped right operand", node.left
        if isinstance(node.op, ast.Sub):
            yield "dropped left operand", node.right
        if type(node.op) in OPPOSITE:
            yield "opposite operator", ast.BinOp(node.left, OPPOSITE[type(node.op)](), node.right)
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "dropped transpose", node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "dropped minus", node.operand
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in REDUCTION:
            other = copy.deepcopy(node)
            other.func.attr = REDUCTION[node.func.attr]
            yield "sum and mean", other
        if node.func.attr in ("sqrt", "softmax", "tanh", "sigmoid", "exp") and node.args:
            yield "dropped function", node.args[0]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        for other in sorted(names - {node.id}):
            yield "neighbouring name", ast.Name(other, ast.Load())
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value > 0:
        yield "another number", ast.Constant(node.value * 2)


def candidates():
    """Yield every slip: (pass, its name, line, changed definition)."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    for definition in tree.body:
        if not isinstance(definition, ast.FunctionDef) or definition.name not in passes.PASSES:
            continue
        names = {
            n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        body = [node for statement in definition.body[1:] for node in ast.walk(statement)]
        for number, node in enumerate(body):
            for name, instead in slips_in(node, names) if isinstance(node, ast.expr) else ():
                changed = copy.deepcopy(definition)
                twin = [n for statement in changed.body[1:] for n in ast.walk(statement)][number]
                _replace(changed, twin, copy.deepcopy(instead))
                yield definition.name, name, node.lineno - definition.lineno, changed


def _replace(tree, old, new):
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
            elif isinstance(value, list) and any(one is old for one in value):
                value[:] = [new if one is old else one for one in value]


def planted(count, seed, folder):
    """Yield (pass, name of the slip, line, function with it, its file), so many of them."""
    every = list(candidates())
    random.Random(seed).shuffle(every)
    # as many of each kind as there are
    kinds = [
        list(group)
        for _, group in itertools.groupby(sorted(every, key=lambda one: one[1]), lambda one: one[1])
    ]
    mixed = [one for turn in itertools.zip_longest(*kinds) for one in turn if one is not None]
    for number, (of, name, line, changed) in enumerate(mixed[:count]):
        file = pathlib.Path(folder) / f"slip_{number}.py"
        changed.decorator_list = []
        text = ast.unparse(ast.fix_missing_locations(changed))
        file.write_text(f"import jax\nimport jax.numpy as jnp\n\nEPS = 1e-5\n\n\n{text}\n", encoding="utf-8")
        module = types.ModuleType(file.stem)
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)
        yield of, name, 7 + line, getattr(module, of), file


def is_right(of, args, file, blamed):
    """Return whether the source in a file, with a line mended, is right at points of another seed."""
    lines = file.read_text(encoding="utf-8").splitlines()
    old = lines[blamed.line - 1]
    lines[blamed.line - 1] = old[: len(old) - len(old.lstrip())] + blamed.mend
    names = {}
    exec("\n".join(lines), names)
    vjp = next(names[name] for name in passes.PASSES if name in names)
    return bp.verify(of=of, vjp=vjp, args=args, seed=11, **QUICK).ok


def main(count, seed):
    """Plant slips, and print how many lines and mends are named, and how many of them rightly."""
    found = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for of_name, name, line, vjp, file in planted(count, seed, folder):
            of, _, args = passes.PASSES[of_name]
            report = bp.verify(of=of, vjp=vjp, args=args, **QUICK)
            if report.verdict != "WRONG" or report.cause.startswith(("contract", "missing-sum")):
                continue  # nothing is wrong, or the result has not even the right form
            blamed = report.blame
            found["wrong"] += 1
            found["line right"] += bool(blamed and blamed.line == line)
            found["another line"] += bool(blamed and blamed.line not in (line, None))
            if blamed and blamed.mend:
                right = is_right(of, args, file, blamed)
                found["mend right" if right else "mend false"] += 1
                if not right:
                    print(f"{of_name}, {name}: {report.mend}")
    print(dict(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
