"""Networks, with their classes, pre-processing, weights and licences."""

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
