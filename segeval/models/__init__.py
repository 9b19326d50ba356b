"""Networks, and everything a network needs to be used right: classes, pre-processing, weights, licence."""

from segeval.models.loading import load_model, load_models
from segeval.models.network import Network
from segeval.models.segmenter import Deployable, Segmenter
from segeval.models.spec import ModelSpec, Preprocessing, WeightsFile

__all__ = [
    "Deployable",
    "ModelSpec",
    "Network",
    "Preprocessing",
    "Segmenter",
    "WeightsFile",
    "load_model",
    "load_models",
]
