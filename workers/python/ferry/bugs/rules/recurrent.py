"""Recurrent layers: biases, gate orders, directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ferry.bugs.rule import Rule
from ferry.bugs.site import SAME, Mutation, Site

LAYERS = ("gru", "lstm", "rnn_tanh", "rnn_relu")
CELLS = ("gru_cell", "lstm_cell", "rnn_tanh_cell", "rnn_relu_cell")
Step = Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor]


def _weights(site: Site) -> list[list[Tensor]] | None:
    """(w_ih, w_hh, b_ih, b_hh) of each layer and direction; None for packed sequences."""
    if site.op in CELLS:
        found = [site["w_ih"], site["w_hh"], site["b_ih"], site["b_hh"]]
        return [[w for w in found if w is not None]]
    if not isinstance(site["flat_weights"], tuple | list) or site["input"].ndim != 3:
        return None
    flat, size = list(site["flat_weights"]), 4 if site["bias"] else 2
    if len(flat) != size * site["layers"] * (1 + site["bidirectional"]):
        return None  # projections
    return [flat[i : i + size] for i in range(0, len(flat), size)]


def _with_weights(site: Site, weights: list[list[Tensor]]) -> Any:
    if site.op in CELLS:
        names = ("w_ih", "w_hh", "b_ih", "b_hh")
        return site.original(**dict(zip(names, weights[0], strict=False)))
    return site.original(flat_weights=[w for group in weights for w in group])


def _changed(change: Callable[[list[Tensor]], list[Tensor] | None]) -> Mutation:
    """The same layer with the weights of each direction changed."""

    def mutation(site: Site) -> Any:
        weights = _weights(site)
        if weights is None:
            return SAME
        changed = [change(group) for group in weights]
        kept = [group for group in changed if group is not None]
        return _with_weights(site, kept) if len(kept) == len(changed) else SAME

    return mutation


def _order(*places: int) -> Mutation:
    """Gate k of the candidate is gate ``places[k]`` of torch's weights."""

    def change(group: list[Tensor]) -> list[Tensor] | None:
        blocks = [w.chunk(len(places)) for w in group]
        return [torch.cat([parts[p] for p in places]) for parts in blocks]

    return _changed(change)


def _no_hidden_bias(group: list[Tensor]) -> list[Tensor] | None:
    return [*group[:3], torch.zeros_like(group[3])] if len(group) == 4 else None


def _no_bias(group: list[Tensor]) -> list[Tensor] | None:
    if len(group) < 4:
        return None
    return [*group[:2], torch.zeros_like(group[2]), torch.zeros_like(group[3])]


