"""The small SAM that is trained from scratch: sizes that belong together, and its first weights."""

from __future__ import annotations

import pytest
import torch
from transformers import SamProcessor

from modeling_samdistill.errors import InputError
from modeling_samdistill.teachers.small_sam import build_small_sam, small_sam_config, small_sam_processor


@pytest.mark.parametrize(("image_size", "patch_size", "decoder_size"), [(64, 8, 32), (128, 16, 64), (96, 16, 48)])
def test_sizes_are_set_together_and_the_network_runs(image_size, patch_size, decoder_size, tmp_path):
    config = small_sam_config(
        image_size, patch_size, hidden_size=32, num_layers=2, num_heads=2, window_size=4, decoder_size=decoder_size
    )
    assert config.prompt_encoder_config.image_embedding_size == image_size // patch_size
    assert config.vision_config.num_pos_feats == decoder_size // 2
    small_sam_processor(config).save_pretrained(tmp_path)
    processor = SamProcessor.from_pretrained(tmp_path)
    picture = torch.zeros(3, 50, 40, dtype=torch.uint8)
    inputs = processor(picture, input_points=[[[10, 20]]], return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, image_size, image_size)
    with torch.no_grad():
        output = build_small_sam(config)(
            pixel_values=inputs["pixel_values"], input_points=inputs["input_points"].float()
        )
    side = 4 * image_size // patch_size
    assert output.pred_masks.shape == (1, 1, 3, side, side)
    assert processor.image_processor.mask_size["longest_edge"] == side
    assert processor.image_processor.mask_pad_size == {"height": side, "width": side}


@pytest.mark.parametrize("sizes", [{"image_size": 100}, {"hidden_size": 190, "num_heads": 4}, {"decoder_size": 100}])
def test_sizes_that_do_not_divide_each_other_are_one_sentence(sizes):
    with pytest.raises(InputError, match="without remainder"):
        small_sam_config(**sizes)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_small_sam(small_sam_config(64, 8, hidden_size=64, num_layers=2, window_size=4, decoder_size=64))


def test_first_weights_keep_the_variance_of_what_goes_through(network):
    for weight in (
        network.vision_encoder.layers[0].attn.qkv.weight,
        network.mask_decoder.iou_prediction_head.proj_in.weight,
    ):
        assert weight.std().item() == pytest.approx(weight.shape[1] ** -0.5, rel=0.1)
    features = network.vision_encoder(torch.randn(2, 3, 64, 64)).last_hidden_state
    assert 0.3 < features.std().item() < 3


def test_frequencies_of_positions_are_frozen_and_of_deviation_1(network):
    frequencies = network.shared_image_embedding.positional_embedding
    assert not frequencies.requires_grad
    assert frequencies.std().item() == pytest.approx(1, rel=0.3)
    assert [name for name, parameter in network.named_parameters() if not parameter.requires_grad] == [
        "shared_image_embedding.positional_embedding"
    ]


def test_clicks_and_picture_start_with_queries_and_keys_alike(network):
    layer = network.mask_decoder.transformer.layers[0].cross_attn_token_to_image
    assert torch.equal(layer.q_proj.weight, layer.k_proj.weight)


def test_default_network_fits_the_wheel():
    parameters = sum(parameter.numel() for parameter in build_small_sam(small_sam_config()).parameters())
    assert 4 * parameters < 30e6
