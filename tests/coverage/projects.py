"""A project with gradients of every kind, as its author would write it."""

KERNELS = """
import functools
import jax, jax.numpy as jnp
from jax.nn import relu
from jaxtyping import Array, Float
import backproof as bp
from backproof.rules import tanh


def make(scale):
    @jax.custom_vjp
    def f(x):
        return x * scale

    f.defvjp(lambda x: (f(x), None), lambda _, ct: (ct * scale,))
    return f


@jax.custom_vjp
def sine(x: Float[Array, " n"]):
    return jnp.sin(x)


sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (ct * jnp.cos(x),))
alias = sine


def cube_reference(x: Float[Array, " n"]):
    return x**3


@jax.custom_vjp
def cube(x):
    return x * x * x


def cube_bwd(x, ct):
    return (-ct * 3 * x**2,)


cube.defvjp(lambda x: (x * x * x, x), cube_bwd)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def scaled(x: Float[Array, " n"], s: float = 2.0):
    return x * s


scaled.defvjp(lambda x, s: (x * s, None), lambda s, _, ct: (ct * s,))


@jax.custom_jvp
def quiet(x):
    return jnp.tanh(x)


@quiet.defjvp
def quiet_jvp(p, t):
    return quiet(*p), t[0] * (1 - jnp.tanh(p[0]) ** 2)


@jax.jit
@jax.custom_vjp
def within(x):
    return x


within.__wrapped__.defvjp(lambda x: (x, None), lambda _, ct: (ct,))


class Layers:
    @staticmethod
    @jax.custom_vjp
    def never(x):
        return x

    never.__func__.defvjp(lambda x: (x, None), lambda _, ct: (ct,))


own = bp.rules.tanh._replace(name="own", backward=lambda params, a, delta: ((), delta * (1 - a * a)))
TABLE = {"sin": jax.custom_vjp(jnp.sin)}
TABLE["sin"].defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (ct * jnp.cos(x),))
"""
NAMES = [
    "kernels:sine",
    "kernels:cube",
    "kernels:scaled",
    "kernels:quiet",
    "kernels:within",
    "kernels:Layers.never",
    "kernels:own",
    "kernels:TABLE['sin']",
    "kernels:make.<locals>.f",
]


def written(folder, **files):
    """Write the project into a folder; `files` are other files of its package, by name."""
    package = folder / "my_package"
    package.mkdir()
    for name, text in {"__init__": "", "kernels": KERNELS, **files}.items():
        (package / f"{name}.py").write_text(text)
    return folder
