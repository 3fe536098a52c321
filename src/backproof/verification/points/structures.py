"""The table of structures; `backproof.arguments.STRUCTURES` has the same names."""

from backproof.verification.points.increasing import INCREASING
from backproof.verification.points.matrices import ORTHOGONAL, SPD
from backproof.verification.points.rows import ONE_HOT, PARTITION, PERMUTATION, SIMPLEX

STRUCTURES = {
    "partition": PARTITION,
    "permutation": PERMUTATION,
    "increasing": INCREASING,
    "simplex": SIMPLEX,
    "spd": SPD,
    "orthogonal": ORTHOGONAL,
    "one_hot": ONE_HOT,
}
