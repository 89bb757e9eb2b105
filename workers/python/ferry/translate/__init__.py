"""The builtin engine: PyTorch source in, Flax NNX source and a weight map out.

`draft.run` is the step. The rest, from the ground up:

* `source` one file as text, tree, positions and scopes; `names` what its imports mean
* `facts` what one run of the source showed about each expression
* `ops` the form of an operation's record, `table/` the records by family
* `library` the prelude: which definitions exist, and the closure of those used
* `project` all files together: module classes, and who needs random keys
* `initial` which statements only set initial values
* `translator` the state of one file's translation; `rules` which rule is for which node
* `calls`, `operations`, `rewriting`, `host`, `attributes` expressions
* `statements`, `blocks`, `import_lines`, `classes`, `inplace`, `alias` statements
* `detached` what runs without gradients, `tidy` what removals leave behind
* `idiom` which layers become layers of Flax (`idiom_sequence`, `idiom_attention`), `idiom_layout` and
  `idiom_images` where channels go last, `idiom_write` the rules that write them
* `output` imports and prelude text, `weights` the map, `changes` the diff
"""
