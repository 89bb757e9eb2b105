import functions


def build(entry, args, kwargs):
    return functions.init()


def call(model, args, kwargs):
    return functions.forward(model, *args)
