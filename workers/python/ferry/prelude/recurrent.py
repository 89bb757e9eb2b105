"""RNN, LSTM and GRU by scan, with torch's weights, gate order and both biases; and the cells."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from ferry.prelude.base import Module, array_of, fan_in_bound, uniform_param
from ferry.prelude.dropout import dropout
from ferry.prelude.linear import linear

CellState = tuple[jax.Array, ...]
CellStep = Callable[[jax.Array, jax.Array, CellState], CellState]
CellWeights = tuple[jax.Array, jax.Array, jax.Array | None, jax.Array | None]


def tanh_step(projected: jax.Array, recurrent: jax.Array, state: CellState) -> CellState:
    """h' = tanh(Wx + Uh)."""
    return (jnp.tanh(projected + recurrent),)


def relu_step(projected: jax.Array, recurrent: jax.Array, state: CellState) -> CellState:
    """h' = relu(Wx + Uh)."""
    return (jax.nn.relu(projected + recurrent),)


def lstm_step(projected: jax.Array, recurrent: jax.Array, state: CellState) -> CellState:
    """Gates in the order i, f, g, o; the state is (h, c)."""
    i, f, g, o = jnp.split(projected + recurrent, 4, axis=-1)
    cell = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(cell), cell


def gru_step(projected: jax.Array, recurrent: jax.Array, state: CellState) -> CellState:
    """Gates in the order r, z, n; the reset gate multiplies the recurrent bias of n too."""
    x_r, x_z, x_n = jnp.split(projected, 3, axis=-1)
    h_r, h_z, h_n = jnp.split(recurrent, 3, axis=-1)
    reset, update = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    new = jnp.tanh(x_n + reset * h_n)
    return ((1 - update) * new + update * state[0],)


def scan_direction(
    step: CellStep, input: jax.Array, state: CellState, weights: CellWeights, reverse: bool
) -> tuple[CellState, jax.Array]:
    """Run one layer over (T, N, in) in one direction; the last state and all h.

    Each step projects its own input: XLA does not fuse well what reads from a long projection.
    """
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    kernel_ih, kernel_hh = jnp.transpose(weight_ih), jnp.transpose(weight_hh)

    def advance(state: CellState, row: jax.Array) -> tuple[CellState, jax.Array]:
        projected, recurrent = jnp.matmul(row, kernel_ih), jnp.matmul(state[0], kernel_hh)
        if bias_ih is not None and bias_hh is not None:
            projected, recurrent = projected + bias_ih, recurrent + bias_hh
        state = step(projected, recurrent, state)
        return state, state[0]

    return lax.scan(advance, state, input, reverse=reverse)


