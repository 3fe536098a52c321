"""The site: `sphinx-build -W --keep-going -n docs build/site` builds it; see `.ci/run`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import backproof

ROOT = Path(__file__).parent.parent

project = "backproof"
author = "the authors of backproof"
copyright = "the authors of backproof; Apache-2.0"
version = release = backproof.__version__

extensions = [
    "myst_parser",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "repository",
    "catalogue",
]
exclude_patterns = ["_*", "wild"]

myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4
html_math_renderer = "mathml"

# In a docstring, `x` is code. The types in signatures are not looked up; references in prose are.
default_role = "code"
nitpick_ignore_regex = [(r"py:(class|data|obj)", r".*")]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "backproof"
# The font of formulas is that of the page of `backproof verify --html`.
html_static_path = ["_static", *map(str, (ROOT / "src").rglob("stix-two-math.woff2"))]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def without_fields(app, what, name, obj, skip, options):
    """Leave out the fields of a NamedTuple, which its docstring describes, and whose own says nothing."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app):
    """Leave out what would be described twice."""
    app.connect("autodoc-skip-member", without_fields)
