"""What `--args` names: specifications, values as Python writes them, objects of modules, and keywords."""

import jax
import pytest

from backproof.arguments import array, parse
from backproof.cli.arguments import arguments_in
from backproof.errors import UsageError


def test_each_kind_of_argument_is_read():
    by_position = "f32[b,n>=1] i32[b]>=0<n|-1 1e-6 'a b' None True (1, 2) [3,4] jax.nn:relu"
    positional, named = arguments_in(f"{by_position} axis=-1 mode='x y' how=(0, 1)")
    specs = [array("b n>=1"), parse("i32[b]>=0<n|-1")]
    assert positional == [*specs, 1e-6, "a b", None, True, (1, 2), [3, 4], jax.nn.relu]
    assert named == {"axis": -1, "mode": "x y", "how": (0, 1)}


def test_a_specification_keeps_its_structure():
    assert arguments_in("i32[g>=1]:partition(m) f32[8*b>=8,n]")[0] == [
        parse("i32[g>=1]:partition(m)"),
        array("8*b>=8 n"),
    ]
    assert arguments_in("((1, 2), 3) how=[(0, 1)]") == ([((1, 2), 3)], {"how": [(0, 1)]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("f32[n] same", "but found same; write texts in quotes"),
        ("f32[n", r"written dtype\[dims\].* found 'f32\[n'"),
        ("os.path:nothing", "must define nothing"),
        ("axis=first", "but found first"),
        ("w=f32[n]", r"what is drawn stands by position, but found w=f32\[n\]"),
        ("axis=1 axis=2", "but found axis= twice"),
    ],
)
def test_what_is_none_of_these_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        arguments_in(text)
