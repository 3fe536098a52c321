"""Every shipped rule, network and loss with a hand-written gradient: the list for `backproof verify`."""

from backproof import losses, rules
from backproof.compose import chain, remat, residual
from backproof.depth import remat_repeat, repeat
from backproof.network import mlp
from backproof.precision import mixed_precision
from backproof.rule import Loss, Rule

NETWORKS: tuple[Rule, ...] = (
    mlp([3, 4, 2], rules.relu),
    mlp([4, 3, 5, 2], rules.sigmoid, last=rules.sigmoid),
    chain(rules.affine(3), rules.tanh, rules.affine(2)),
    repeat(chain(rules.affine(3), rules.tanh), 3),
    residual(chain(rules.affine(3), rules.tanh)),
    remat(chain(rules.affine(4), rules.silu, rules.affine(2))),
    remat_repeat(chain(rules.affine(3), rules.softplus), 5),
    mixed_precision(mlp([3, 4, 2], rules.tanh)),
)
# The precisions in which all of them are meant to run, and are judged.
PRECISIONS = ("float32", "bfloat16", "float16")
SHIPPED: tuple[Rule | Loss, ...] = (*rules.CATALOGUE, *NETWORKS, *losses.CATALOGUE)
