"""What must be covered: the layers and functions that real model code uses (counted over 748 files).

Names as people write them; `test_coverage` asks for each. Names with a shape that depends on
values (nonzero, unique, masked_select) are refused and stand in `sources_refused`.
"""

from __future__ import annotations

LAYERS_A = """
Linear Embedding Identity Dropout Parameter Sequential ModuleList ModuleDict LayerNorm GroupNorm
BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm2d InstanceNorm3d Conv1d Conv2d Conv3d
ConvTranspose1d ConvTranspose2d ConvTranspose3d MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d
AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d Flatten LSTM GRU RNN
MultiheadAttention TransformerEncoder TransformerEncoderLayer
ReLU ReLU6 GELU SiLU Tanh Sigmoid Softmax LogSoftmax LeakyReLU ELU SELU CELU Mish Hardtanh
Hardswish Hardsigmoid Softplus Softsign Tanhshrink LogSigmoid PReLU GLU CrossEntropyLoss MSELoss
L1Loss SmoothL1Loss HuberLoss BCEWithLogitsLoss KLDivLoss TripletMarginLoss
"""
LAYERS_B = """
RMSNorm InstanceNorm1d LocalResponseNorm Dropout1d Dropout2d Dropout3d AlphaDropout
AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d Upsample UpsamplingBilinear2d
UpsamplingNearest2d PixelShuffle PixelUnshuffle ZeroPad1d ZeroPad2d ZeroPad3d ConstantPad1d
ConstantPad2d ConstantPad3d ReflectionPad1d ReflectionPad2d ReplicationPad1d ReplicationPad2d
ReplicationPad3d CircularPad1d CircularPad2d CircularPad3d Unflatten Unfold Fold Bilinear
CosineSimilarity PairwiseDistance ParameterList ParameterDict ChannelShuffle Softmax2d Softmin
Threshold
"""
LAYERS_C = """
LSTMCell GRUCell RNNCell Transformer TransformerDecoder TransformerDecoderLayer EmbeddingBag
LPPool1d LPPool2d LPPool3d NLLLoss BCELoss GaussianNLLLoss PoissonNLLLoss
TripletMarginWithDistanceLoss MarginRankingLoss HingeEmbeddingLoss CosineEmbeddingLoss
MultiMarginLoss MultiLabelSoftMarginLoss SoftMarginLoss SyncBatchNorm RReLU Hardshrink Softshrink
MultiLabelMarginLoss CTCLoss MaxUnpool1d MaxUnpool2d MaxUnpool3d AdaptiveLogSoftmaxWithLoss
"""
TORCH = """
arange zeros ones full empty eye linspace tensor zeros_like ones_like full_like empty_like rand
randn randint randperm rand_like randn_like tril_indices triu_indices
reshape flatten unflatten permute transpose t unsqueeze squeeze tile repeat_interleave split chunk
unbind cat stack roll flip narrow select meshgrid movedim swapaxes clone
index_select gather scatter scatter_add index_add masked_fill where take_along_dim topk sort argsort
tril triu diag diagonal
sum mean max min amax amin argmax argmin prod var std norm logsumexp cumsum cumprod any all
add sub mul div floor_divide remainder fmod pow neg abs sign sqrt rsqrt square reciprocal exp exp2
expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh sigmoid
erf erfc erfinv lgamma digamma round floor ceil trunc frac clamp clip clamp_min clamp_max maximum
minimum lerp addcmul addcdiv eq ne lt le gt ge logical_and logical_or logical_xor logical_not
bitwise_and bitwise_or bitwise_xor bitwise_not isnan isinf isfinite isclose nan_to_num hypot
logaddexp xlogy
matmul bmm mm mv dot baddbmm addmm addmv addbmm einsum outer cdist tensordot cross kron
detach finfo numel softmax log_softmax relu
"""
METHODS = """
view reshape flatten unflatten permute transpose t unsqueeze squeeze expand expand_as repeat tile
repeat_interleave split chunk unbind roll flip narrow select unfold movedim swapaxes contiguous clone
index_select gather scatter scatter_add index_add masked_fill where take_along_dim topk sort argsort
tril triu diag diagonal view_as type_as
sum mean max min amax amin argmax argmin prod var std norm logsumexp cumsum cumprod any all
add sub mul div pow neg abs sign sqrt rsqrt square exp log sin cos tanh sigmoid relu softmax
log_softmax round floor ceil clamp clip lerp addcmul addcdiv eq ne lt le gt ge logical_and
logical_not matmul bmm mm addmm baddbmm dot
to float double half bfloat16 int long bool detach cpu cuda size dim numel
new_zeros new_ones new_full new_empty new_tensor
"""
FUNCTIONAL = """
linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm softmax log_softmax
relu relu6 gelu silu mish elu selu celu leaky_relu prelu hardtanh hardswish hardsigmoid softplus
softsign tanhshrink logsigmoid threshold glu dropout dropout1d dropout2d dropout3d alpha_dropout
pad interpolate upsample grid_sample affine_grid normalize embedding embedding_bag one_hot
scaled_dot_product_attention cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss
binary_cross_entropy binary_cross_entropy_with_logits kl_div triplet_margin_loss
cosine_embedding_loss hinge_embedding_loss margin_ranking_loss soft_margin_loss multi_margin_loss
poisson_nll_loss gaussian_nll_loss unfold fold pixel_shuffle pixel_unshuffle cosine_similarity
pairwise_distance gumbel_softmax ctc_loss multilabel_margin_loss max_unpool1d max_unpool2d max_unpool3d
"""
PARAMETRIZED = "weight_norm spectral_norm"


def wanted() -> list[str]:
    """All of it as dotted names."""
    layers = f"{LAYERS_A} {LAYERS_B} {LAYERS_C}".split()
    return [
        *(f"torch.nn.{name}" for name in layers),
        *(f"torch.{name}" for name in TORCH.split()),
        *(f"Tensor.{name}" for name in METHODS.split()),
        *(f"torch.nn.functional.{name}" for name in FUNCTIONAL.split()),
        *(f"torch.nn.utils.{name}" for name in PARAMETRIZED.split()),
        *(f"torch.nn.utils.parametrizations.{name}" for name in PARAMETRIZED.split()),
    ]
