r"""Formulas in a terminal: LaTeX as readable Unicode, `\frac{\partial J}{\partial z^L}` as ∂J/∂zᴸ."""

import re

SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ",
    "Psi": "Ψ", "Omega": "Ω", "partial": "∂", "nabla": "∇", "odot": "⊙", "cdot": "·", "times": "×",
    "circ": "∘", "otimes": "⊗", "oplus": "⊕", "sum": "∑", "prod": "∏", "int": "∫", "infty": "∞",
    "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "equiv": "≡", "approx": "≈",
    "in": "∈", "notin": "∉", "subset": "⊂", "forall": "∀", "exists": "∃", "to": "→", "rightarrow": "→",
    "leftarrow": "←", "mapsto": "↦", "Rightarrow": "⇒", "Leftrightarrow": "⇔", "top": "⊤", "pm": "±",
    "dots": "…", "ldots": "…", "cdots": "⋯", "vdots": "⋮", "ddots": "⋱", "langle": "⟨", "rangle": "⟩",
    "lVert": "‖", "rVert": "‖", "Vert": "‖", "|": "‖", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|",
    "{": "{", "}": "}", "_": "_", "%": "%", "&": "&", "#": "#", "ell": "ℓ", "prime": "′", "mathbb R": "ℝ",
    "lfloor": "⌊", "rfloor": "⌋", "neg": "¬", "wedge": "∧", "land": "∧", "lor": "∨", "emptyset": "∅",
    "ll": "≪", "gg": "≫", "sim": "∼", "propto": "∝", "setminus": "∖", "cup": "∪", "cap": "∩", "colon": ":",
    "star": "⋆", "dagger": "†", "ast": "∗", "succ": "≻", "prec": "≺", "succeq": "⪰", "preceq": "⪯",
    "iff": "⇔", "implies": "⇒", "perp": "⊥", "parallel": "∥", "cong": "≅", "lesssim": "≲",
    "left": "", "right": "", "big": "", "Big": "", "bigl": "", "bigr": "", "Bigl": "", "Bigr": "",
    "displaystyle": "", "quad": "  ", "qquad": "   ", ",": " ", ";": " ", ":": " ", "!": "", " ": " ",
    "textstyle": "", "middle": "", "limits": "", "nolimits": "", "tfrac": "", "\\": "; ",
}  # fmt: skip
# Commands of one argument that are left out, while the argument is shown.
WRAPPERS = frozenset(
    {
        "text", "mathrm", "mathbf", "boldsymbol", "mathit", "mathsf", "operatorname", "texttt", "textbf",
        "mathcal", "textrm", "bm", "mathbb",
    }
)  # fmt: skip
BRACES = ("underbrace", "overbrace")
FRACTIONS = ("frac", "tfrac", "dfrac")
# What may follow a fraction as its factor: a letter, a digit, a bracket or a root; no operator and no comma.
FACTOR = re.compile(r"[\w(\[{⟨‖|√∂∇∑∏∫]")
ACCENTS = {
    "widehat": "\u0302",
    "widetilde": "\u0303",
    "hat": "\u0302",
    "tilde": "\u0303",
    "bar": "\u0304",
    "overline": "\u0304",
    "vec": "\u20d7",
    "dot": "\u0307",
}
SUPERSCRIPTS = dict(
    zip(
        "0123456789+-−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW⊤′*TβγδθιφχM",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵀ′*ᵀᵝᵞᵟᶿᶥᵠᵡᴹ",
        strict=True,
    )
)
SUBSCRIPTS = dict(
    zip("0123456789+-−=()aehijklmnoprstuvxβγρφχ,", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ,", strict=True)
)
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_]|.", re.DOTALL)
ENVIRONMENT = re.compile(r"\\(begin|end)\{[^}]*\}(\{[^}]*\})?")
NO_PARENTHESES = re.compile(r"^[\w∂σδαβηθ′̂̃̄⁰-⁹ᵃ-ᶿᴬ-ᵂ₀-₉ₐ-ₜᴸˡ⁺⁻¹²³ⱽ()\[\]]+$")


