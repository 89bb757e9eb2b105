"""What tracing costs that a check can do without."""

from __future__ import annotations

from typing import Any


def answer_without_origin(tracer: type[Any]) -> None:
    """Let tracers of this class say only that they have no sharding, not where they come from.

    A write into an `nnx.Variable` asks the new value for its sharding and takes the AttributeError of a
    tracer for None. jax 0.10.2 puts into that error which arguments the tracer depends on, for which it
    walks the whole program traced so far: quadratic, and a fifth of the check of a deep net with batch
    norms. No one reads the text.
    """

    def sharding(self: Any) -> Any:
        raise AttributeError(f"the 'sharding' attribute is not available on {type(self).__name__}")

    tracer.sharding = property(sharding)
