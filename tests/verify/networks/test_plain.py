"""No TeX in what a terminal shows."""

import pytest

from theory.claims import claims
from verify.networks.claims.plain import plain


@pytest.mark.parametrize(
    ("tex", "letters"),
    [
        (r"With $|\theta|$ the score", "With |θ| the score"),
        (r"$\sum_k D_k R_k$", "Σ_k D_k R_k"),
        (r"$\theta_j\, \partial R/\partial\theta_j$", "θ_j ∂R/∂θ_j"),
        (r"$D_1, \dots, D_K$", "D_1, ..., D_K"),
        (r"$\operatorname{tr}\Theta(X, X) \le \|J_v^f(X)\|_F^2$", "trΘ(X, X) ≤ ‖J_v^f(X)‖_F²"),
        (r"costs 5 dollars", "costs 5 dollars"),
    ],
)
def test_formulas_in_letters(tex, letters):
    assert plain(tex) == letters


def test_no_title_and_no_assumption_keeps_tex():
    for claim in claims():
        for text in (claim.title, *(a.sentence for a in claim.assumptions)):
            assert "\\" not in plain(text), text
            assert "$" not in plain(text), text
            assert "{" not in plain(text), text