class RecurrentNd(Module):
    """What RNN, LSTM and GRU share: weights `weight_ih_l0`, ..., layers, directions, layout.

    A subclass names its `step`, the number of `gates` and of `states`.
    """

    gates: int
    states: int = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.rngs = rngs.fork() if rngs is not None else None
        self.suffixes = tuple(
            f"l{layer}{direction}"
            for layer in range(num_layers)
            for direction in (("", "_reverse") if bidirectional else ("",))
        )
        rows, bound = self.gates * hidden_size, fan_in_bound(hidden_size)
        deep_size = hidden_size * self.directions
        for index, suffix in enumerate(self.suffixes):
            size = input_size if index < self.directions else deep_size
            for name, shape in (
                ("weight_ih", (rows, size)),
                ("weight_hh", (rows, hidden_size)),
                ("bias_ih", (rows,)),
                ("bias_hh", (rows,)),
            ):
                present = bias or name.startswith("weight")
                parameter = uniform_param(shape, bound, rngs) if present else None
                setattr(self, f"{name}_{suffix}", parameter)

    @property
    def directions(self) -> int:
        """2 where bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def step(self, projected: jax.Array, recurrent: jax.Array, state: CellState) -> CellState:
        """One step of the cell."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def run(self, input: jax.Array, hx: CellState | None) -> tuple[jax.Array, CellState]:
        """All layers over the input; the output and the last states, stacked by layer."""
        batched = input.ndim == 3
        time_major = input if batched else input[:, None]
        if batched and self.batch_first:
            time_major = jnp.swapaxes(input, 0, 1)
        state = self._initial_state(time_major, hx if batched else unsqueeze_state(hx))
        output, last = self._run_layers(time_major, state)
        if not batched:
            return output[:, 0], tuple(part[:, 0] for part in last)
        return jnp.swapaxes(output, 0, 1) if self.batch_first else output, last

    def _initial_state(self, input: jax.Array, hx: CellState | None) -> CellState:
        """`hx`, or zeros of shape (layers * directions, N, hidden)."""
        if hx is not None:
            return hx
        shape = (len(self.suffixes), input.shape[1], self.hidden_size)
        return (jnp.zeros(shape, input.dtype),) * self.states

    def _run_layers(self, output: jax.Array, state: CellState) -> tuple[jax.Array, CellState]:
        """Stack the layers, with dropout on the input of all but the first."""
        finals = []
        for first in range(0, len(self.suffixes), self.directions):
            if first > 0:
                output = dropout(output, self.dropout, self.training, rngs=self.rngs)
            outputs = []
            for index in range(first, first + self.directions):
                begin = tuple(part[index] for part in state)
                weights = self._weights(self.suffixes[index])
                final, hidden = scan_direction(self.step, output, begin, weights, index > first)
                finals.append(final)
                outputs.append(hidden)
            output = jnp.concatenate(outputs, axis=-1)
        return output, tuple(jnp.stack(parts) for parts in zip(*finals, strict=True))

    def _weights(self, suffix: str) -> CellWeights:
        weight_ih, weight_hh, bias_ih, bias_hh = (
            array_of(getattr(self, f"{name}_{suffix}"))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return weight_ih, weight_hh, bias_ih, bias_hh


def unsqueeze_state(state: CellState | None) -> CellState | None:
    """Give a state without batch a batch axis."""
    return None if state is None else tuple(part[:, None] for part in state)


class RNN(RecurrentNd):
    """Elman network with tanh or relu."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            rngs=rngs,
        )
        self.nonlinearity = nonlinearity

    def step(self, projected: jax.Array, recurrent: jax.Array, state: CellState) -> CellState:
        """One step with the chosen nonlinearity."""
        step = relu_step if self.nonlinearity == "relu" else tanh_step
        return step(projected, recurrent, state)

    def forward(self, input: jax.Array, hx: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
        """All outputs of the last layer, and the last state of every layer and direction."""
        output, (h_n,) = self.run(input, None if hx is None else (hx,))
        return output, h_n


class GRU(RecurrentNd):
    """Gated recurrent unit, gates r, z, n."""

    gates = 3

    def step(self, projected: jax.Array, recurrent: jax.Array, state: CellState) -> CellState:
        """One step."""
        return gru_step(projected, recurrent, state)

    def forward(self, input: jax.Array, hx: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
        """All outputs of the last layer, and the last state of every layer and direction."""
        output, (h_n,) = self.run(input, None if hx is None else (hx,))
        return output, h_n


class LSTM(RecurrentNd):
    """Long short-term memory, gates i, f, g, o; `proj_size` is refused."""

    gates = 4
    states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        if proj_size:
            raise ValueError("LSTM: proj_size is not supported")
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            rngs=rngs,
        )

    def step(self, projected: jax.Array, recurrent: jax.Array, state: CellState) -> CellState:
        """One step."""
        return lstm_step(projected, recurrent, state)

    def forward(
        self, input: jax.Array, hx: tuple[jax.Array, jax.Array] | None = None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """All outputs of the last layer, and the last (h, c) of every layer and direction."""
        output, (h_n, c_n) = self.run(input, None if hx is None else tuple(hx))
        return output, (h_n, c_n)


class RecurrentCell(Module):
    """What the cells share: one step over (N, in) or (in,)."""

    gates: int
    states: int = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.input_size = input_size
        self.hidden_size = hidden_size
        rows, bound = self.gates * hidden_size, fan_in_bound(hidden_size)
        self.weight_ih = uniform_param((rows, input_size), bound, rngs)
        self.weight_hh = uniform_param((rows, hidden_size), bound, rngs)
        self.bias_ih = uniform_param((rows,), bound, rngs) if bias else None
        self.bias_hh = uniform_param((rows,), bound, rngs) if bias else None

    def run(self, step: CellStep, input: jax.Array, hx: CellState | None) -> CellState:
        """The next state, from `hx` or from zeros."""
        zeros = jnp.zeros((*input.shape[:-1], self.hidden_size), input.dtype)
        state = (zeros,) * self.states if hx is None else hx
        projected = linear(input, self.weight_ih[...], array_of(self.bias_ih))
        recurrent = linear(state[0], self.weight_hh[...], array_of(self.bias_hh))
        return step(projected, recurrent, state)


class RNNCell(RecurrentCell):
    """One step of an Elman network."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, rngs=rngs)
        self.nonlinearity = nonlinearity

    def forward(self, input: jax.Array, hx: jax.Array | None = None) -> jax.Array:
        """The next hidden state."""
        step = relu_step if self.nonlinearity == "relu" else tanh_step
        return self.run(step, input, None if hx is None else (hx,))[0]


class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit."""

    gates = 3

    def forward(self, input: jax.Array, hx: jax.Array | None = None) -> jax.Array:
        """The next hidden state."""
        return self.run(gru_step, input, None if hx is None else (hx,))[0]


class LSTMCell(RecurrentCell):
    """One step of a long short-term memory."""

    gates = 4
    states = 2

    def forward(
        self, input: jax.Array, hx: tuple[jax.Array, jax.Array] | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """The next (h, c)."""
        hidden, cell = self.run(lstm_step, input, None if hx is None else tuple(hx))
        return hidden, cell
