r"""Formulas as MathML, which browsers and screen readers read as they are; the one place with math-core.

math-core escapes what stands in `\text{…}`. A formula that it cannot read is shown as its LaTeX. The package
is optional, so it is imported where it is first used.
"""

import html
import re
from functools import cache
from typing import Any

# Parentheses of a fixed size, and those that stretch, which browsers set better.
FIXED = re.compile(r"\\[bB]igg?([lr])(?![A-Za-z])")
SIDES = {"l": r"\left", "r": r"\right"}
# Text in a formula, and the signs that mean something in LaTeX and are often meant as they are in a name.
TEXT = re.compile(r"(\\text(?:tt|bf|it|rm|sf)?\{)([^{}]*)(?=\})")
SIGNS = re.compile(r"(?<!\\)[_&#%]")


@cache
def _converter() -> Any:
    import math_core

    return math_core.LatexToMathML()


@cache
def mathml(latex: str) -> str:
    """Return a formula as MathML in the style of a displayed one, or its LaTeX where that cannot be read.

    The result is safe HTML.
    """
    import math_core

    latex_of_text = TEXT.sub(lambda found: found[1] + SIGNS.sub(r"{\\\g<0>}", found[2]), latex)
    for form in (FIXED.sub(lambda found: SIDES[found[1]], latex_of_text), latex_of_text):
        try:
            return _converter().convert_with_local_state(form, displaystyle=True)
        except math_core.LatexError:
            continue
    return f'<code class="bp-latex">{html.escape(latex)}</code>'
