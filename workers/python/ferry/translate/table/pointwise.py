"""One element at a time, and Fourier transforms."""

from __future__ import annotations

from collections.abc import Iterator

from ferry.translate.ops import Op


def _unary(names: str, function: str = "") -> tuple[Op, ...]:
    """Functions and methods of one argument, all spelled as in jnp (or as `function`)."""
    return tuple(
        Op(
            f"torch.{n} Tensor.{n} torch.special.{n}",
            "input",
            f"{function or 'jnp.' + n}({{input}})",
        )
        for n in names.split()
    )


def _of_integers(names: str, function: str) -> tuple[Op, ...]:
    """Functions that jax has for floating numbers only, applied to integers."""
    return tuple(
        Op(
            f"torch.{n} Tensor.{n} torch.special.{n}",
            "input",
            f"{function}({{input.}}.astype(float))",
            when="input:integer",
        )
        for n in names.split()
    )


def binary(names: str, function: str = "") -> tuple[Op, ...]:
    return tuple(
        Op(
            f"torch.{n} Tensor.{n}",
            "input other",
            f"{function or 'jnp.' + n}({{input}}, {{other}})",
        )
        for n in names.split()
    )


def _infix(names: str, sign: str) -> Op:
    listed = " ".join(f"torch.{n} Tensor.{n}" for n in names.split())
    return Op(listed, "input other", f"{{input.}} {sign} {{other.}}")


def _transforms() -> Iterator[Op]:
    """The Fourier transforms: along one axis, along two, along several."""
    for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
        yield Op(
            f"torch.fft.{name}",
            "input n=None dim=-1 norm=None",
            f"jnp.fft.{name}({{input}}{{n?, n=%}}{{dim?, axis=%}}{{norm?, norm=%}})",
        )
    for name in ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"):
        dims = "(-2,-1)" if name.endswith("2") else "None"
        yield Op(
            f"torch.fft.{name}",
            f"input s:axes=None dim:axes={dims} norm=None",
            f"jnp.fft.{name}({{input}}{{s?, s=%}}{{dim?, axes=%}}{{norm?, norm=%}})",
        )
    for name in ("fftshift", "ifftshift"):
        yield Op(
            f"torch.fft.{name}",
            "input dim:axes=None",
            f"jnp.fft.{name}({{input}}{{dim?, axes=%}})",
        )
    for name in ("fftfreq", "rfftfreq"):
        yield Op(
            f"torch.fft.{name}",
            "n d=1.0 * dtype=None device:ignore=None requires_grad:ignore=False",
            f"jnp.fft.{name}({{n}}{{d?, d=%}}{{dtype?, dtype=%}})",
        )


_DIVIDE = "torch.div Tensor.div torch.divide Tensor.divide"

