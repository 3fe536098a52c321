"""Every published rule that was tried, in one table; the packages are described in files of their own."""

import of_jax
import of_others
import of_probability
from record import Published

RULES: tuple[Published, ...] = (*of_jax.RULES, *of_probability.RULES, *of_others.RULES)
