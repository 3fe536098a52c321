"""Functions of a matrix, and a fixed point: from the definition, by autodiff, to the line that is run."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import rules
from backproof.derivations import line


def through_solve(A, b, delta):
    return jnp.vdot(delta, jnp.linalg.inv(A) @ b)


def shipped_solve(A, b, delta):
    return rules.solve.backward((), rules.solve.forward((), (A, b))[1], delta)[1]


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial A}, \frac{\partial L}{\partial b}\Bigr)",
    of=through_solve,
    wrt=("A", "b"),
    ships=shipped_solve,
)
def solve(A: Float[Array, "n n"], b: Float[Array, " n"], delta: Float[Array, " n"]):
    """y = A⁻¹ b, and δy = ∂L/∂y arrives. From A y = b follows dA y + A dy = db, so dy = A⁻¹ (db − dA y)."""
    inverse = jnp.linalg.inv(A)
    y = inverse @ b
    yield line(
        r"\bigl(-\textstyle\sum_k \delta y_k\, a^{-1}_{ki}\, y_j,\; \sum_k \delta y_k\, a^{-1}_{ki}\bigr)",
        (-jnp.einsum("k,ki,j->ij", delta, inverse, y), jnp.einsum("k,ki->i", delta, inverse)),
        "dL = δyᵀ A⁻¹ (db − dA y), and the entry i, j of A alone is in dA y as da_ij y_j at i",
    )
    delta_b = inverse.T @ delta
    yield line(
        r"\bigl(-\bar b y^{\top},\; \bar b\bigr), \quad \bar b = A^{-\top} \delta y",
        (-jnp.outer(delta_b, y), delta_b),
        "Σ_k δy_k a⁻¹_ki is entry i of A⁻ᵀ δy",
    )


def through_log_determinant(A, delta):
    return delta * jnp.log(jnp.abs(jnp.linalg.det(A)))


def shipped_log_determinant(A, delta):
    kept = rules.log_determinant.forward((), A)[1]
    return rules.log_determinant.backward((), kept, delta)[1]


@bp.derivation(
    r"\frac{\partial L}{\partial A}",
    of=through_log_determinant,
    wrt="A",
    ships=shipped_log_determinant,
)
def log_determinant(A: Float[Array, "n n"], delta: Float[Array, ""]):
    """y = log |det A|, and δy = ∂L/∂y arrives."""
    det = jnp.linalg.det(A)
    cofactors = det * jnp.linalg.inv(A).T
    yield line(
        r"\delta y\, \frac{C}{\det A}",
        delta * cofactors / det,
        "det A = Σ_j a_ij c_ij along row i, whose cofactors c_ij have no a_ij; d log|u| = du/u for either sign",
    )
    yield line(r"\delta y\, A^{-\top}", delta * jnp.linalg.inv(A).T, "A⁻¹ = Cᵀ/det A, by Cramer's rule")


def through_cholesky(A, delta):
    return jnp.vdot(delta, jnp.linalg.cholesky((A + A.T) / 2))


def shipped_cholesky(A, delta):
    return rules.cholesky.backward((), rules.cholesky.forward((), A)[1], delta)[1]


def phi(S):
    return jnp.tril(S) - jnp.diag(jnp.diagonal(S)) / 2


@bp.derivation(
    r"\frac{\partial L}{\partial A}",
    of=through_cholesky,
    wrt="A",
    ships=shipped_cholesky,
    args=[bp.spd("n"), bp.array("n n")],
)
def cholesky(A, delta):
    """A = F Fᵀ with F lower triangular, and δF = ∂L/∂F arrives; the slope is that of A ↦ F((A + Aᵀ)/2).

    From dA = dF Fᵀ + F dFᵀ follows F⁻¹ dA F⁻ᵀ = F⁻¹ dF + (F⁻¹ dF)ᵀ, a lower triangle and its mirror: Φ takes the
    lower one, with half of the diagonal, which both have. So dF = F Φ(F⁻¹ dA F⁻ᵀ).
    """
    F = jnp.linalg.cholesky(A)
    inverse = jnp.linalg.inv(F)
    n = len(A)

    def slope(E):  # that of L along the symmetric part of E
        return jnp.vdot(delta, F @ phi(inverse @ (E + E.T) / 2 @ inverse.T))

    units = jnp.eye(n * n).reshape(n * n, n, n)
    yield line(
        r"\bigl\langle \delta F,\; F\, \Phi\bigl(F^{-1} \operatorname{sym}(E_{ij}) F^{-\top}\bigr) \bigr\rangle",
        jax.vmap(slope)(units).reshape(n, n),
        "∂L/∂a_ij is dL along dA = sym(E_ij), where E_ij has one 1, at i, j",
    )
    S = inverse.T @ phi(F.T @ delta) @ inverse
    yield line(
        r"\operatorname{sym}\bigl(F^{-\top}\, \Phi(F^{\top} \delta F)\, F^{-1}\bigr)",
        (S + S.T) / 2,
        "⟨δF, F Φ(X)⟩ = ⟨Φ(Fᵀ δF), X⟩, since Φ weighs entries, and ⟨P, F⁻¹ E F⁻ᵀ⟩ = ⟨F⁻ᵀ P F⁻¹, E⟩",
    )


ECCENTRICITY, ITERATIONS = 1 / 8, 24


def solution(phase, x):
    return jax.lax.fori_loop(0, ITERATIONS, lambda _, y: x + ECCENTRICITY * jnp.sin(y + phase), x)


def through_fixed_point(phase, x, delta):
    return jnp.vdot(delta, solution(phase, x))


def shipped_fixed_point(phase, x, delta):
    kept = rules.kepler.forward(phase, (x, x))[1]
    grad, (_, delta_x) = rules.kepler.backward(phase, kept, delta)
    return grad, delta_x


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial \varphi}, \frac{\partial L}{\partial x}\Bigr)",
    of=through_fixed_point,
    wrt=("phase", "x"),
    ships=shipped_fixed_point,
)
def fixed_point(phase: Float[Array, " n"], x: Float[Array, " n"], delta: Float[Array, " n"]):
    """y* = f(φ, y*, x), here with Kepler's f = x + e sin(y + φ), and δy = ∂L/∂y* arrives.

    Line 0 goes back through every step of the loop; the others know y* alone.
    """
    slope = ECCENTRICITY * jnp.cos(solution(phase, x) + phase)
    J = jnp.diag(slope)
    by_x = jnp.linalg.inv(jnp.eye(x.size) - J).T @ delta
    yield line(
        r"\Bigl(\bigl(\frac{\partial f}{\partial \varphi}\bigr)^{\top} (I - J)^{-\top} \delta y,\;"
        r" \bigl(\frac{\partial f}{\partial x}\bigr)^{\top} (I - J)^{-\top} \delta y\Bigr)",
        (slope * by_x, by_x),
        "dy* = J dy* + ∂f/∂φ dφ + ∂f/∂x dx, with J = ∂f/∂y; here ∂f/∂φ = J and ∂f/∂x = I",
    )
    adjoint = sum(delta * slope**k for k in range(ITERATIONS))
    yield line(
        r"\Bigl(\bigl(\frac{\partial f}{\partial \varphi}\bigr)^{\top} \lambda,\;"
        r" \bigl(\frac{\partial f}{\partial x}\bigr)^{\top} \lambda\Bigr), \quad \lambda = \delta y + J^{\top} \lambda",
        (slope * adjoint, adjoint),
        "(I − J)⁻ᵀ = Σ_k (Jᵀ)ᵏ, because J contracts: λ is the limit of λ ← δy + Jᵀ λ",
    )
