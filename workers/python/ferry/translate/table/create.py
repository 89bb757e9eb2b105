"""Tensors from nothing: filled, counted, copied from Python, drawn."""

from __future__ import annotations

from ferry.translate.ops import Op

# what every factory of torch takes besides its own parameters
_PLACE = "layout:ignore=None device:ignore=None requires_grad:ignore=False pin_memory:ignore=False"
_TAIL = f"* dtype=None {_PLACE} memory_format:ignore=None"
_DRAW = f"* generator:refuse=None dtype=None {_PLACE} memory_format:ignore=None"
_SELF_TAIL = f"* dtype=None {_PLACE}"

RECORDS = (
    Op("torch.zeros torch.empty", f"*size:shape {_TAIL}", "jnp.zeros({size}{dtype?, dtype=%})"),
    Op("torch.ones", f"*size:shape {_TAIL}", "jnp.ones({size}{dtype?, dtype=%})"),
    Op(
        "torch.full",
        f"size:shape fill_value {_TAIL}",
        "jnp.full({size}, {fill_value}{dtype?, dtype=%})",
    ),
    Op(
        "torch.zeros_like torch.empty_like",
        f"input {_TAIL}",
        "jnp.zeros_like({input}{dtype?, dtype=%})",
    ),
    Op("torch.ones_like", f"input {_TAIL}", "jnp.ones_like({input}{dtype?, dtype=%})"),
    Op(
        "torch.full_like",
        f"input fill_value {_TAIL}",
        "jnp.full_like({input}, {fill_value}{dtype?, dtype=%})",
    ),
    Op(
        "Tensor.new_zeros Tensor.new_empty",
        f"input *size:shape {_SELF_TAIL}",
        "jnp.zeros({size}, dtype={input.}.dtype)",
        when="!dtype",
    ),
    Op(
        "Tensor.new_zeros Tensor.new_empty",
        f"input:ignore *size:shape {_SELF_TAIL}",
        "jnp.zeros({size}, dtype={dtype})",
    ),
    Op(
        "Tensor.new_ones",
        f"input *size:shape {_SELF_TAIL}",
        "jnp.ones({size}, dtype={input.}.dtype)",
        when="!dtype",
    ),
    Op(
        "Tensor.new_ones",
        f"input:ignore *size:shape {_SELF_TAIL}",
        "jnp.ones({size}, dtype={dtype})",
    ),
    Op(
        "Tensor.new_full",
        f"input size:shape fill_value {_SELF_TAIL}",
        "jnp.full({size}, {fill_value}, dtype={input.}.dtype)",
        when="!dtype",
    ),
    Op(
        "Tensor.new_full",
        f"input:ignore size:shape fill_value {_SELF_TAIL}",
        "jnp.full({size}, {fill_value}, dtype={dtype})",
    ),
    Op(
        "Tensor.new_tensor",
        f"input data {_SELF_TAIL}",
        "jnp.array({data}, dtype={input.}.dtype)",
        when="!dtype",
    ),
    Op(
        "Tensor.new_tensor",
        f"input:ignore data {_SELF_TAIL}",
        "jnp.array({data}, dtype={dtype})",
    ),
    Op(
        "torch.arange",
        f"start end=None step=None {_TAIL}",
        "jnp.arange({start}{end?, %}{step?, %}{dtype?, dtype=%})",
        when="!step",
    ),
    Op(
        "torch.arange",
        f"start end step=1 {_TAIL}",
        "jnp.arange({start}, {end}, {step}{dtype?, dtype=%})",
    ),
    Op(
        "torch.linspace",
        f"start end steps {_TAIL}",
        "jnp.linspace({start}, {end}, {steps}{dtype?, dtype=%})",
    ),
    Op(
        "torch.logspace",
        f"start end steps base=10.0 {_TAIL}",
        "jnp.logspace({start}, {end}, {steps}{base?, base=%}{dtype?, dtype=%})",
    ),
    Op("torch.eye", f"n m=None {_TAIL}", "jnp.eye({n}{m?, %}{dtype?, dtype=%})"),
    Op(
        "torch.tensor torch.as_tensor torch.scalar_tensor",
        f"data {_TAIL}",
        "jnp.asarray({data}{dtype?, dtype=%})",
        when="data:!tensor",
    ),
    Op("torch.tensor torch.as_tensor", f"data {_TAIL}", "{data.}.astype({dtype})", when="dtype"),
    Op("torch.tensor torch.as_tensor", f"data {_TAIL}", "{data}"),
    Op("torch.from_numpy", "ndarray", "jnp.asarray({ndarray})"),
    Op(
        "torch.FloatTensor torch.Tensor",
        "data",
        "jnp.asarray({data}, dtype=jnp.float32)",
        when="data:sequence",
    ),
    Op("torch.LongTensor", "data", "jnp.asarray({data}, dtype=int)", when="data:sequence"),
    Op("torch.FloatTensor torch.Tensor", "*size:shape", "jnp.zeros({size}, dtype=jnp.float32)"),
    Op(
        "torch.randn",
        f"*size:shape {_DRAW}",
        "jax.random.normal({rngs}, {size}{dtype?, dtype=%})",
        random=True,
    ),
    Op(
        "torch.rand",
        f"*size:shape {_DRAW}",
        "complex_uniform({rngs}, {size}, {dtype})",
        random=True,
        when="dtype:complex",
    ),
    Op(
        "torch.rand",
        f"*size:shape {_DRAW}",
        "jax.random.uniform({rngs}, {size}{dtype?, dtype=%})",
        random=True,
    ),
    Op(
        "torch.randn_like",
        f"input {_DRAW}",
        "jax.random.normal({rngs}, {input.}.shape, {input.}.dtype)",
        random=True,
        when="!dtype",
    ),
    Op(
        "torch.randn_like",
        f"input {_DRAW}",
        "jax.random.normal({rngs}, {input.}.shape, {dtype})",
        random=True,
    ),
    Op(
        "torch.rand_like",
        f"input {_DRAW}",
        "jax.random.uniform({rngs}, {input.}.shape, {input.}.dtype)",
        random=True,
        when="!dtype",
    ),
    Op(
        "torch.rand_like",
        f"input {_DRAW}",
        "jax.random.uniform({rngs}, {input.}.shape, {dtype})",
        random=True,
    ),
    Op(
        "torch.randint",
        f"low high size:shape {_DRAW}",
        "jax.random.randint({rngs}, {size}, {low}, {high}{dtype?, dtype=%})",
        random=True,
        when="size",
    ),
    Op(
        "torch.randint",
        f"high size:shape {_DRAW}",
        "jax.random.randint({rngs}, {size}, 0, {high}{dtype?, dtype=%})",
        random=True,
    ),
    Op("torch.randperm", f"n {_DRAW}", "jax.random.permutation({rngs}, {n})", random=True),
    Op(
        "torch.bernoulli",
        "input * generator:refuse=None",
        "jax.random.bernoulli({rngs}, {input}).astype({input.}.dtype)",
        random=True,
    ),
    Op(
        "torch.normal",
        "mean std size:shape * generator:refuse=None",
        "{mean.} + {std.} * jax.random.normal({rngs}, {size})",
        random=True,
    ),
    Op(
        "torch.tril_indices",
        f"row col offset=0 {_TAIL}",
        "jnp.stack(jnp.tril_indices({row}, {offset}, {col}))",
    ),
    Op(
        "torch.triu_indices",
        f"row col offset=0 {_TAIL}",
        "jnp.stack(jnp.triu_indices({row}, {offset}, {col}))",
    ),
    Op("torch.complex", "real imag", "lax.complex({real}, {imag})"),
    Op("torch.polar", "abs angle", "{abs.} * jnp.exp(1j * {angle.})"),
)
