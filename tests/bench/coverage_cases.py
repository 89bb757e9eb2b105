"""Which module classes of real packages run with small arguments: one JSON line for each.

Run by the interpreter of build/envs/real. A class counts if it can be built from the values that the
tables below have for its constructor's parameters, and called with what they have for those of its
forward. Nothing here knows of a single class.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import itertools
import json
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn

HEAD = "import torch\nimport torch.nn as nn\n"
TRIES = 24
SMALL = 200_000


@dataclass(frozen=True)
class Family:
    """Modules of one package, and the values that their classes' parameters may be given.

    `imports` are lines that the values need. A value may be a list of alternatives.
    """

    package: str
    modules: tuple[str, ...]
    imports: str
    arguments: dict[str, str]


SIZES = {
    "dim": "16",
    "dims": "16",
    "embed_dim": "16",
    "embedding_dim": "16",
    "hidden_size": "16",
    "hidden_dim": "24",
    "hidden_features": "24",
    "mlp_dim": "24",
    "in_features": "16",
    "out_features": "12",
    "in_channels": "8",
    "out_channels": "8",
    "in_chs": "8",
    "out_chs": "8",
    "in_chans": "3",
    "out_chans": "8",
    "mid_chs": "8",
    "channels": "8",
    "num_channels": "8",
    "num_features": "16",
    "num_heads": "2",
    "heads": "2",
    "num_layers": "2",
    "depth": "2",
    "depths": "(1, 1, 1, 1)",
    "n_state": "16",
    "n_head": "2",
    "n_mels": "6",
    "n_ctx": "8",
    "n_layer": "2",
    "n_vocab": "32",
    "input_dim": "16",
    "output_dim": "12",
    "transformer_dim": "16",
    "image_embedding_size": "(4, 4)",
    "input_image_size": "(32, 32)",
    "mask_in_chans": "4",
    "input_size": "(7, 7)",
    "window_size": "(7, 7)",
    "img_size": "32",
    "image_size": "32",
    "patch_size": "4",
    "kernel_size": "3",
    "stride": "1",
    "num_classes": "5",
    "layer_idx": "0",
    "layer_id": "0",
    "nx": "16",
    "nf": "24",
    "intermediate_size": "24",
    "size": "(8, 8)",
    "normalized_shape": "16",
    "eps": "1e-5",
}
SAM = {
    "transformer": "TwoWayTransformer(2, 16, 2, 24)",
    "image_encoder": "ImageEncoderViT(img_size=32, patch_size=4, embed_dim=16, depth=2, num_heads=2, "
    "out_chans=16, use_rel_pos=True, window_size=3, global_attn_indexes=(1,))",
    "prompt_encoder": "PromptEncoder(16, (8, 8), (32, 32), 4)",
    "mask_decoder": "MaskDecoder(transformer_dim=16, transformer=TwoWayTransformer(2, 16, 2, 24), "
    "iou_head_hidden_dim=16)",
}
TINY = "hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24"
VISION = f"{TINY}, image_size=16, patch_size=4"
CLIP_TEXT = f"vocab_size=32, max_position_embeddings=16, projection_dim=12, {TINY}"
CLIP_VISION = f"projection_dim=12, {VISION}"


def _hugging(name: str, module: str, config: str | tuple[str, ...], imported: str) -> Family:
    configs = (config,) if isinstance(config, str) else config
    values = {f"config{'@' * n}": value for n, value in enumerate(configs)}
    return Family(
        "transformers",
        (f"transformers.models.{name}.{module}",),
        f"from transformers import {imported}\n",
        SIZES | values,
    )


FAMILIES = (
    Family(
        "segment_anything",
        tuple(
            f"segment_anything.modeling.{name}"
            for name in ("common", "image_encoder", "mask_decoder", "prompt_encoder", "sam", "transformer")
        ),
        "from segment_anything.modeling import (\n    ImageEncoderViT,\n    MaskDecoder,\n    PromptEncoder,\n"
        "    TwoWayTransformer,\n)\n",
        SIZES | SAM,
    ),
    Family(
        "whisper",
        ("whisper.model",),
        "from whisper.model import ModelDimensions\n",
        SIZES | {"dims": "ModelDimensions(6, 8, 16, 2, 2, 32, 12, 16, 2, 2)"},
    ),
    _hugging(
        "t5",
        "modeling_t5",
        tuple(
            "T5Config(vocab_size=32, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=2, "
            f"relative_attention_num_buckets=8, relative_attention_max_distance=16, use_cache=False{more})"
            for more in ("", ", is_decoder=True")
        ),
        "T5Config",
    ),
    _hugging("bert", "modeling_bert", f"BertConfig(vocab_size=32, max_position_embeddings=16, {TINY})", "BertConfig"),
    _hugging(
        "gpt2",
        "modeling_gpt2",
        "GPT2Config(vocab_size=32, n_positions=16, n_embd=16, n_layer=2, n_head=2, use_cache=False)",
        "GPT2Config",
    ),
    _hugging(
        "llama",
        "modeling_llama",
        f"LlamaConfig(vocab_size=32, max_position_embeddings=16, use_cache=False, {TINY})",
        "LlamaConfig",
    ),
    _hugging("vit", "modeling_vit", f"ViTConfig({VISION})", "ViTConfig"),
    _hugging(
        "clip",
        "modeling_clip",
        (
            f"CLIPTextConfig({CLIP_TEXT})",
            f"CLIPVisionConfig({CLIP_VISION})",
            f"CLIPConfig(text_config=dict({CLIP_TEXT}), vision_config=dict({CLIP_VISION}), projection_dim=12)",
        ),
        "CLIPConfig, CLIPTextConfig, CLIPVisionConfig",
    ),
    _hugging(
        "whisper",
        "modeling_whisper",
        "WhisperConfig(vocab_size=32, num_mel_bins=6, d_model=16, encoder_layers=1, decoder_layers=1, "
        "encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, "
        "max_source_positions=8, max_target_positions=12, use_cache=False, pad_token_id=0, bos_token_id=1, "
        "eos_token_id=2, decoder_start_token_id=1)",
        "WhisperConfig",
    ),
    _hugging(
        "sam",
        "modeling_sam",
        (
            "SamVisionConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, "
            "patch_size=4, output_channels=16, window_size=3, global_attn_indexes=[1], mlp_dim=24)",
            "SamPromptEncoderConfig(hidden_size=16, image_size=32, patch_size=4, mask_input_channels=4)",
            "SamMaskDecoderConfig(hidden_size=16, mlp_dim=24, num_attention_heads=2, iou_head_hidden_dim=16)",
        ),
        "SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig",
    ),
    Family(
        "timm",
        tuple(
            f"timm.layers.{name}"
            for name in (
                "activations", "attention", "attention2d", "attention_pool", "blur_pool", "bottleneck_attn",
                "cbam", "classifier", "cond_conv2d", "conv_bn_act", "create_act", "drop", "eca", "format",
                "gather_excite", "global_context", "grn", "halo_attn", "inplace_abn", "lambda_layer",
                "layer_scale", "mixed_conv2d", "mlp", "non_local_attn", "norm", "norm_act", "patch_embed",
                "pool2d_same", "pos_embed_rel", "pos_embed_sincos", "selective_kernel", "separable_conv",
                "space_to_depth", "split_attn", "split_batchnorm", "squeeze_excite", "std_conv", "test_time_pool",
            )
        )
        + tuple(
            f"timm.models.{name}"
            for name in ("vision_transformer", "resnet", "convnext", "mlp_mixer", "swin_transformer", "_efficientnet_blocks")
        ),
        "",
        SIZES,
    ),
)  # fmt: skip

TEXT, IDS, FLAT = "torch.randn(2, 5, 16)", "torch.randint(0, 32, (2, 5))", "torch.randn(2, 16)"
IMAGE, MAP, TOKENS = (
    "torch.randn(2, 3, 32, 32)",
    "torch.randn(2, 8, 8, 8)",
    "torch.randn(2, 7, 7, 16)",
)
FIRST = (TEXT, FLAT, MAP, IMAGE, TOKENS, IDS, "torch.randn(2, 3, 16, 16)", "torch.randn(2, 6, 16)",
         "torch.randn(2, 16, 8, 8)", "torch.randn(2, 16, 4, 4)", "torch.randn(2, 8, 16)")  # fmt: skip
INPUTS = {
    "input_ids": (IDS,),
    "decoder_input_ids": ("torch.randint(0, 32, (2, 4))",),
    "tokens": ("torch.randint(0, 32, (2, 7))",),
    "pixel_values": ("torch.randn(2, 3, 16, 16)", IMAGE),
    "input_features": ("torch.randn(2, 6, 16)",),
    "mel": ("torch.randn(2, 6, 16)",),
    "hidden_states": (TEXT, TOKENS, FLAT),
    "position_ids": ("torch.arange(5)[None].expand(2, 5)",),
    "position_embeddings": ("(torch.randn(1, 5, 8), torch.randn(1, 5, 8))",),
    "encoder_hidden_states": ("torch.randn(2, 4, 16)",),
    "key_value_states": ("torch.randn(2, 4, 16)",),
    "xa": ("torch.randn(2, 8, 16)",),
    "attention_mask": ("None",),
    "image_embedding": ("torch.randn(2, 16, 4, 4)", "torch.randn(1, 16, 4, 4)"),
    "image_embeddings": ("torch.randn(1, 16, 4, 4)",),
    "image_pe": ("torch.randn(2, 16, 4, 4)", "torch.randn(1, 16, 4, 4)"),
    "point_embedding": ("torch.randn(2, 3, 16)",),
    "sparse_prompt_embeddings": ("torch.randn(2, 3, 16)",),
    "dense_prompt_embeddings": ("torch.randn(2, 16, 4, 4)",),
    "multimask_output": ("True",),
    "points": ("(torch.rand(2, 3, 2) * 32, torch.randint(0, 2, (2, 3)))",),
    "boxes": ("torch.rand(2, 4) * 32",),
    "masks": ("torch.randn(2, 1, 16, 16)",),
    "queries": ("torch.randn(2, 3, 16)",),
    "keys": ("torch.randn(2, 16, 16)",),
    "query_pe": ("torch.randn(2, 3, 16)",),
    "key_pe": ("torch.randn(2, 16, 16)",),
    "q": (TEXT,),
    "k": ("torch.randn(2, 4, 16)",),
    "v": ("torch.randn(2, 4, 16)",),
    "size": ("(4, 4)",),
    "batched_input": (
        '[{"image": torch.rand(3, 24, 32) * 255, "original_size": (48, 64), '
        '"point_coords": torch.rand(1, 2, 2) * 24, "point_labels": torch.randint(0, 2, (1, 2))}]',
    ),
}
QUIET = {"use_cache": "False", "return_dict": "False"}


def required(function: Any, skip: int) -> list[str]:
    """The parameters of a function that have no default."""
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in named and p.default is p.empty]


def constructions(cls: type, family: Family) -> Iterator[str]:
    """Expressions that may build an instance: with all that the table has, else with what is required."""
    parameters = [n for n in inspect.signature(cls.__init__).parameters if n != "self"]
    known = {k.rstrip("@") for k in family.arguments}
    needed = required(cls.__init__, 1)
    for names in ([n for n in parameters if n in known or n in needed], needed):
        choices = [
            [v for k, v in family.arguments.items() if k.rstrip("@") == name] for name in names
        ]
        for values in itertools.product(*choices):
            listed = ", ".join(f"{n}={v}" for n, v in zip(names, values, strict=True))
            yield f"{cls.__name__}({listed})"


def is_small(init: str, namespace: dict[str, Any]) -> bool:
    """Whether an instance has few parameters, found without making them."""
    try:
        with torch.device("meta"):
            model = eval(init, dict(namespace))
    except NotImplementedError:  # an operation without a rule for tensors that are not there
        return True
    return sum(p.numel() for p in model.parameters()) < SMALL


def calls(cls: Any) -> Iterator[str]:
    """Expressions of keyword arguments that `forward` may accept."""
    parameters = inspect.signature(cls.forward).parameters
    names = required(cls.forward, 1)
    if not names:
        names = [n for n in parameters if n in INPUTS and n != "attention_mask"][:2]
    choices = [INPUTS.get(n) or (FIRST if n == names[0] else ()) for n in names]
    wanted = any(c is not None and n in INPUTS for n, c in zip(names[:1], choices, strict=False))
    if wanted and names[0] in ("hidden_states",):
        choices[0] = (*choices[0], *FIRST)
    quiet = {n: v for n, v in QUIET.items() if n in parameters and n == "use_cache"}
    for values in itertools.islice(itertools.product(*choices), TRIES):
        given = dict(zip(names, values, strict=True)) | quiet
        yield "{" + ", ".join(f'"{n}": {v}' for n, v in given.items()) + "}"


def is_tree(value: Any) -> bool:
    """Whether an output is one that an oracle takes: tensors and numbers in sequences and maps."""
    if isinstance(value, torch.Tensor):
        return not value.is_sparse
    if isinstance(value, dict):
        return all(map(is_tree, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_tree, value))
    return value is None or isinstance(value, (bool, int, float, str))


def has_tensor(value: Any) -> bool:
    """Whether there is any tensor in an output."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(map(has_tensor, value))
    return isinstance(value, torch.Tensor)


