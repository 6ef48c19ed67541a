"""The checks that every restoration network has to pass: a new architecture adds one small class to have them all.

class MyNetModelTest(RestorationModelMixin):
    config_class, model_class = MyNetConfig, MyNetForImageRestoration
    shape = {"width": 4}
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageToImage

from modeling_samdistill.models import (
    ImageRestorationConfig,
    ImageRestorationPreTrainedModel,
    RestorationImageProcessor,
)

ODD_SIZES = [*range(1, 18), 31, 33, 65]


class RestorationModelMixin:
    """`shape` makes the configuration small; `filled` gives parameters that start at zero a value to be seen by."""

    config_class: type[ImageRestorationConfig]
    model_class: type[ImageRestorationPreTrainedModel]
    shape: dict[str, object]

    def config(self, **changes) -> ImageRestorationConfig:
        return self.config_class(**{**self.shape, **changes})

    def fresh(self, seed: int = 0, **changes) -> ImageRestorationPreTrainedModel:
        torch.manual_seed(seed)
        return self.model_class(self.config(**changes)).eval()

    def filled(self, seed: int = 0, **changes) -> ImageRestorationPreTrainedModel:
        """A model in which every parameter and buffer is random, so that each one that is lost is noticed."""
        model = self.fresh(seed, **changes)
        with torch.no_grad():
            for tensor in itertools.chain(model.parameters(), model.buffers()):
                if tensor.is_floating_point():
                    tensor.add_(0.1 * torch.randn_like(tensor).abs())
        return model

    @staticmethod
    def pixels(*size: int, seed: int = 1, channels: int = 3, batch: int = 1) -> torch.Tensor:
        return torch.rand(batch, channels, *size, generator=torch.Generator().manual_seed(seed))

    @staticmethod
    def restore(model: ImageRestorationPreTrainedModel, pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model(pixels).reconstruction

    # Fresh weights

    def test_fresh_weights_are_pytorchs_own_initialisation(self):
        """transformers would make every weight N(0, 0.02) and every bias zero."""
        model = self.fresh()
        seen = 0
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.weight.numel() >= 64:
                weight = module.weight.detach()
                bound = weight[0].numel() ** -0.5
                assert weight.abs().max() <= bound * 1.0001
                assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.3)
                assert module.bias is None or module.bias.count_nonzero() > 0
                seen += 1
            elif isinstance(module, (nn.LayerNorm, nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)) and module.affine:
                assert torch.equal(module.weight, torch.ones_like(module.weight))
                assert torch.equal(module.bias, torch.zeros_like(module.bias))
        assert seen

    def test_a_fresh_network_gives_finite_pixels_near_the_picture(self):
        pixels = self.pixels(32, 32)
        restored = self.restore(self.fresh(), pixels)
        assert restored.isfinite().all()
        assert (restored - pixels).abs().mean() < 1

    # Saving and loading

    def test_saving_and_loading_keeps_every_parameter_and_buffer(self, tmp_path):
        model = self.filled()
        model.save_pretrained(tmp_path)
        stored = load_file(tmp_path / "model.safetensors")
        assert stored.keys() == model.state_dict().keys()
        for loader in (self.model_class, AutoModel, AutoModelForImageToImage):
            again, report = loader.from_pretrained(tmp_path, output_loading_info=True)
            assert type(again) is self.model_class
            assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
            before, after = dict(model.named_parameters()), dict(again.named_parameters())
            before |= dict(model.named_buffers())
            after |= dict(again.named_buffers())
            assert before.keys() == after.keys()
            for name, tensor in before.items():
                assert torch.equal(after[name], tensor), name

    def test_configuration_and_processor_come_back_by_their_auto_classes(self, tmp_path):
        model = self.fresh(task="derain")
        model.save_pretrained(tmp_path)
        RestorationImageProcessor(num_channels=3).save_pretrained(tmp_path)
        config = AutoConfig.from_pretrained(tmp_path)
        assert type(config) is self.config_class
        assert config.task == "derain"
        assert all(
            list(value) == list(getattr(config, name)) if isinstance(value, tuple) else value == getattr(config, name)
            for name, value in self.shape.items()
        )
        assert type(AutoImageProcessor.from_pretrained(tmp_path)) is RestorationImageProcessor

    def test_a_float16_file_keeps_its_dtype_and_loads_as_float32_when_asked_or_configured(self, tmp_path):
        model = self.filled().half()
        model.save_pretrained(tmp_path)
        assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
        assert AutoModelForImageToImage.from_pretrained(tmp_path).dtype == torch.float16
        asked = AutoModelForImageToImage.from_pretrained(tmp_path, dtype=torch.float32)
        config_file = tmp_path / "config.json"
        config_file.write_text(config_file.read_text().replace('"float16"', '"float32"'))
        configured = AutoModelForImageToImage.from_pretrained(tmp_path)
        pixels = self.pixels(17, 20)
        for again in (asked, configured):
            assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
            assert torch.equal(self.restore(again, pixels), self.restore(model.float(), pixels))
            model.half()

    def test_remote_code_gives_the_same_pixels_where_the_package_cannot_be_imported(self, tmp_path):
        folder = tmp_path / "model"
        model = self.filled()
        model.save_pretrained(folder)
        RestorationImageProcessor().save_pretrained(folder)
        pixels = self.pixels(33, 17)
        torch.save(pixels, tmp_path / "pixels.pt")
        run_without_the_package(tmp_path, REMOTE_CODE)
        # Against the model loaded from the same file: where weights lie in memory decides the last bit of a product.
        wanted = self.restore(self.model_class.from_pretrained(folder), pixels)
        assert torch.allclose(wanted, self.restore(model, pixels), rtol=1e-4, atol=1e-5)
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        for auto_class in ("AutoModel", "AutoModelForImageToImage"):
            after = torch.load(tmp_path / f"{auto_class}.pt", weights_only=True)
            assert torch.equal(after["reconstruction"], wanted)
            assert after["tensors"].keys() == tensors.keys()
            for name, tensor in tensors.items():
                assert torch.equal(after["tensors"][name], tensor), name

    # Sizes and channels

    @pytest.mark.parametrize("height", ODD_SIZES)
    def test_every_size_comes_back_as_it_was(self, height):
        model = self.filled()
        for width in ODD_SIZES:
            restored = self.restore(model, self.pixels(height, width))
            assert restored.shape == (1, 3, height, width)
            assert restored.isfinite().all()

    def test_gray_networks_restore_gray(self):
        model = self.filled(num_channels=1, num_channels_out=1)
        assert self.restore(model, self.pixels(17, 20, channels=1)).shape == (1, 1, 17, 20)

    def test_a_wrong_number_of_channels_is_one_clear_sentence(self):
        with pytest.raises(ValueError, match=r"expects \(batch, 3, height, width\)"):
            self.fresh()(self.pixels(8, 8, channels=4))
        with pytest.raises(ValueError, match=r"expects \(batch, 3, height, width\)"):
            self.fresh()(self.pixels(8, 8)[0])

    def test_a_picture_restores_the_same_alone_and_in_a_batch(self):
        model, batch = self.filled(), self.pixels(24, 20, batch=3)
        together = self.restore(model, batch)
        alone = torch.cat([self.restore(model, picture[None]) for picture in batch])
        assert torch.allclose(together, alone, atol=1e-5)
        assert (together[0] - together[1]).abs().max() > 0.01

    # Training

    @pytest.mark.parametrize("loss", ["l1", "charbonnier", "psnr"])
    def test_labels_give_a_loss_and_a_gradient_to_every_parameter(self, loss):
        model = self.filled(loss=loss).train()
        output = model(self.pixels(16, 16), labels=self.pixels(16, 16, seed=2))
        assert output.loss.shape == ()
        output.loss.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.count_nonzero() > 0, name

    def test_labels_of_another_size_are_one_clear_sentence(self):
        with pytest.raises(ValueError, match="at the size of the degraded ones"):
            self.fresh()(self.pixels(8, 8), labels=self.pixels(8, 9))

    def test_training_lowers_the_loss(self):
        torch.manual_seed(0)
        model = self.fresh().train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        clean = self.pixels(4, 4, batch=4).repeat_interleave(8, 2).repeat_interleave(8, 3)
        losses = []
        for _ in range(30):
            loss = model(clean + 0.2 * torch.randn_like(clean), labels=clean).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert sum(losses[-5:]) < 0.9 * sum(losses[:5])

    # Outputs

    def test_hidden_states_come_on_demand(self):
        model, pixels = self.fresh(), self.pixels(16, 16)
        assert model(pixels).hidden_states is None
        states = model(pixels, output_hidden_states=True).hidden_states
        assert len(states) > 0
        assert all(state.ndim == 4 for state in states)
        assert len(self.fresh(output_hidden_states=True)(pixels).hidden_states) == len(states)

    def test_the_output_is_a_tuple_on_demand(self):
        model, pixels = self.fresh(), self.pixels(16, 16)
        (reconstruction,) = model(pixels, return_dict=False)
        assert torch.equal(reconstruction, model(pixels).reconstruction)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_stays_near_float32(self, dtype):
        model, pixels = self.fresh(), self.pixels(32, 24)
        exact = self.restore(model, pixels)
        halved = self.restore(model.to(dtype), pixels.to(dtype))
        assert halved.dtype == dtype
        assert (halved.float() - exact).abs().max() < 0.05


REMOTE_CODE = """
    import transformers
    processor = transformers.AutoImageProcessor.from_pretrained(folder / "model", trust_remote_code=True)
    assert type(processor).__module__.startswith("transformers_modules."), type(processor)
    pixels = torch.load(folder / "pixels.pt", weights_only=True)
    batch = processor(pixels[0], return_tensors="pt")["pixel_values"]
    assert torch.equal(batch, pixels)
    for auto_class in (transformers.AutoModel, transformers.AutoModelForImageToImage):
        model = auto_class.from_pretrained(folder / "model", trust_remote_code=True)
        assert type(model).__module__.startswith("transformers_modules."), type(model)
        with torch.no_grad():
            reconstruction = model(batch).reconstruction
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        torch.save({"reconstruction": reconstruction, "tensors": tensors}, folder / f"{auto_class.__name__}.pt")
"""

WITHOUT_THE_PACKAGE = """
    import sys, torch
    from pathlib import Path
    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "modeling_samdistill":
                raise ModuleNotFoundError(f"No module named {name!r}")
    sys.meta_path.insert(0, Blocker())
    folder = Path(sys.argv[1])
"""


def run_without_the_package(folder: Path, script: str) -> None:
    """Runs `script` in a process of its own in which this package cannot be imported, offline, with an empty cache."""
    environment = os.environ | {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    whole = textwrap.dedent(WITHOUT_THE_PACKAGE) + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", whole, str(folder)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
