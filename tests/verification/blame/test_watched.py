"""The user's functions, rebuilt with marks: the same results, and every value known by its place."""

import ast
import functools
import linecache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.numerics.effort import EFFORT
from backproof.verification.blame.source import source_of
from backproof.verification.blame.watched import MARK, EndlessError, Watching

OFFSET = 0.5


def helper(x):
    return x * 2 + OFFSET


def plain(x):
    """Return something."""
    y = helper(x)
    y += jnp.sin(x)
    a, (b, c) = y, (x, x**2)
    for power in range(2):
        b = b * c if power else b
    return jnp.where(x > 0, a, b) if x.ndim else a


def with_closure(scale):
    def inner(x):
        def innermost(z):
            return z * scale

        return innermost(x) + scale

    return inner


@jax.custom_vjp
def ruled(x):
    return x**2


ruled.defvjp(lambda x: (x**2, x), lambda x, ct: (2 * x * ct,))


@functools.partial(jax.jit, static_argnums=1)
def jitted(x, n):
    return helper(x) ** n


class Layer:
    weight = 3.0

    def __call__(self, x):
        return self.apply(x)

    def apply(self, x):
        return x * self.weight


def recursive(x, k=2):
    return recursive(x, k - 1) * x if k else x


def with_inner_recursion(x):
    def inner(v, k):
        return inner(v, k - 1) + v if k else v

    return inner(x, 3)


def twice(function):
    return lambda v: function(function(v))


def with_decorated_inside(x):
    @twice
    def grown(v):
        return v * 2 + 1

    return grown(x)


def with_an_annotation(x):
    y: jax.Array
    y = x * 3
    return y


def with_a_default(x, act=lambda v: v * 100, *, more=helper):
    return more(act(x))


class Weighted(Layer):
    def __init__(self):
        self.w = 2.0

    def __call__(self, x):
        return x * self.w


weighted = Weighted()


class Private:
    __factor = 4.0

    def go(self, x):
        return x * self.__factor


# fmt: off
one, two = (lambda x: x + 1), (lambda x: x * 3)
# fmt: on
FUNCTIONS = {
    "plain": plain,
    "a closure": with_closure(2.0),
    "a partial": functools.partial(lambda factor, x: factor * x, 3.0),
    "a custom_vjp": lambda x: jax.grad(lambda v: ruled(v).sum())(x),
    "a jitted function": lambda x: jitted(x, 2),
    "a method": Layer().apply,
    "an object": Layer(),
    "two lambdas on a line": lambda x: one(x) + two(x),
    "recursion": recursive,
    "recursion inside": with_inner_recursion,
    "a decorator inside": with_decorated_inside,
    "an annotation": with_an_annotation,
    "a default": with_a_default,
    "a default of a lambda": lambda x, act=lambda v: v * 100: x * 2 + 0 * act(x),
    "an object that is also read": lambda x, w=weighted: w(x) * w.w,
    "a private name": Private().go,
    "a map": lambda x: jax.vmap(helper)(x),
    "a loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, v: helper(v), x),
}


def marks(function, x):
    """Return the texts of the marked expressions that a trace meets, in calls and loops too."""
    watching = Watching()
    found = set()

    def visit(jaxpr):
        for eqn in jaxpr.eqns:
            if eqn.primitive.name == "name":
                found.add(watching.expressions[int(eqn.params["name"][len(MARK) :])].text)
            for value in eqn.params.values():
                for inner in value if isinstance(value, tuple | list) else (value,):
                    visit(getattr(inner, "jaxpr", inner)) if hasattr(inner, "eqns") or hasattr(
                        inner, "jaxpr"
                    ) else None

    visit(jax.make_jaxpr(watching.rebuilt(function))(x).jaxpr)
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_rebuilt_function_returns_the_same(name):
    x = jnp.array([1.5, -2.0, 0.0])
    function = FUNCTIONS[name]
    np.testing.assert_array_equal(Watching().rebuilt(function)(x), function(x))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain", "jnp.sin(x)"),
        ("plain", "x * 2"),  # in the helper
        ("a closure", "z * scale"),
        ("a partial", "factor * x"),
        ("a custom_vjp", "2 * x * ct"),
        ("a jitted function", "helper(x) ** n"),
        ("a method", "x * self.weight"),
        ("an object", "self.apply(x)"),
        ("two lambdas on a line", "x * 3"),
        ("two lambdas on a line", "x + 1"),
        ("a map", "x * 2 + OFFSET"),
        ("recursion", "recursive(x, k - 1) * x"),
        ("a decorator inside", "v * 2 + 1"),
        ("a default", "v * 100"),
        ("an object that is also read", "x * self.w"),
        ("a loop", "x * 2"),
    ],
)
def test_what_a_function_reaches_is_marked(name, text):
    assert text in marks(FUNCTIONS[name], jnp.array([1.5, -2.0, 0.0]))