def find_case(cls: type, module: ModuleType, family: Family) -> dict[str, str] | None:
    """The first arguments with which a class can be built and called, as a job's fields."""
    source = f"{HEAD}{family.imports}from {module.__name__} import {cls.__name__}\n"
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    for init in itertools.islice(constructions(cls, family), TRIES):
        try:
            if not is_small(init, namespace):
                continue
            model = eval(init, dict(namespace))
        except Exception:  # other arguments may do
            continue
        for inputs in calls(cls):
            try:
                with torch.no_grad():
                    output = model.eval()(**eval(inputs, dict(namespace)))
            except Exception:  # other inputs may do
                continue
            if is_tree(output) and has_tensor(output):
                name = f"{module.__name__}.{cls.__name__}"
                return {"package": family.package, "class": name, "source": source,
                        "entry": f"model:{cls.__name__}", "init_expr": init, "inputs_expr": inputs}  # fmt: skip
    return None


def main() -> None:
    """All cases, in the order of the tables."""
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    wanted = set(sys.argv[1:])
    torch.manual_seed(0)
    for family in FAMILIES:
        if wanted and family.package not in wanted:
            continue
        for name in family.modules:
            with contextlib.redirect_stdout(io.StringIO()):
                module = importlib.import_module(name)
            for cls in vars(module).values():
                own = isinstance(cls, type) and cls.__module__ == name
                if own and issubclass(cls, nn.Module) and cls.forward is not nn.Module.forward:
                    case = find_case(cls, module, family)
                    if case is not None:
                        print(json.dumps(case), file=out, flush=True)


if __name__ == "__main__":
    main()
