import torch
from formulas import scan, sigmoid

from bug_cases import Case, forward, layer

X = "(torch.randn(5, 2, 3),)"
STATE = "(torch.randn(5, 2, 3), torch.randn(1, 2, 4))"
GRU, LSTM = layer("nn.GRU(3, 4)", "[0]"), layer("nn.LSTM(3, 4)", "[0]")
RNN = layer("nn.RNN(3, 4)", "[0]")
TWO_WAYS = layer("nn.LSTM(3, 4, bidirectional=True)", "[0]")
CELL = forward("return self.f(x, h)", "self.f = nn.GRUCell(3, 4)", "x, h")


def _parts(w, way=""):
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return [w[f"f.{name}{way}"] for name in names]


def _gru_step(parts, new, mix=lambda z, n, h: (1 - z) * n + z * h, order=(0, 1, 2)):
    w_ih, w_hh, b_ih, b_hh = ([p.chunk(3)[k] for k in order] for p in parts)

    def step(x, h):
        r = sigmoid(x @ w_ih[0].T + b_ih[0] + h @ w_hh[0].T + b_hh[0])
        z = sigmoid(x @ w_ih[1].T + b_ih[1] + h @ w_hh[1].T + b_hh[1])
        return mix(z, torch.tanh(x @ w_ih[2].T + b_ih[2] + new(r, h, w_hh[2], b_hh[2])), h)

    return step


def _right(r, h, w, b):
    return r * (h @ w.T + b)


def _gru(new=_right, **options):
    return lambda x, w: scan(_gru_step(_parts(w), new, **options), x[0], torch.zeros(2, 4).double())


def _lstm_step(parts, order=(0, 1, 2, 3), forget=0.0):
    w_ih, w_hh, b_ih, b_hh = ([p.chunk(4)[k] for k in order] for p in parts)

    def step(x, h, c):
        i, f, g, o = (x @ w_ih[k].T + b_ih[k] + h @ w_hh[k].T + b_hh[k] for k in range(4))
        c = sigmoid(f + forget) * c + sigmoid(i) * torch.tanh(g)
        return sigmoid(o) * torch.tanh(c), c

    return step


def _zeros():
    return torch.zeros(2, 4).double()


def _lstm(**options):
    return lambda x, w: scan(_lstm_step(_parts(w), **options), x[0], _zeros(), _zeros())


def _both(backward):
    def wrong(x, w):
        first = scan(_lstm_step(_parts(w)), x[0], _zeros(), _zeros())
        second = _lstm_step(_parts(w, "_reverse"))
        return torch.cat([first, backward(second, x[0])], -1)

    return wrong


def _rnn(act=torch.tanh, own=1.0, hidden=1.0, swap=False):
    def wrong(x, w):
        w_ih, w_hh, b_ih, b_hh = _parts(w)
        x = x[0].transpose(0, 1) if swap else x[0]

        def step(x, h):
            return act(x @ w_ih.T + own * b_ih + h @ w_hh.T + hidden * b_hh)

        out = scan(step, x, torch.zeros(x.shape[1], 4).double())
        return out.transpose(0, 1) if swap else out

    return wrong


def _relu(x):
    return torch.where(x > 0, x, torch.zeros_like(x))


def _cell(x, w):
    parts = [w[f"f.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return _gru_step(parts, lambda r, h, w, b: r * (h @ w.T) + b)(*x)


def _stack(x, w):
    """Two layers, both ways, with merged biases."""
    out = x[0]
    for n in range(2):
        ways = []
        for way in ("", "_reverse"):
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            parts = [w[f"f.{kind}_l{n}{way}"] for kind in kinds]
            step = _gru_step(parts, lambda r, h, w, b: r * (h @ w.T) + b)
            found = scan(step, out.flip(0) if way else out, _zeros())
            ways.append(found.flip(0) if way else found)
        out = torch.cat(ways, -1)
    return out


FLAX_GRU = """scan(nnx_filled(nnx.GRUCell(3, 4, rngs=nnx.Rngs(0)), {
    'dense_i.kernel': w['f.weight_ih_l0'].T, 'dense_h.kernel': w['f.weight_hh_l0'].T,
    'dense_i.bias': w['f.bias_ih_l0'] + jnp.concatenate([w['f.bias_hh_l0'][:8], jnp.zeros(4)])}),
    jnp.zeros((2, 4)), x[0])"""
CASES = [
    Case("gru_merged_bias", GRU, X, _gru(lambda r, h, w, b: r * (h @ w.T) + b)),
    Case("gru_merged_bias", CELL, "(torch.randn(2, 3), torch.randn(2, 4))", _cell),
    Case("gru_merged_bias", layer("nn.GRU(3, 4, 2, bidirectional=True)", "[0]"), X, _stack),
    Case("gru_new_bias_missing", GRU, X, _gru(lambda r, h, w, b: r * (h @ w.T))),
    Case("gru_new_bias_missing", GRU, X, FLAX_GRU),
    Case("gru_reset_before", GRU, X, _gru(lambda r, h, w, b: (r * h) @ w.T + b)),
    Case("gru_reset_missing", GRU, X, _gru(lambda r, h, w, b: h @ w.T + b)),
    Case("gru_update_swapped", GRU, X, _gru(mix=lambda z, n, h: z * n + (1 - z) * h)),
    Case("gru_gate_order", GRU, X, _gru(order=(1, 0, 2))),
    Case("lstm_gate_order", LSTM, X, _lstm(order=(0, 1, 3, 2))),
    Case("lstm_gate_order", LSTM, X, _lstm(order=(0, 2, 1, 3))),
    Case("lstm_forget_bias", LSTM, X, _lstm(forget=1.0)),
    Case("rnn_hidden_bias_missing", RNN, X, _rnn(hidden=0.0)),
    Case("rnn_bias_missing", RNN, X, _rnn(own=0.0, hidden=0.0)),
    Case("rnn_backward_order", TWO_WAYS, X,
         _both(lambda step, x: scan(step, x.flip(0), _zeros(), _zeros()))),
    Case("rnn_backward_input", TWO_WAYS, X, _both(lambda step, x: scan(step, x, _zeros(), _zeros()))),
    Case("rnn_batch_first", layer("nn.RNN(3, 4)", "[0]"), X, _rnn(swap=True)),
    Case("rnn_nonlinearity", RNN, X, _rnn(act=_relu)),
    Case("rnn_initial_state", forward("return self.f(x, h)[0]", "self.f = nn.RNN(3, 4)", "x, h"),
         STATE, _rnn()),
]  # fmt: skip
