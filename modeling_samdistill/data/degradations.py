"""Degradations that are put on clean pictures while training: noise, rain, motion blur.

Each is a pure function of the picture, its arguments and a random generator. To add one: a dataclass of its ranges, a
function, one line in `degrade`, and the margin it needs in `margin_of`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from ..blur_kernels import blur, read_kernels
from ..errors import InputError, nearest


@dataclass
class NoiseArguments:
    """Gaussian noise, the same in all channels.

    Attributes:
        sigma: Lowest and highest standard deviation, in levels of 0..255; drawn uniformly for each picture.
        quantised: Share of pictures that are clipped and rounded to 8 bit afterwards, as files are.
    """

    sigma: list[float] = field(default_factory=lambda: [25.0, 25.0])
    quantised: float = 0.0


@dataclass
class RainArguments:
    """Rain streaks in layers; each layer has its own length, width and opacity about a common direction.

    Attributes:
        layers: Fewest and most layers.
        angle: Lowest and highest lean of the rain, in degrees from the vertical.
        angle_spread: Standard deviation of a layer's angle about the common one, in degrees.
        length: Shortest and longest streak, in pixels.
        width: Thinnest and widest streak (standard deviation across it), in pixels.
        density: Fewest and most streaks in a square of 100 pixels a side, all layers together; drawn log-uniformly.
        opacity: Faintest and brightest streak, 1 is white.
        added: Share of pictures to which the streaks are added and clipped (as in Rain100); the others are blended by
            "screen", 1 - (1 - x)(1 - r), which keeps bright regions from burning out.
    """

    layers: list[int] = field(default_factory=lambda: [2, 5])
    angle: list[float] = field(default_factory=lambda: [-30.0, 30.0])
    angle_spread: float = 3.0
    length: list[float] = field(default_factory=lambda: [8.0, 50.0])
    width: list[float] = field(default_factory=lambda: [0.4, 1.6])
    density: list[float] = field(default_factory=lambda: [10.0, 100.0])
    opacity: list[float] = field(default_factory=lambda: [0.1, 1.0])
    added: float = 0.5


@dataclass
class BlurArguments:
    """Motion blur by a random trajectory or a given kernel, then noise, then 8 bit.

    Attributes:
        size: Side of the random kernels, in pixels, odd.
        length: Shortest and longest path of the camera, in pixels.
        kernels: A MATLAB file with kernels to use beside the random ones, or nothing.
        kernels_share: Share of pictures blurred by a kernel of that file.
        noise_sigma: Lowest and highest noise after the blur, in levels of 0..255.
        quantised: Share of pictures that are clipped and rounded to 8 bit afterwards.
    """

    size: int = 27
    length: list[float] = field(default_factory=lambda: [8.0, 40.0])
    kernels: str | None = None
    kernels_share: float = 0.5
    noise_sigma: list[float] = field(default_factory=lambda: [0.0, 5.0])
    quantised: float = 1.0


@dataclass
class DegradationArguments:
    """Which degradation, `noise`, `rain`, `blur` or `none` (for pairs), and the ranges of each."""

    kind: str = "noise"
    noise: NoiseArguments = field(default_factory=NoiseArguments)
    rain: RainArguments = field(default_factory=RainArguments)
    blur: BlurArguments = field(default_factory=BlurArguments)

    def check(self) -> None:
        """Raises `InputError` for an unknown kind."""
        if self.kind not in ("noise", "rain", "blur", "none"):
            raise InputError(
                f"degradation.kind is {self.kind!r}{nearest(self.kind, ['noise', 'rain', 'blur', 'none'])} "
                "Choose noise, rain, blur or none."
            )


def degrade(picture: np.ndarray, arguments: DegradationArguments, rng: np.random.Generator) -> np.ndarray:
    """A degraded copy of `picture`, (H, W, 3) float32 in [0, 1]; unclipped unless the arguments quantise."""
    if arguments.kind == "noise":
        return add_noise(picture, arguments.noise, rng)
    if arguments.kind == "rain":
        return add_rain(picture, arguments.rain, rng)
    if arguments.kind == "blur":
        return add_blur(picture, arguments.blur, rng)
    return picture


def margin_of(arguments: DegradationArguments) -> int:
    """Pixels around a crop that its degraded version depends on."""
    return arguments.blur.size // 2 if arguments.kind == "blur" else 0


def add_noise(picture: np.ndarray, arguments: NoiseArguments, rng: np.random.Generator) -> np.ndarray:
    sigma = _between(arguments.sigma, rng) / 255
    noisy = picture + sigma * rng.standard_normal(picture.shape, dtype=np.float32)
    return quantise(noisy) if rng.random() < arguments.quantised else noisy.astype(np.float32)


def add_rain(picture: np.ndarray, arguments: RainArguments, rng: np.random.Generator) -> np.ndarray:
    streaks = rain_streaks(picture.shape[:2], arguments, rng)[..., None]
    if rng.random() < arguments.added:
        return np.clip(picture + streaks, 0, 1).astype(np.float32)
    return (1 - (1 - picture) * (1 - streaks)).astype(np.float32)


def add_blur(picture: np.ndarray, arguments: BlurArguments, rng: np.random.Generator) -> np.ndarray:
    if arguments.kernels is not None and rng.random() < arguments.kernels_share:
        kernels = _kernels(arguments.kernels)
        kernel = kernels[rng.integers(len(kernels))]
    else:
        kernel = motion_kernel(arguments.size, _between(arguments.length, rng), rng)
    blurred = blur(picture, kernel)
    sigma = _between(arguments.noise_sigma, rng) / 255
    noisy = blurred + sigma * rng.standard_normal(picture.shape, dtype=np.float32)
    return quantise(noisy) if rng.random() < arguments.quantised else noisy.astype(np.float32)


def quantise(picture: np.ndarray) -> np.ndarray:
    """Clipped to [0, 1] and rounded to multiples of 1/255, as a file of 8 bit holds it."""
    return (np.clip(picture, 0, 1) * 255).round().astype(np.float32) / np.float32(255)


def rain_streaks(size: tuple[int, int], arguments: RainArguments, rng: np.random.Generator) -> np.ndarray:
    """A rain layer of (H, W), float32 in [0, 1]: sparse drops, each layer drawn out by one streak (ours)."""
    layers = rng.integers(arguments.layers[0], arguments.layers[1] + 1)
    angle = _between(arguments.angle, rng)
    density = np.exp(_between(np.log(arguments.density).tolist(), rng)) / 1e4
    brightest = _between(arguments.opacity, rng)
    rain = np.zeros(size, np.float32)
    for _ in range(layers):
        streak = streak_kernel(
            _between(arguments.length, rng),
            _between(arguments.width, rng),
            angle + rng.normal(0, arguments.angle_spread),
        )
        reach = streak.shape[0] // 2
        shape = (size[0] + 2 * reach, size[1] + 2 * reach)
        drops = (rng.random(shape, dtype=np.float32) < density / layers).astype(np.float32)
        drops *= rng.uniform(arguments.opacity[0], brightest) * rng.uniform(0.3, 1, shape)
        rain += fftconvolve(drops, streak, mode="valid").astype(np.float32)
    return np.clip(rain, 0, 1)


def streak_kernel(length: float, width: float, angle: float) -> np.ndarray:
    """One streak of peak 1: Gaussian across, tapered along; odd and square, lean in degrees from the vertical."""
    reach = int(np.ceil(length / 2 + 2 * width))
    grid = np.arange(-reach, reach + 1, dtype=np.float32)
    down, right = np.meshgrid(grid, grid, indexing="ij")
    lean = np.deg2rad(angle)
    along = down * np.cos(lean) + right * np.sin(lean)
    across = right * np.cos(lean) - down * np.sin(lean)
    taper = np.clip(1 - (2 * along / length) ** 2, 0, 1)
    return (np.exp(-0.5 * (across / width) ** 2) * taper).astype(np.float32)


def motion_kernel(size: int, length: float, rng: np.random.Generator) -> np.ndarray:
    """A blur kernel of (size, size), sum 1, drawn by a camera that wanders with inertia and sudden shakes.

    The idea of random trajectories is Boracchi and Foi's (IEEE TIP 2012); the walk below is ours.
    """
    steps = 200
    velocity = np.exp(1j * rng.uniform(0, 2 * np.pi))
    turn = rng.normal(0, 0.15)
    path = np.zeros(steps, complex)
    for step in range(1, steps):
        if rng.random() < 0.01:
            velocity *= np.exp(1j * rng.uniform(-np.pi, np.pi))
            turn = rng.normal(0, 0.15)
        velocity *= np.exp(1j * (turn * 0.1 + rng.normal(0, 0.08)))
        path[step] = path[step - 1] + velocity * rng.uniform(0.3, 1.7)
    path *= length / np.abs(np.diff(path)).sum()
    path -= (path.real.min() + path.real.max()) / 2 + 1j * (path.imag.min() + path.imag.max()) / 2
    extent = max(np.abs(path.real).max(), np.abs(path.imag).max())
    path *= min(1.0, (size / 2 - 1.5) / max(extent, 1e-6))
    return rasterise(path, size, sharpness=rng.uniform(0.4, 0.8))


def rasterise(path: np.ndarray, size: int, sharpness: float) -> np.ndarray:
    """Points of the complex plane, bilinear on a (size, size) grid, softened by a Gaussian, normalised to sum 1."""
    kernel = np.zeros((size, size), np.float32)
    down, right = path.imag + size // 2, path.real + size // 2
    top, left = np.floor(down).astype(int), np.floor(right).astype(int)
    for row, weight_row in ((top, 1 - (down - top)), (top + 1, down - top)):
        for column, weight_column in ((left, 1 - (right - left)), (left + 1, right - left)):
            np.add.at(kernel, (row, column), weight_row * weight_column)
    kernel = gaussian_filter(kernel, sharpness, mode="constant")
    return kernel / kernel.sum()


def _between(bounds: list[float], rng: np.random.Generator) -> float:
    return float(rng.uniform(bounds[0], bounds[-1]))


@lru_cache(maxsize=4)
def _kernels(path: str) -> list[np.ndarray]:
    return read_kernels(path)
