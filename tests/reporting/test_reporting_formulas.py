"""Every rule, network and loss of the catalogue has its formulas, and each can be read."""

import pytest

from backproof.catalogue import SHIPPED
from backproof.page.formulas import mathml
from backproof.reporting.formulas import SHIPPED_FORMULAS

pytestmark = pytest.mark.smoke


def test_the_whole_catalogue_has_formulas_and_nothing_else_does():
    assert set(SHIPPED_FORMULAS) == {one.name for one in SHIPPED}


@pytest.mark.parametrize("name", SHIPPED_FORMULAS)
def test_a_formula_can_be_read(name):
    for latex in SHIPPED_FORMULAS[name]:
        assert mathml(latex).startswith("<math"), latex
