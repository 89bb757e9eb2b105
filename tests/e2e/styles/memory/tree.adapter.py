import tree


def build(entry, args, kwargs):
    return tree.init()


def call(model, args, kwargs):
    return tree.forward(model, *args)
