"""PSNR of restored pictures by a named protocol, as a module of the `evaluate` library."""

from modeling_samdistill.evaluation import picture_metric


# The base is not imported by its name: `evaluate` takes the first metric class that it finds in this file.
class Psnr(picture_metric.PictureMetric):
    """`compute(predictions=..., references=..., protocol="rgb")` gives `{"psnr": dB, "per_picture": [...]}`."""

    metric = "psnr"
    description = "Peak signal-to-noise ratio in dB by a named protocol, the mean of the pictures' values."
