"""Blur kernels from MATLAB files, and the blur itself: the same for training and for `deblur-heldout`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .errors import InputError


def read_kernels(path: str | Path) -> list[np.ndarray]:
    """The kernels of a `.mat` file's cell array `kernels`, in its order and in MATLAB's orientation.

    Both MATLAB formats are read: up to version 7 by scipy, 7.3 (which is HDF5, and stores arrays transposed) by h5py.

    Returns:
        `(h, w)` float64 arrays, each of sum 1.

    Raises:
        FileNotFoundError: when there is no such file.
        InputError: when it holds no cell array `kernels`, or one of them is no kernel.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no kernel file {path}.")
    try:
        kernels = _read_version_7_3(path) if _is_hdf5(path) else _read_up_to_version_7(path)
    except ImportError as error:
        raise InputError(f"Reading {path} needs {error.name}: pip install 'samdistill[train]'.") from error
    except Exception as error:  # both readers raise many types for files that are no MATLAB files
        raise InputError(f"{path} is no MATLAB file with a cell array 'kernels': {error}") from error
    for number, kernel in enumerate(kernels, start=1):
        if kernel.ndim != 2 or not np.isfinite(kernel).all() or kernel.min() < 0 or kernel.sum() <= 0:
            raise InputError(
                f"Kernel {number} of {path} is no blur kernel: two sides, none negative, sum above 0 expected."
            )
    if not kernels:
        raise InputError(f"{path} holds no kernels.")
    return [kernel / kernel.sum() for kernel in kernels]


def blur(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolution (the kernel is turned by 180 degrees, no correlation) of each channel, the size kept.

    Borders are reflected with the edge pixel repeated (d c b a | a b c d | d c b a), which is 'reflect' in scipy and
    'symmetric' in numpy and MATLAB. The kernel's centre is pixel `side // 2`.

    Args:
        pixels: `(H, W)` or `(H, W, C)` float; the result has its precision.
        kernel: `(h, w)`, none negative, not all zero; normalised to sum 1.
    """
    from scipy.signal import fftconvolve

    weights = (kernel / kernel.sum()).astype(pixels.dtype)
    before = [(side - 1) // 2 for side in kernel.shape]
    after = [side // 2 for side in kernel.shape]
    # The turned kernel reaches as far before a pixel as it lies after its own centre.
    padding = list(zip(before, after)) + [(0, 0)] * (pixels.ndim - 2)
    padded = np.pad(pixels, padding, mode="symmetric")
    weights = weights.reshape(*kernel.shape, *[1] * (pixels.ndim - 2))
    return fftconvolve(padded, weights, mode="valid", axes=(0, 1)).astype(pixels.dtype)


def _is_hdf5(path: Path) -> bool:
    # MATLAB puts a header of 512 bytes before the HDF5 signature.
    with path.open("rb") as file:
        head = file.read(520)
    return b"\x89HDF" in (head[:4], head[512:516])


def _read_version_7_3(path: Path) -> list[np.ndarray]:
    import h5py

    with h5py.File(path, "r") as file:
        return [np.asarray(file[reference], dtype=np.float64).T for reference in np.asarray(file["kernels"]).ravel()]


def _read_up_to_version_7(path: Path) -> list[np.ndarray]:
    from scipy.io import loadmat

    return [np.asarray(kernel, dtype=np.float64) for kernel in loadmat(path)["kernels"].ravel(order="F")]
