"""Parts of a page: one report as HTML, with its formulas, distances, source and smallest example.

The same parts make a cell of a notebook and the file of `backproof verify --html`.
"""

from backproof.page.notebook import derivation_in_notebook, report_in_notebook

__all__ = ["derivation_in_notebook", "report_in_notebook"]