RECORDS = (
    *_unary("sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh sign floor ceil"),
    *_unary("trunc square reciprocal isnan isinf isfinite isreal logical_not conj deg2rad rad2deg"),
    *_unary("angle real imag sinc i0"),
    *_unary("positive signbit isposinf isneginf"),
    *_unary("sgn", "jnp.sign"),
    *_unary("asin arcsin", "jnp.arcsin"),
    *_unary("acos arccos", "jnp.arccos"),
    *_unary("atan arctan", "jnp.arctan"),
    *_unary("asinh arcsinh", "jnp.arcsinh"),
    *_unary("acosh arccosh", "jnp.arccosh"),
    *_unary("atanh arctanh", "jnp.arctanh"),
    *_unary("abs absolute", "absolute"),
    *_unary("fix", "jnp.trunc"),
    *_unary("neg negative", "jnp.negative"),
    *_unary("bitwise_not", "jnp.bitwise_not"),
    *_of_integers("rsqrt", "lax.rsqrt"),
    *_of_integers("sigmoid expit", "jax.nn.sigmoid"),
    *_unary("rsqrt", "lax.rsqrt"),
    *_unary("erf", "jax.scipy.special.erf"),
    *_unary("erfc", "jax.scipy.special.erfc"),
    *_unary("erfinv", "jax.scipy.special.erfinv"),
    *_unary("lgamma gammaln", "jax.scipy.special.gammaln"),
    *_unary("digamma", "jax.scipy.special.digamma"),
    *_unary("sigmoid expit", "jax.nn.sigmoid"),
    *_unary("relu", "jax.nn.relu"),
    *_unary("selu", "jax.nn.selu"),
    Op("torch.round Tensor.round", "input * decimals=0", "jnp.round({input}{decimals?, %})"),
    Op(
        "torch.clip Tensor.clip",
        "input min=None max=None",
        "clamp({input}{min?, min=%}{max?, max=%})",
    ),
    Op("torch.frac Tensor.frac", "input", "{input.} - jnp.trunc({input})"),
    Op("torch.logit Tensor.logit", "input", "jax.scipy.special.logit({input})"),
    Op(
        "torch.nan_to_num Tensor.nan_to_num",
        "input nan=0.0 posinf=None neginf=None",
        "jnp.nan_to_num({input}{nan?, nan=%}{posinf?, posinf=%}{neginf?, neginf=%})",
    ),
    Op(
        "torch.add Tensor.add",
        "input other * alpha=1",
        "{input.} + {alpha.} * {other.}",
        when="alpha",
    ),
    Op(
        "torch.sub Tensor.sub torch.subtract",
        "input other * alpha=1",
        "{input.} - {alpha.} * {other.}",
        when="alpha",
    ),
    _infix("add", "+"),
    _infix("sub subtract", "-"),
    Op("torch.rsub Tensor.rsub", "input other", "{other.} - {input.}"),
    _infix("mul multiply", "*"),
    Op(
        _DIVIDE,
        "input other * rounding_mode",
        "jnp.floor_divide({input}, {other})",
        when="rounding_mode='floor'",
    ),
    Op(
        _DIVIDE,
        "input other * rounding_mode",
        "divide_truncated({input}, {other})",
        when="rounding_mode='trunc'",
    ),
    Op(_DIVIDE, "input other * rounding_mode=None", "{input.} / {other.}"),
    Op("torch.true_divide Tensor.true_divide", "input other", "{input.} / {other.}"),
    _infix("floor_divide", "//"),
    _infix("remainder", "%"),
    _infix("eq", "=="),
    _infix("ne not_equal", "!="),
    _infix("lt less", "<"),
    _infix("le less_equal", "<="),
    _infix("gt greater", ">"),
    _infix("ge greater_equal", ">="),
    Op("torch.pow Tensor.pow", "input exponent", "{input.} ** {exponent.}"),
    *binary(
        "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor fmod hypot logaddexp"
    ),
    *binary("logaddexp2 fmax fmin copysign heaviside"),
    *binary("bitwise_left_shift", "jnp.left_shift"),
    *binary("bitwise_right_shift", "jnp.right_shift"),
    Op("torch.ldexp Tensor.ldexp", "input other", "{input.} * 2.0 ** {other.}"),
    *binary("atan2 arctan2", "jnp.arctan2"),
    *binary("xlogy", "jax.scipy.special.xlogy"),
    Op(
        "torch.isclose Tensor.isclose",
        "input other rtol=1e-05 atol=1e-08 equal_nan=False",
        "jnp.isclose({input}, {other}{rtol?, rtol=%}{atol?, atol=%}{equal_nan?, equal_nan=%})",
    ),
    *(
        Op(f"torch.special.{n}", "input", f"jax.scipy.special.{n}({{input}})")
        for n in ("ndtr", "log_ndtr", "entr", "logit", "i0e", "i1", "i1e")
    ),
    Op("torch.special.xlog1py", "input other", "jax.scipy.special.xlog1py({input}, {other})"),
    *_transforms(),
)
