"""The check step: run a candidate on JAX and hand back the arrays that the verdict needs."""
