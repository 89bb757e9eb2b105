"""Flax NNX modules and JAX functions that carry torch's exact semantics.

The builtin engine copies the definitions that a model needs, with all that they use, into
its output; nothing here is imported by a delivered model. A definition therefore depends
only on other top-level definitions of these modules and on jax, flax, numpy, einops and the
standard library, and no two modules define the same name.

A layer has torch's class name, constructor arguments (less device and dtype, plus `rngs`),
attribute names and parameter layouts, so a weight map is the identity by name. A function
has torch's name and arguments. `train()` and `eval()` switch `deterministic` and
`use_running_average`; random layers draw once where torch draws once, in torch's shape.

    base        Module, Buffer, ValuesIndices and small shape rules
    linear      Linear, Bilinear, Embedding, Identity
    bag         EmbeddingBag
    conv        Conv1d..3d, ConvTranspose1d..3d
    norm        BatchNorm1d..3d, InstanceNorm1d..3d, LayerNorm, GroupNorm, RMSNorm, ...
    pool        max, average, adaptive and power-average pools as functions
    pool_layer  the same as modules
    unpool      max pools with indices, MaxUnpool1d..3d
    dropout     Dropout, Dropout1d..3d, AlphaDropout, FeatureAlphaDropout
    activation  activations as functions
    activation_layer  the same as modules
    container   Sequential
    padding     pad and the padding layers
    attention   scaled_dot_product_attention, MultiheadAttention
    transformer TransformerEncoder, TransformerDecoder and their layers
    recurrent   RNN, LSTM, GRU and their cells
    reparam     weight_norm and spectral_norm of both generations
    gradient    Function, freeze, with_data
    sample      affine_grid, grid_sample
    rearranging Rearrange, Reduce
    idiom       what the idiomatic style writes beside layers of Flax
    loss        losses as functions
    class_loss  multilabel_margin_loss, AdaptiveLogSoftmaxWithLoss
    sequence_loss  ctc_loss, CTCLoss
    loss_layer  losses, CosineSimilarity and PairwiseDistance as modules
    pointwise   absolute, clamp, lerp, addmm and their kin
    resize      interpolate, Upsample, PixelShuffle, PixelUnshuffle
    reduce      reductions, norms, distances, sorting
    linalg      cross products, determinants, matrix norms
    window      hann_window and its kin
    index       gather, scatter and other indexing
    shape       reshaping, splitting, windows; Flatten, Unflatten, Unfold, Fold
"""
