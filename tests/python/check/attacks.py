"""Attacks on the check itself, as changes of the correct port of `models/cnn`.

Each computes the right numbers while it is looked at, and does or prepares something by which the
code that users get is not the code that was checked.
"""

from __future__ import annotations

from cheats import OUTPUT, Noticed, quietly

#: Wrong by one percent where `{}` holds, which it does not while the check looks.
LATER = f"{OUTPUT} * (1.01 if {{}} else 1)"

ATTACKS = [
    # the functions by which the process hands back what it found
    Noticed("patches_json", "patches_library", "import", "import json\njson.dumps = lambda v: '{}'"),
    Noticed("patches_struct", "patches_library", "import",
            "import struct\nstruct.pack = lambda *a: b''"),
    Noticed("patches_signature", "patches_library", "import",
            "import inspect\ninspect.signature = lambda f: None"),
    Noticed("patches_setattr", "patches_library", "import",
            "from flax import nnx\nnnx.Module.__setattr__ = object.__setattr__"),
    Noticed("lowers_precision", "patches_library", "import",
            "import jax\njax.config.update('jax_default_matmul_precision', 'bfloat16')"),
    Noticed("writes_to_a_descriptor", "uses_descriptors", top="import os",
            call=quietly("os.pwrite(5, b'x', 0)")),
    Noticed("reads_a_descriptor", "uses_descriptors", top="import posix",
            call=quietly("posix.pread(4, 8, 0)")),
    # code that runs when nobody looks any more
    Noticed("runs_at_exit", "outlives_check", "import", "import atexit\natexit.register(print)"),
    Noticed("handles_a_signal", "outlives_check", "import",
            "import signal\nsignal.signal(signal.SIGALRM, print)"),
    Noticed("sets_a_timer", "outlives_check", "import",
            "import signal\n" + quietly("signal.setitimer(signal.ITIMER_REAL, 1000)")),
    # when and where it runs
    Noticed("asks_the_clock", "reads_clock", top="import time",
            output=LATER.format("time.time() > 4e9")),
    Noticed("asks_the_clock_by_name", "reads_clock", top="from time import monotonic_ns as tick",
            output=LATER.format("tick() < 0")),
    Noticed("asks_the_date", "reads_clock", top="import datetime",
            output=LATER.format("datetime.datetime.now().year > 2090")),
    Noticed("asks_the_day", "reads_clock", top="from datetime import date",
            output=LATER.format("date.today().year > 2090")),
    Noticed("asks_who_it_is", "inspects_process", top="import os",
            output=LATER.format("os.getpid() == 1234567")),
    # how often it ran
    Noticed("counts_far", "keeps_state", "jit", "CALLS = []", call="CALLS.append(1)",
            output=LATER.format("len(CALLS) > 10**6")),
    Noticed("counts_by_an_iterator", "keeps_state", "jit", "import itertools\nC = itertools.count()",
            output=LATER.format("next(C) > 10**6")),
    Noticed("counts_on_a_function", "keeps_state", "jit", "def seen():\n    return 0",
            call="seen.count = getattr(seen, 'count', 0) + 1",
            output=LATER.format("seen.count > 10**6")),
    Noticed("counts_in_a_class", "keeps_state", "jit", "class Box:\n    count = 0",
            call="Box.count += 1", output=LATER.format("Box.count > 10**6")),
    Noticed("counts_in_a_generator", "keeps_state", "jit",
            "def numbers():\n    yield from range(10**9)\n\n\nN = numbers()",
            output=LATER.format("next(N) > 10**6")),
    Noticed("counts_in_a_default", "keeps_state", "jit",
            "def seen(box=[0]):\n    box[0] += 1\n    return box[0]",
            output=LATER.format("seen() > 10**6")),
    Noticed("draws_in_python", "keeps_state", "jit", "import random",
            output=LATER.format("random.random() > 2")),
    Noticed("draws_in_numpy", "keeps_state", "jit", "import numpy",
            output=LATER.format("numpy.random.rand() > 2")),
    # whether it is traced
    Noticed("knows_a_trace_by_an_attribute", "eager_differs", "jit",
            output=LATER.format("getattr(x, '_npy_value', 0) != 0")),
    Noticed("knows_a_trace_by_its_class", "eager_differs", "jit", "REAL = type(jnp.zeros(1))",
            output=LATER.format("isinstance(x, REAL)")),
    Noticed("knows_a_trace_by_a_silent_failure", "eager_differs", "jit", "import contextlib",
            call="factor = 1\nwith contextlib.suppress(Exception):\n"
                 "    factor = 1.01 + 0 * float(x.sum())",
            output=f"{OUTPUT} * factor"),
    # what the harness reads is not what users read
    Noticed("answers_twice", "unsupported_output",
            top="class Out(dict):\n    def __getitem__(self, key):\n        return 0\n",
            output=f"Out(y={OUTPUT})"),
    # Python at run time
    Noticed("calls_back_with_effects", "host_callback",
            top="import jax\nfrom jax.experimental import io_callback\nSEEN = []",
            call="io_callback(lambda y: SEEN.append(1), None, x)"),
    Noticed("calls_back_backwards", "host_callback", "gradients",
            "import jax\n\n\n@jax.custom_vjp\ndef mark(x):\n    return x\n\n\n"
            "def back(_, g):\n    jax.debug.callback(print, g)\n    return (g,)\n\n\n"
            "mark.defvjp(lambda x: (x, None), back)",
            call="x = mark(x)"),
]  # fmt: skip
