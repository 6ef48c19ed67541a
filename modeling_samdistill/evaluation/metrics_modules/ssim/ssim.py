"""SSIM of restored pictures by a named protocol, as a module of the `evaluate` library."""

from modeling_samdistill.evaluation import picture_metric


# The base is not imported by its name: `evaluate` takes the first metric class that it finds in this file.
class Ssim(picture_metric.PictureMetric):
    """`compute(predictions=..., references=..., protocol="rgb")` gives `{"ssim": mean, "per_picture": [...]}`."""

    metric = "ssim"
    description = "Structural similarity (Wang et al. 2004) by a named protocol, the mean of the pictures' values."
