"""Wrong gradients from public projects, each with its fix, in one tuple."""

from backproof.selftest import (
    corpus_formulas,
    corpus_layers,
    corpus_precision,
    corpus_structure,
    corpus_values,
)

CASES = (
    *corpus_formulas.CASES,
    *corpus_structure.CASES,
    *corpus_values.CASES,
    *corpus_layers.CASES,
    *corpus_precision.CASES,
)
