"""A class out of an installed package becomes source that a port can stand on.

A *slice* of a package is what one run of it reached: classes with the methods that ran, functions,
constants, and the imports between them, cut out of the package's own files under their own relative
paths. It is still PyTorch, and is ported as the caller's own files are. What never ran is left out.
"""
