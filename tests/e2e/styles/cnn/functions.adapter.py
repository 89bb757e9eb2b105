import functions


def build(entry, args, kwargs):
    return functions.init(*args, **kwargs)


def call(model, args, kwargs):
    return functions.forward(model, *args, train=False)[0]


def step(model, args, kwargs):
    return functions.forward(model, *args, train=True)
