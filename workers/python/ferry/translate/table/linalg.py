"""Products of matrices, and what is solved or factored."""

from __future__ import annotations

from ferry.translate.ops import Op
from ferry.translate.table.pointwise import binary

RECORDS = (
    *binary("matmul inner outer kron"),
    *binary("ger", "jnp.outer"),
    Op(
        "torch.bmm Tensor.bmm torch.mm Tensor.mm",
        "input mat2",
        "jnp.matmul({input}, {mat2})",
    ),
    Op(
        "torch.spmm torch.sparse.mm torch.dsmm Tensor.spmm",
        "input mat2",
        "jnp.matmul({input}, {mat2})",
    ),
    Op("torch.mv Tensor.mv", "input vec", "jnp.matmul({input}, {vec})"),
    Op("torch.dot Tensor.dot", "input tensor", "jnp.dot({input}, {tensor})"),
    Op("torch.einsum", "equation *operands:operands", "jnp.einsum({equation}, {operands})"),
    Op("torch.tensordot", "a b dims=2", "jnp.tensordot({a}, {b}{dims?, %})"),
    Op("torch.linalg.inv torch.inverse Tensor.inverse", "input", "jnp.linalg.inv({input})"),
    Op("torch.linalg.det torch.det Tensor.det", "input", "jnp.linalg.det({input})"),
    Op(
        "torch.linalg.cholesky torch.cholesky Tensor.cholesky",
        "input",
        "jnp.linalg.cholesky({input})",
    ),
    Op("torch.linalg.solve", "input other", "jnp.linalg.solve({input}, {other})"),
    Op("torch.linalg.multi_dot", "tensors", "jnp.linalg.multi_dot({tensors})"),
    Op("torch.chain_matmul", "*matrices:operands", "jnp.linalg.multi_dot([{matrices}])"),
    Op(
        "torch.matrix_power torch.linalg.matrix_power Tensor.matrix_power",
        "input n",
        "jnp.linalg.matrix_power({input}, {n})",
    ),
    Op(
        "torch.linalg.cross",
        "input other * dim=-1",
        "jnp.cross({input}, {other}{dim?, axis=%})",
    ),
    Op("torch.linalg.matmul", "input other", "jnp.matmul({input}, {other})"),
    Op("torch.linalg.vecdot", "x y * dim=-1", "jnp.linalg.vecdot({x}, {y}{dim?, axis=%})"),
    *binary("vdot"),
    Op(
        "torch.linalg.slogdet torch.slogdet Tensor.slogdet",
        "input",
        "jnp.linalg.slogdet({input})",
        result="tuple",
    ),
    Op(
        "torch.pinverse Tensor.pinverse torch.linalg.pinv",
        "input",
        "jnp.linalg.pinv({input})",
    ),
    Op(
        "torch.matrix_exp Tensor.matrix_exp torch.linalg.matrix_exp",
        "input",
        "jax.scipy.linalg.expm({input})",
    ),
    Op("torch.linalg.eigvalsh", "A", "jnp.linalg.eigvalsh({A})"),
    Op("torch.linalg.svdvals", "A", "jnp.linalg.svdvals({A})"),
    Op("torch.linalg.qr", "A mode='reduced'", "jnp.linalg.qr({A}{mode?, %})", result="tuple"),
    Op(
        "torch.linalg.solve_triangular",
        "A B * upper",
        "jax.scipy.linalg.solve_triangular({A}, {B}, lower=not {upper})",
    ),
)
