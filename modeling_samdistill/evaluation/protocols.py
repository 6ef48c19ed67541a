"""The named protocols: how a degraded input is made, how an output is quantised and what is measured on it.

Two numbers can be compared only when they come from one protocol. In all of them the model sees float RGB (or gray)
in [0, 1], its output is clamped and rounded to 8 bit, no border is cropped, and a set's value is the mean of the
values of its pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..blur_kernels import blur
from ..errors import InputError, nearest
from .metrics import luma, psnr, ssim, ssim3d, to_8bit

# Seed of the noise of every picture, as DnCNN's, KAIR's and Restormer's test scripts have it.
NOISE_SEED = 0
DEBLUR_NOISE_SIGMA = 2.55


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    Attributes:
        name: what the command line and the results file call it.
        about: one line for people.
        channels: 3 for colour pictures, 1 for gray ones.
        quantised_input: whether the degraded input is clipped and rounded to 8 bit before the model sees it.
        view: what the metrics look at: `(H, W, C)` in [0, 255] to the same or to `(H, W)` luma.
        ssim: the SSIM that goes with it.
        blurs: whether clean pictures are blurred by given kernels (`deblur-heldout`).
    """

    name: str
    about: str
    channels: int
    quantised_input: bool
    view: Callable[[np.ndarray], np.ndarray]
    ssim: Callable[[np.ndarray, np.ndarray], float]
    blurs: bool = False

    def degrade(
        self, clean: np.ndarray, index: int, sigma: float | None = None, kernels: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """Makes the model's input from a clean picture.

        Args:
            clean: `(H, W, 3)` or `(H, W)` uint8.
            index: the picture's place in the sorted set; `deblur-heldout` takes kernel `index % len(kernels)`.
            sigma: standard deviation of the Gaussian noise in units of 8-bit values; not for `deblur-heldout`.
            kernels: blur kernels, for `deblur-heldout` only.

        Returns:
            The clean picture's shape, float64; in [0, 1] where the protocol quantises its input, else unbounded.

        Raises:
            InputError: when the protocol lacks what it needs or is given what it does not use.
        """
        self.check_arguments(sigma, kernels, paired=False)
        pixels = clean.astype(np.float64) / 255.0
        if kernels is not None:
            pixels = blur(pixels, kernels[index % len(kernels)])
        noisy = pixels + gaussian_noise(pixels.shape, DEBLUR_NOISE_SIGMA if sigma is None else sigma)
        return to_8bit(noisy) / 255.0 if self.quantised_input else noisy

    def measure(self, restored: np.ndarray, clean: np.ndarray) -> dict[str, float]:
        """PSNR in dB and SSIM of one picture.

        Args:
            restored: the shape of `clean`, float in [0, 1]. Measured as it is: outputs are quantised before (see
                `quantise`), the degraded input of `rgb` and `gray` never is.
            clean: `(H, W, 3)` or `(H, W)` uint8.
        """
        seen, target = self.view(restored * 255.0), self.view(clean.astype(np.float64))
        return {"psnr": psnr(seen, target), "ssim": self.ssim(seen, target)}

    def check_arguments(self, sigma: float | None, kernels: Sequence[np.ndarray] | None, paired: bool) -> None:
        """Whether these arguments say how the inputs come about; `paired` where the set brings degraded pictures.

        Raises:
            InputError: naming the argument that is missing or too many.
        """
        if paired:
            if self.blurs:
                raise InputError(
                    f"Protocol '{self.name}' blurs clean pictures itself, and this set brings its own lq."
                )
            if sigma is not None or kernels is not None:
                raise InputError("This set has its own degraded pictures (lq), so it takes neither sigma nor kernels.")
        elif self.blurs:
            if not kernels:
                raise InputError(f"Protocol '{self.name}' needs its blur kernels: give --kernels Levin09.mat.")
            if sigma is not None:
                raise InputError(
                    f"Protocol '{self.name}' fixes its noise at {DEBLUR_NOISE_SIGMA}, so it takes no sigma."
                )
        else:
            if kernels is not None:
                raise InputError(f"Protocol '{self.name}' takes no blur kernels; 'deblur-heldout' does.")
            if sigma is None:
                raise InputError(
                    "This set has only clean pictures: give --sigma to add noise, or a folder with 'lq' and 'gt'."
                )
            if not 0 < sigma < float("inf"):
                raise InputError(f"Sigma is a standard deviation in 8-bit values, such as 25, and not {sigma:g}.")


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        InputError: when there is none.
    """
    if name not in PROTOCOLS:
        raise InputError(f"There is no protocol {name!r}{nearest(name, PROTOCOLS)} Known: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def quantise(reconstruction: np.ndarray) -> np.ndarray:
    """A model's output as a file on disk would hold it: clamped to [0, 1] and rounded to 8 bit, still as float64."""
    return to_8bit(reconstruction) / 255.0


def gaussian_noise(shape: tuple[int, ...], sigma: float, seed: int = NOISE_SEED) -> np.ndarray:
    """Noise of a picture with values in [0, 1]: numpy's legacy generator, seeded anew for each picture.

    Args:
        shape: `(H, W)` or `(H, W, C)`; the order of the draws is that of this layout, as in KAIR.
        sigma: standard deviation in 8-bit values.
        seed: of `numpy.random.RandomState`, whose stream is that of `numpy.random.seed` and `numpy.random.normal`.
    """
    return np.random.RandomState(seed).normal(0.0, sigma / 255.0, shape)


def _all_channels(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _luma_rounded(pixels: np.ndarray) -> np.ndarray:
    # Undoes the division by 255 of quantised values exactly.
    return luma(np.rint(pixels), rounded=True)


def _luma_float(pixels: np.ndarray) -> np.ndarray:
    return luma(np.rint(pixels), rounded=False)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("y-matlab", "deraining tables: Y of uint8 rgb2ycbcr, rounded", 3, True, _luma_rounded, ssim),
        Protocol("y-float", "BasicSR: as y-matlab with Y not rounded", 3, True, _luma_float, ssim),
        Protocol("rgb", "colour denoising tables: noise neither clipped nor quantised", 3, False, _all_channels, ssim),
        Protocol("rgb-8bit", "as rgb, the degraded input clipped and rounded to 8 bit", 3, True, _all_channels, ssim),
        Protocol("gray", "gray pictures: as rgb on one channel", 1, False, _all_channels, ssim),
        Protocol("rgb-ssim3d", "GoPro and SIDD tables: SSIM with MATLAB's 3-D window", 3, True, _all_channels, ssim3d),
        Protocol(
            "deblur-heldout", "clean pictures blurred by given kernels, noise 2.55", 3, True, _all_channels, ssim, True
        ),
    )
}