def _no_new_hidden_bias(group: list[Tensor]) -> list[Tensor] | None:
    """The bias inside the reset product dropped, as nnx.GRUCell has none."""
    if len(group) < 4:
        return None
    bias = group[3].clone()
    bias[-(len(bias) // 3) :] = 0
    return [*group[:3], bias]


def _forget_bias(group: list[Tensor]) -> list[Tensor] | None:
    if len(group) < 4:
        return None
    bias, size = group[2].clone(), len(group[2]) // 4
    bias[size : 2 * size] += 1
    return [*group[:2], bias, group[3]]


def _negated_update(group: list[Tensor]) -> list[Tensor] | None:
    """z and 1-z exchanged: the sigmoid of the negated sum."""
    size = group[0].shape[0] // 3
    changed = [w.clone() for w in group]
    for w in changed:
        w[size : 2 * size].neg_()
    return changed


def _gru_step(new: Step) -> Mutation:
    """A GRU whose new gate is computed by ``new(x, h, …)``; all other gates are torch's."""

    def step(x: Tensor, h: Tensor, group: Sequence[Tensor]) -> Tensor:
        w_ih, w_hh, b_ih, b_hh = group
        size = h.shape[-1]
        inner = x @ w_ih[: 2 * size].T + b_ih[: 2 * size]
        inner = inner + h @ w_hh[: 2 * size].T + b_hh[: 2 * size]
        r, z = torch.sigmoid(inner).chunk(2, -1)
        n = new(x, torch.stack([h, r]), [w[2 * size :] for w in group])
        return (1 - z) * n + z * h

    def mutation(site: Site) -> Any:
        weights = _weights(site)
        if weights is None or len(weights[0]) != 4:
            return SAME
        if site.op == "gru_cell":
            return step(site["input"], site["hx"], weights[0])
        return _stacked(site, weights, step)

    return mutation


def _stacked(site: Site, weights: list[list[Tensor]], step: Step) -> Any:
    """Layers and directions of a GRU around `step`."""
    directions = 1 + int(site["bidirectional"])
    x = site["input"].transpose(0, 1) if site["batch_first"] else site["input"]
    last = []
    for layer in range(site["layers"]):
        outputs = []
        for d in range(directions):
            k = layer * directions + d
            h, states = site["hx"][k], []
            for frame in x.flip(0) if d else x:
                h = step(frame, h, weights[k])
                states.append(h)
            outputs.append(torch.stack(states[::-1] if d else states))
            last.append(h)
        x = torch.cat(outputs, -1)
    return (x.transpose(0, 1) if site["batch_first"] else x), torch.stack(last)


def _merged(x: Tensor, state: Tensor, group: Sequence[Tensor]) -> Tensor:
    """Both biases outside the reset product."""
    (h, r), (w_ih, w_hh, b_ih, b_hh) = state, group
    return torch.tanh(x @ w_ih.T + b_ih + b_hh + r * (h @ w_hh.T))


def _reset_before(x: Tensor, state: Tensor, group: Sequence[Tensor]) -> Tensor:
    """The reset applied to the state before the matrix product."""
    (h, r), (w_ih, w_hh, b_ih, b_hh) = state, group
    return torch.tanh(x @ w_ih.T + b_ih + (r * h) @ w_hh.T + b_hh)


def _never_reset(x: Tensor, state: Tensor, group: Sequence[Tensor]) -> Tensor:
    """The reset gate left out."""
    (h, _), (w_ih, w_hh, b_ih, b_hh) = state, group
    return torch.tanh(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)


def _not_reversed(site: Site) -> Any:
    """The backward direction left in the order of its own steps, in the last layer."""
    if _weights(site) is None or not site["bidirectional"]:
        return SAME
    output, *rest = site.original()
    forward, backward = output.chunk(2, -1)
    time = 1 if site["batch_first"] else 0
    return (torch.cat([forward, backward.flip(time)], -1), *rest)


def _not_reversed_input(site: Site) -> Any:
    """Both directions run forward."""
    weights = _weights(site)
    if weights is None or not site["bidirectional"] or site["layers"] != 1:
        return SAME
    hidden = site["hx"] if site.op == "lstm" else (site["hx"],)
    halves = []
    for d, group in enumerate(weights):
        state = tuple(h[d : d + 1] for h in hidden)
        halves.append(
            site.original(
                hx=state if site.op == "lstm" else state[0],
                flat_weights=group,
                bidirectional=False,
            )
        )
    output = torch.cat([half[0] for half in halves], -1)
    return (output, *(torch.cat(parts) for parts in zip(*(h[1:] for h in halves), strict=True)))


def _other_batch_first(site: Site) -> Any:
    """Time and batch exchanged; only from a zero state, which has no batch of its own."""
    if _weights(site) is None:
        return SAME
    x, hidden = site["input"], site["hx"]
    states = hidden if site.op == "lstm" else (hidden,)
    if any(bool(h.any()) for h in states):
        return SAME
    batch = x.shape[1 if site["batch_first"] else 0]
    fresh = tuple(h.new_zeros(h.shape[0], batch, h.shape[2]) for h in states)
    hx = fresh if site.op == "lstm" else fresh[0]
    return site.original(hx=hx, batch_first=not site["batch_first"])


def _other_nonlinearity(site: Site) -> Any:
    weights = _weights(site)
    if weights is None or site.op not in ("rnn_tanh", "rnn_relu"):
        return SAME
    other = torch.rnn_relu if site.op == "rnn_tanh" else torch.rnn_tanh
    return other(*(site[name] for name in _LAYER_NAMES))


def _initial_state_ignored(site: Site) -> Any:
    hidden = site["hx"]
    if isinstance(hidden, tuple | list):
        return site.original(hx=tuple(torch.zeros_like(h) for h in hidden))
    return site.original(hx=torch.zeros_like(hidden))


_LAYER_NAMES = (
    "input", "hx", "flat_weights", "bias", "layers", "dropout", "train", "bidirectional",
    "batch_first",
)  # fmt: skip

RULES = (
    Rule(
        "gru_merged_bias",
        "GRU with its two biases summed",
        "b_in + b_hn is added outside the reset product.",
        "n = tanh(W_in x + b_in + r*(W_hn h + b_hn)): b_hn belongs inside. Sum the biases only for "
        "r and z, keep b_hn apart (Linen's GRUCell has it, nnx's has none: write the cell).",
        "differs wherever b_hn is not 0",
        ("gru", "gru_cell"),
        (_gru_step(_merged),),
    ),
    Rule(
        "gru_new_bias_missing",
        "GRU without b_hn",
        "The hidden bias of the new gate is dropped, as nnx.GRUCell has no place for it.",
        "n = tanh(W_in x + b_in + r*(W_hn h + b_hn)): write a cell that holds b_hn.",
        "differs wherever b_hn is not 0",
        ("gru", "gru_cell"),
        (_changed(_no_new_hidden_bias),),
    ),
    Rule(
        "gru_reset_before",
        "GRU resets the state before the product",
        "W_hn (r*h) is computed.",
        "torch multiplies after: r*(W_hn h + b_hn).",
        "everything after the first step differs",
        ("gru", "gru_cell"),
        (_gru_step(_reset_before),),
    ),
    Rule(
        "gru_reset_missing",
        "GRU without its reset gate",
        "The state enters the new gate unscaled.",
        "n = tanh(W_in x + b_in + r*(W_hn h + b_hn)).",
        "everything after the first step differs, and the first where b_hn is not 0",
        ("gru", "gru_cell"),
        (_gru_step(_never_reset),),
    ),
    Rule(
        "gru_update_swapped",
        "GRU with the update gate the other way round",
        "h' = z*n + (1-z)*h is computed.",
        "torch: h' = (1-z)*n + z*h, as flax.",
        "everything differs",
        ("gru", "gru_cell"),
        (_changed(_negated_update),),
    ),
    Rule(
        "gru_gate_order",
        "GRU gates in another order",
        "The rows of the weights are taken in another order than r, z, n.",
        "weight_ih and weight_hh hold r, z, n, in this order: split in 3.",
        "everything differs",
        ("gru", "gru_cell"),
        (_order(1, 0, 2), _order(0, 2, 1), _order(2, 1, 0), _order(1, 2, 0), _order(2, 0, 1)),
    ),
    Rule(
        "lstm_gate_order",
        "LSTM gates in another order",
        "The rows of the weights are taken in another order than i, f, g, o.",
        "weight_ih and weight_hh hold i, f, g, o, in this order: split in 4.",
        "everything differs",
        ("lstm", "lstm_cell"),
        (
            _order(0, 1, 3, 2),
            _order(1, 0, 2, 3),
            _order(0, 2, 1, 3),
            _order(1, 0, 3, 2),
            _order(0, 3, 1, 2),
            _order(0, 3, 2, 1),
            _order(0, 2, 3, 1),
        ),
    ),
    Rule(
        "lstm_forget_bias",
        "LSTM with 1 added to the forget gate",
        "A forget bias of 1 is added when the layer runs.",
        "torch adds none: the biases as they are.",
        "everything differs",
        ("lstm", "lstm_cell"),
        (_changed(_forget_bias),),
    ),
    Rule(
        "rnn_hidden_bias_missing",
        "recurrent layer with only one of its two biases",
        "bias_hh is dropped.",
        "torch has bias_ih and bias_hh: sum them (but GRU's new gate, see gru_merged_bias).",
        "everything differs where bias_hh is not 0",
        (*LAYERS, *CELLS),
        (_changed(_no_hidden_bias),),
    ),
    Rule(
        "rnn_bias_missing",
        "recurrent layer without biases",
        "Both biases are dropped.",
        "Map bias_ih and bias_hh.",
        "everything differs",
        (*LAYERS, *CELLS),
        (_changed(_no_bias),),
    ),
    Rule(
        "rnn_backward_order",
        "backward direction left reversed",
        "The outputs of the backward direction are in the order in which they were computed.",
        "Reverse them back along time before joining them with the forward ones.",
        "the second half of the features is reversed in time",
        LAYERS,
        (_not_reversed,),
    ),
    Rule(
        "rnn_backward_input",
        "backward direction run forward",
        "Both directions read the sequence from its start.",
        "The second direction reads the reversed sequence.",
        "the second half of the features differs",
        LAYERS,
        (_not_reversed_input,),
    ),
    Rule(
        "rnn_batch_first",
        "recurrent layer scans the batch axis",
        "The other of the first two axes is taken as time.",
        "Without batch_first=True torch's layout is (time, batch, features).",
        "samples of a batch influence each other",
        LAYERS,
        (_other_batch_first,),
    ),
    Rule(
        "rnn_nonlinearity",
        "RNN with the other nonlinearity",
        "tanh is used for relu or the reverse.",
        "nn.RNN uses its nonlinearity argument, tanh by default.",
        "everything differs",
        ("rnn_tanh", "rnn_relu"),
        (_other_nonlinearity,),
    ),
    Rule(
        "rnn_initial_state",
        "recurrent layer ignores its initial state",
        "The scan starts from zeros.",
        "Start from the state that the source passes.",
        "differences shrink along the sequence",
        (*LAYERS, *CELLS),
        (_initial_state_ignored,),
    ),
)
