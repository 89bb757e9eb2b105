"""Other views of the same elements: sizes, order of axes, joining and splitting."""

from __future__ import annotations

from ferry.translate.ops import Op

_AT_LEAST = ("atleast_1d", "atleast_2d", "atleast_3d")

RECORDS = (
    Op(
        "Tensor.view",
        "input dtype",
        "lax.bitcast_convert_type({input}, {dtype})",
        when="dtype:dtype",
    ),
    Op("Tensor.view Tensor.reshape", "input *shape:shape", "{input.}.reshape({shape})"),
    Op("torch.reshape", "input shape:shape", "{input.}.reshape({shape})"),
    Op("Tensor.view_as Tensor.reshape_as", "input other", "{input.}.reshape({other.}.shape)"),
    Op("Tensor.permute", "input *dims:shape", "{input.}.transpose({dims})"),
    Op("torch.permute", "input dims:shape", "{input.}.transpose({dims})"),
    Op(
        "torch.transpose Tensor.transpose torch.swapaxes Tensor.swapaxes "
        "torch.swapdims Tensor.swapdims",
        "input dim0 dim1",
        "{input.}.swapaxes({dim0}, {dim1})",
    ),
    Op("torch.t Tensor.t", "input", "{input.}.T"),
    Op("torch.adjoint Tensor.adjoint", "input", "{input.}.mT.conj()"),
    Op(
        "torch.movedim Tensor.movedim torch.moveaxis Tensor.moveaxis",
        "input source destination",
        "jnp.moveaxis({input}, {source}, {destination})",
    ),
    Op("torch.unsqueeze Tensor.unsqueeze", "input dim", "jnp.expand_dims({input}, {dim})"),
    Op(
        "torch.cat torch.concat torch.concatenate",
        "tensors dim=0",
        "jnp.concatenate({tensors}{dim?, axis=%})",
    ),
    Op("torch.stack", "tensors dim=0", "jnp.stack({tensors}{dim?, axis=%})"),
    Op(
        "Tensor.unfold",
        "input dimension size step",
        "sliding_windows({input}, {dimension}, {size}, {step})",
    ),
    Op(
        "Tensor.fill_diagonal",
        "input fill_value",
        "jnp.fill_diagonal({input}, {fill_value}, inplace=False)",
    ),
    Op(
        "Tensor.split",
        "input split_size dim=0",
        "split({input}, {split_size}{dim?, %})",
        result="tuple",
    ),
    Op("torch.hstack", "tensors", "jnp.hstack({tensors})"),
    Op("torch.vstack torch.row_stack", "tensors", "jnp.vstack({tensors})"),
    Op("torch.dstack", "tensors", "jnp.dstack({tensors})"),
    Op("torch.column_stack", "tensors", "jnp.column_stack({tensors})"),
    Op(
        "torch.flatten Tensor.flatten",
        "input start_dim=0 end_dim=-1",
        "{input.}.reshape(-1)",
        when="!start_dim,!end_dim",
    ),
    Op(
        "torch.flatten Tensor.flatten",
        "input start_dim end_dim=-1",
        "lax.collapse({input}, {start_dim})",
        when="!end_dim",
    ),
    Op("torch.ravel Tensor.ravel", "input", "{input.}.reshape(-1)"),
    Op("Tensor.expand_as", "input other", "jnp.broadcast_to({input}, {other.}.shape)"),
    Op(
        "torch.broadcast_to Tensor.broadcast_to",
        "input size:shape",
        "jnp.broadcast_to({input}, {size})",
    ),
    Op(
        "torch.broadcast_tensors", "*tensors:raw", "jnp.broadcast_arrays({tensors})", result="tuple"
    ),
    Op("torch.tile", "input dims:shape", "jnp.tile({input}, {dims})"),
    Op("Tensor.repeat", "input *repeats:shape", "jnp.tile({input}, {repeats})"),
    Op("Tensor.tile", "input *dims:shape", "jnp.tile({input}, {dims})"),
    Op("torch.flip Tensor.flip", "input *dims:shape", "jnp.flip({input}, {dims})"),
    Op("torch.fliplr Tensor.fliplr", "input", "jnp.fliplr({input})"),
    Op("torch.flipud Tensor.flipud", "input", "jnp.flipud({input})"),
    Op(
        "torch.roll Tensor.roll",
        "input shifts:axes dims:axes=None",
        "jnp.roll({input}, {shifts}{dims?, %})",
    ),
    Op(
        "torch.rot90 Tensor.rot90",
        "input k=1 dims:axes=(0,1)",
        "jnp.rot90({input}{k?, k=%}{dims?, axes=%})",
    ),
    Op("Tensor.contiguous", "input memory_format:ignore=None", "{input}"),
    Op("torch.clone Tensor.clone", "input * memory_format:ignore=None", "{input}"),
    Op("torch.diag Tensor.diag", "input diagonal=0", "jnp.diag({input}{diagonal?, %})"),
    Op(
        "torch.diagonal Tensor.diagonal",
        "input offset=0 dim1=0 dim2=1",
        "jnp.diagonal({input}{offset?, offset=%}{dim1?, axis1=%}{dim2?, axis2=%})",
    ),
    Op(
        "torch.tril Tensor.tril",
        "input diagonal=0",
        "jnp.tril({input}{diagonal?, %})",
    ),
    Op(
        "torch.triu Tensor.triu",
        "input diagonal=0",
        "jnp.triu({input}{diagonal?, %})",
    ),
    *(Op(f"torch.{n}", "input", f"jnp.{n}({{input}})") for n in _AT_LEAST),
    *(
        Op(
            f"torch.{n} Tensor.{n}",
            "input indices_or_sections:axes",
            f"tuple(jnp.{n}({{input}}, {{indices_or_sections}}))",
            result="tuple",
        )
        for n in ("hsplit", "vsplit", "dsplit")
    ),
    Op("torch.block_diag", "*tensors:operands", "jax.scipy.linalg.block_diag({tensors})"),
    Op("torch.diagflat Tensor.diagflat", "input offset=0", "jnp.diagflat({input}{offset?, %})"),
    Op(
        "torch.linalg.diagonal",
        "A * offset=0 dim1=-2 dim2=-1",
        "jnp.diagonal({A}, {offset|0}, {dim1|-2}, {dim2|-1})",
    ),
    Op("torch.view_as_real", "input", "jnp.stack([{input.}.real, {input.}.imag], axis=-1)"),
    Op("torch.view_as_complex", "input", "lax.complex({input.}[..., 0], {input.}[..., 1])"),
)