def readable(latex: str) -> str:
    """Return a formula as Unicode text; of a command that is not known, the name is shown."""
    rows = re.sub(r"\s*&\s*", ", ", ENVIRONMENT.sub(lambda m: "[" if m[1] == "begin" else "]", latex))
    text, _ = _sequence(TOKEN.findall(rows), 0)
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"([(\[⟨]) | (?=[)\]⟩,;])", lambda m: m[1] or "", text).strip()


def left_side(latex: str) -> str:
    """Return what stands before the first `=` outside of braces; the whole formula if there is none."""
    depth = 0
    for place, letter in enumerate(latex):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "=" and depth == 0:
            return latex[:place].strip()
    return latex


def _sequence(tokens: list[str], at: int) -> tuple[str, int]:
    """Return the text of the tokens up to a closing brace, and the position of that brace.

    A fraction that is a factor of what follows stands in parentheses: 1/r x would be read as 1/(r x).
    """
    parts: list[str] = []
    fraction: int | None = None
    while at < len(tokens) and tokens[at] != "}":
        is_fraction = tokens[at][1:] in FRACTIONS and tokens[at].startswith("\\")
        if tokens[at] in "^_":
            inner, after = _argument(tokens, at + 1)
            parts.append(_script(inner, SUPERSCRIPTS if tokens[at] == "^" else SUBSCRIPTS, tokens[at]))
        else:
            piece, after = _argument(tokens, at)
            parts.append(piece)
        if fraction is not None and parts[-1].strip():
            if FACTOR.match(parts[-1].strip()) or tokens[at] == "^":
                parts[fraction] = f"({parts[fraction]})"
            fraction = None
        # ∂/∂x is an operator, which is no factor
        fraction = len(parts) - 1 if is_fraction and not parts[-1].startswith("∂/") else fraction
        at = after
    return "".join(parts), at


def _argument(tokens: list[str], at: int) -> tuple[str, int]:
    """Return the text of one token, command or group, and the position of the next one."""
    if at >= len(tokens):
        return "", at
    token = tokens[at]
    if token == "{":
        inner, end = _sequence(tokens, at + 1)
        return inner, end + 1
    if token == "'":
        return "′", at + 1
    if not token.startswith("\\"):
        return token, at + 1
    name = token[1:]
    if name in FRACTIONS:
        above, middle = _argument(tokens, _past_blanks(tokens, at + 1))
        below, end = _argument(tokens, _past_blanks(tokens, middle))
        return f"{_grouped(above)}/{_grouped(below)}", end
    if name == "sqrt":
        inner, end = _argument(tokens, _past_blanks(tokens, at + 1))
        return f"√{_grouped(inner)}", end
    if name in WRAPPERS:
        inner, end = _argument(tokens, _past_blanks(tokens, at + 1))
        return {"R": "ℝ"}.get(inner, inner) if name == "mathbb" else inner, end
    if name in ACCENTS:
        inner, end = _argument(tokens, _past_blanks(tokens, at + 1))
        return "".join(letter + ACCENTS[name] if letter.isalnum() else letter for letter in inner), end
    if name == "binom":
        above, middle = _argument(tokens, _past_blanks(tokens, at + 1))
        below, end = _argument(tokens, _past_blanks(tokens, middle))
        return f"({above} choose {below})", end
    if name in BRACES:
        inner, end = _argument(tokens, _past_blanks(tokens, at + 1))
        return _grouped(inner), end
    if name in SYMBOLS:
        # a blank that only ends the command does not belong to the formula
        letters = name.isalpha() and at + 1 < len(tokens) and tokens[at + 1] == " "
        tight = letters and SYMBOLS[name] in ("∂", "∇", "", "∑")
        return SYMBOLS[name], at + 1 + tight
    return name, at + 1


def _past_blanks(tokens: list[str], at: int) -> int:
    while at < len(tokens) and tokens[at].isspace():
        at += 1
    return at


def _grouped(text: str) -> str:
    return text if NO_PARENTHESES.match(text) else f"({text})"


def _script(text: str, table: dict[str, str], sign: str) -> str:
    """Return `text` raised or lowered if every character can be, else after its sign, in parentheses."""
    text = text.replace(" ", "") if all(c in table or c == " " for c in text) else text
    if text and all(c in table for c in text):
        return "".join(table[c] for c in text)
    return sign + (text if len(text) == 1 else f"({text})")
