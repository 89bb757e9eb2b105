"""The builtin engine: PyTorch source in, Flax NNX source and a weight map out.

`draft.run` is the step. The rest, from the ground up:

* `source` one file as text, tree and positions; edits compose into new text
* `names` what a name means: which dotted torch name, which definition of the source
* `facts` what one run of the source showed about each expression
* `ops`, `table/` the operations: one record each
* `library` the prelude: which definitions exist, and the closure of those used
* `project` all files together: classes, who needs random keys, what only initialises
* `translator` the state of one file's translation and the dispatch over node types
* `calls`, `attributes`, `statements`, `classes`, `inplace` the rules for each kind of node
* `output` imports and prelude text, `weights` the map, `changes` the diff
"""
