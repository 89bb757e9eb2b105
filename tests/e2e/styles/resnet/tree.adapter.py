import jax
import tree


def build(entry, args, kwargs):
    return tree.make()


def call(model, args, kwargs):
    return jax.vmap(model)(*args)
