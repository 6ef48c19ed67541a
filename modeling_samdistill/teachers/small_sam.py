"""A small `SamModel` of transformers, to train from scratch: its configuration, first weights and processor."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import init
from transformers import (
    SamConfig,
    SamImageProcessor,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
)
from transformers.models.sam.modeling_sam import SamAttention

from modeling_samdistill.errors import InputError

# Every patch (a token of the encoder) becomes 4x4 pixels of a mask: the decoder doubles the resolution twice.
MASK_PIXELS_PER_PATCH = 4


def small_sam_config(
    image_size: int = 256,
    patch_size: int = 16,
    hidden_size: int = 192,
    num_layers: int = 6,
    num_heads: int = 4,
    window_size: int = 8,
    decoder_size: int = 128,
    decoder_mlp_size: int = 512,
) -> SamConfig:
    """The configuration of a small `SamModel` for pictures of `image_size` x `image_size` pixels.

    The sizes that transformers' defaults tie to pictures of 1024 pixels are set together here: the picture in the
    vision and the prompt encoder, the width of the prompts in prompt encoder, decoder and neck, and the number of
    frequencies of the positional encoding (half of that width). Every second layer attends globally, the others in
    windows of `window_size` x `window_size` patches.

    Raises:
        InputError: sizes that do not divide each other.
    """
    for name, whole, part in (
        ("image_size by patch_size", image_size, patch_size),
        ("hidden_size by num_heads", hidden_size, num_heads),
        ("decoder_size by 16", decoder_size, 16),
    ):
        if whole % part:
            raise InputError(f"A small SAM needs {name} without remainder, got {whole} and {part}: choose a multiple.")
    vision = SamVisionConfig(
        hidden_size=hidden_size,
        output_channels=decoder_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        image_size=image_size,
        patch_size=patch_size,
        window_size=window_size,
        global_attn_indexes=list(range(1, num_layers, 2)),
        num_pos_feats=decoder_size // 2,
        mlp_ratio=4.0,
        # The default of 1e-10 is for published weights: a network that starts there does not learn.
        initializer_range=0.02,
    )
    prompts = SamPromptEncoderConfig(hidden_size=decoder_size, image_size=image_size, patch_size=patch_size)
    decoder = SamMaskDecoderConfig(
        hidden_size=decoder_size,
        mlp_dim=decoder_mlp_size,
        num_attention_heads=4,
        iou_head_hidden_dim=decoder_size,
    )
    return SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)


def build_small_sam(config: SamConfig) -> SamModel:
    """A `SamModel` with first weights that learn from little data.

    transformers' own suit published weights: from them a small network stays at "no pixel belongs to any mask" for
    long. Here (ours, but for the frequencies, which follow SAM's published code):
    every matrix and kernel keeps the variance of what goes through it;
    the random frequencies of the positions have a standard deviation of 1 and are never trained (transformers takes
    half the width, which makes neighbouring points unrelated);
    the learnt positions of the encoder start as the encoding of the same places;
    queries and keys of the attention between prompts and picture start alike, so that a click begins by looking at
    its surroundings, and its surroundings at the click.
    """
    model = SamModel(config)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        elif isinstance(module, nn.ConvTranspose2d):
            # Its stride is its kernel's size: each pixel sees every input channel once.
            init.normal_(module.weight, std=module.in_channels**-0.5)
    vision: SamVisionConfig = config.vision_config  # type: ignore[assignment]
    for name, parameter in model.vision_encoder.named_parameters():
        if name.endswith(("attn.proj.weight", "mlp.lin2.weight")):
            with torch.no_grad():
                parameter.mul_((2 * vision.num_hidden_layers) ** -0.5)
    frequencies = model.shared_image_embedding.positional_embedding
    init.normal_(frequencies, std=1.0)
    frequencies.requires_grad_(False)
    if model.vision_encoder.pos_embed is not None:
        with torch.no_grad():
            positions = model.get_image_wide_positional_embeddings().permute(0, 2, 3, 1)
            width = min(positions.shape[-1], model.vision_encoder.pos_embed.shape[-1])
            model.vision_encoder.pos_embed[..., :width] = 0.3 * positions[..., :width]
    _start_prompts_where_they_point(model)
    return model


def _start_prompts_where_they_point(model: SamModel) -> None:
    for name, module in model.mask_decoder.transformer.named_modules():
        if isinstance(module, SamAttention) and not name.endswith("self_attn"):
            init.orthogonal_(module.q_proj.weight, gain=1.5)
            with torch.no_grad():
                module.k_proj.weight.copy_(module.q_proj.weight)


def small_sam_processor(config: SamConfig) -> SamProcessor:
    """The processor whose four sizes fit `config`."""
    vision: SamVisionConfig = config.vision_config  # type: ignore[assignment]
    image_size, patch_size = int(vision.image_size), int(vision.patch_size)  # type: ignore[arg-type]
    mask_size = image_size // patch_size * MASK_PIXELS_PER_PATCH
    return SamProcessor(
        SamImageProcessor(
            size={"longest_edge": image_size},
            pad_size={"height": image_size, "width": image_size},
            mask_size={"longest_edge": mask_size},
            mask_pad_size={"height": mask_size, "width": mask_size},
        )
    )