def test_an_expression_keeps_its_number_and_its_place():
    watching = Watching()
    watching.rebuilt(plain)
    before = dict(watching.expressions)
    watching.rebuilt(plain)
    assert {k: v.text for k, v in watching.expressions.items()} == {k: v.text for k, v in before.items()}
    lines = {one.text: one.line for one in watching.expressions.values()}
    assert lines["jnp.sin(x)"] == plain.__code__.co_firstlineno + 3


def test_an_expression_can_be_exchanged():
    watching = Watching()
    watching.rebuilt(plain)
    (number,) = (k for k, one in watching.expressions.items() if one.text == "jnp.sin(x)")
    changed = watching.rebuilt(plain, (number, ast.parse("jnp.cos(x)", mode="eval").body))
    x = jnp.array([1.0])
    np.testing.assert_array_equal(changed(x), helper(x) + jnp.cos(x))
    np.testing.assert_array_equal(plain(x), helper(x) + jnp.sin(x))


def test_an_edit_holds_at_every_depth_of_a_recursion():
    watching, text = Watching(), "recursive(x, k - 1) * x"
    watching.rebuilt(recursive)
    (number,) = (k for k, one in watching.expressions.items() if one.text == text)
    changed = watching.rebuilt(recursive, (number, ast.parse(f"{text} * 2", mode="eval").body))
    np.testing.assert_array_equal(recursive(jnp.float32(3)), 27)
    np.testing.assert_array_equal(changed(jnp.float32(3)), 4 * 27)


def test_code_of_libraries_is_left_alone():
    watching = Watching()
    assert watching.rebuilt(jnp.sin) is jnp.sin
    assert watching.rebuilt(functools.lru_cache) is functools.lru_cache
    assert not watching.expressions


def test_a_function_whose_source_has_changed_or_is_not_there_is_left_alone():
    text = "def f(x):\n    return x + 1\n"
    names = {}
    exec(compile(text, "gone.py", "exec"), names)
    assert source_of(names["f"]) is None
    linecache.cache["gone.py"] = (0, None, text.splitlines(keepends=True), "gone.py")
    assert source_of(names["f"]).line(2) == "return x + 1"
    for other in (text.replace("+", "-"), text.replace("1", "2"), text.replace("x", "y")):
        linecache.cache["gone.py"] = (0, None, other.splitlines(keepends=True), "gone.py")
        assert source_of(names["f"]) is None
    watching = Watching()
    assert watching.rebuilt(names["f"]) is names["f"]


def test_code_that_an_edit_makes_endless_is_stopped():
    def halving(x):
        n = 8
        while n > 1:
            x = x * 2
            n = n // 2
        return x

    watching = Watching()
    x = jnp.ones(2)
    np.testing.assert_array_equal(watching.rebuilt(halving)(x), halving(x))
    (number,) = (k for k, one in watching.expressions.items() if one.text == "n // 2")
    with pytest.raises(EndlessError):
        watching.rebuilt(halving, (number, ast.parse("n", mode="eval").body))(x)
    assert watching.usual == 3  # n is 8, 4 and 2
    assert watching.steps == watching.most + 1 == 10 * 3 + EFFORT.endless + 1
