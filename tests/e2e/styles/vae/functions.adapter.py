import functions
import jax


def build(entry, args, kwargs):
    return functions.init(*args, **kwargs)


def call(model, args, kwargs):
    return functions.forward(model, *args, key=jax.random.key(0))
