"""Packaging of samdistill; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "modeling_samdistill/__init__.py").read_text(encoding="utf-8"))[1]

TRAIN = [
    "accelerate>=1.13",
    "datasets>=4.0",
    "evaluate>=0.4.6",
    "h5py>=3.12",
    "omegaconf>=2.3",
    "scipy>=1.13",
    "tensorboard>=2.18",
    "timm>=1.0.20",
]
WEB = ["gradio>=6.0"]
EXPORT = ["onnx>=1.19", "onnxscript>=0.5", "onnxruntime>=1.23", "openvino>=2025.3"]
TOOLS = [
    "scikit-image>=0.25",
    "pytest>=8.3",
    "pytest-xdist>=3.6",
    "ruff==0.17.6",
    "mypy==2.4.1",
    "types-PyYAML",
    "build>=1.2",
]

setup(
    name="samdistill",
    version=VERSION,
    description="Image restoration networks that learn semantic priors from the Segment Anything Model",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["modeling_samdistill*"]), "modeling_samdistill.bundled"],
    package_dir={"modeling_samdistill.bundled": "model_cards"},
    package_data={
        "modeling_samdistill": ["py.typed"],
        "modeling_samdistill.bundled": ["*/*"],
        "modeling_samdistill.evaluation": ["metrics_modules/*/*"],
    },
    install_requires=[
        "torch>=2.11",
        "torchvision>=0.26",
        "transformers>=5.17",
        "huggingface-hub>=1.0",
        "safetensors>=0.5",
        "numpy>=2.0",
        "pillow>=11.0",
        "tifffile>=2025.1.10",
        "typer>=0.15",
        "tqdm>=4.66",
        "pyyaml>=6.0",
    ],
    extras_require={
        "train": TRAIN,
        "web": WEB,
        "export": EXPORT,
        "dev": [*TRAIN, *WEB, *EXPORT, *TOOLS],
    },
    entry_points={"console_scripts": ["samdistill=modeling_samdistill.commands:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
)
