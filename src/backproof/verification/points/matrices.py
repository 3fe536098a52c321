"""Matrices with a structure: symmetric positive definite, and orthogonal."""

import jax.numpy as jnp
import numpy as np

from backproof.arguments import Dims, Specification
from backproof.verification.points.structure import Shape, Structure, is_mild, unit
from backproof.verification.points.values import Style


def _draw_spd(
    rng: np.random.Generator, shape: Shape, spec: Specification, dims: Dims, style: Style
) -> np.ndarray:
    """Draw Q diag(λ) Qᵀ: well conditioned; badly conditioned; of another scale; diagonal; all λ the same."""
    n, most = shape[-1], _worst_condition(spec, shape[-1])
    way = 0 if is_mild(style, rng) else rng.choice([1, 1, 2, 3, 4])
    half = min(2.0, most**0.5)
    values = most ** rng.uniform(-1, 0, shape[:-1]) if way == 1 else half ** rng.uniform(-1, 1, shape[:-1])
    if way == 4:
        values = np.full(shape[:-1], half ** rng.uniform(-1, 1))
    turned = np.broadcast_to(np.eye(n), shape) if way in (3, 4) else _turned(rng, shape)
    scale = 10.0 ** rng.uniform(-2, 2) if way == 2 else 1.0
    full = scale * (turned * values[..., None, :]) @ np.swapaxes(turned, -1, -2)
    return (full + np.swapaxes(full, -1, -2)) / 2


def _worst_condition(spec: Specification, n: int) -> float:
    """Return a condition at which float32 keeps half of its digits, and rounding leaves each λ positive."""
    eps = max(float(jnp.finfo(spec.dtype).eps), float(jnp.finfo("float32").eps))
    return max(1.0, min(eps**-0.5, 1 / (8 * eps * max(n, 1) ** 0.5)))


def _turned(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Return orthogonal matrices, none likelier than another (Mezzadri 2007); large ones from reflections."""
    if shape[-1] > 64:
        turned = np.broadcast_to(np.eye(shape[-1]), shape)
        for _ in range(rng.integers(2, 4)):
            u = rng.standard_normal((*shape[:-1], 1))
            u = u / np.linalg.norm(u, axis=-2, keepdims=True)
            turned = turned - 2 * u * (np.swapaxes(u, -1, -2) @ turned)
        return turned
    q, r = np.linalg.qr(rng.standard_normal(shape))
    return q * np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)[..., None, :]


def _is_spd(value: np.ndarray, spec: Specification, dims: Dims) -> bool:
    wide = value.astype(np.float64)
    across = np.swapaxes(wide, -1, -2)
    if not np.all(np.abs(wide - across) <= unit(spec) * np.max(np.abs(wide))):
        return False
    try:
        np.linalg.cholesky((wide + across) / 2)
    except np.linalg.LinAlgError:
        return False
    return True


def _plain_spd(shape: Shape, spec: Specification, dims: Dims) -> list[np.ndarray]:
    n = shape[-1]
    one = np.eye(n)
    found = [one, 2 * one, np.diag(np.arange(n) + 1.0), one + np.ones((n, n))]
    return [np.broadcast_to(matrix, shape) for matrix in (*found, found[2] + found[3])]


def _draw_orthogonal(
    rng: np.random.Generator, shape: Shape, spec: Specification, dims: Dims, style: Style
) -> np.ndarray:
    """Draw orthogonal matrices: any, permutations, changes of sign, and turns by a small angle."""
    one = np.eye(shape[-1])
    way = 0 if is_mild(style, rng) else rng.integers(1, 5)
    if way == 1:
        return np.broadcast_to(one[rng.permutation(shape[-1])], shape)
    if way == 2:
        return one * rng.choice([-1.0, 1.0], shape[:-1])[..., None]
    turned = _turned(rng, shape)
    if way == 3:
        skew = (turned - np.swapaxes(turned, -1, -2)) / 2 * 10.0 ** rng.uniform(-4, -1)
        return np.linalg.solve(one + skew, np.broadcast_to(one - skew, shape))  # Cayley's transform
    return turned


def _is_orthogonal(value: np.ndarray, spec: Specification, dims: Dims) -> bool:
    wide = value.astype(np.float64)
    off = np.swapaxes(wide, -1, -2) @ wide - np.eye(value.shape[-1])
    return bool(np.all(np.abs(off) <= unit(spec)))


def _plain_orthogonal(shape: Shape, spec: Specification, dims: Dims) -> list[np.ndarray]:
    one = np.eye(shape[-1])
    flipped = one * np.where(np.arange(shape[-1]) == 0, -1.0, 1.0)
    return [np.broadcast_to(matrix, shape) for matrix in (one, flipped, -one, one[::-1], np.roll(one, 1, 0))]


SPD = Structure(_draw_spd, _is_spd, _plain_spd)
ORTHOGONAL = Structure(_draw_orthogonal, _is_orthogonal, _plain_orthogonal, rounds=True)
