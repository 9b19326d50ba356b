"""How TensorRT for RTX builds engines for GPUs that are elsewhere, and what it says of their layers.

Imported once `library.use` was told of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Sequence, cast

from segeval_runner.backends.tensorrt.builder import Builder
from segeval_runner.backends.tensorrt.inspector import UNKNOWN, counts, side_type, word
from segeval_runner.backends.tensorrt.library import trt
from segeval_runner.backends.tensorrt.listing import layers_of
from segeval_runner.errors import BackendError

if TYPE_CHECKING:
    import tensorrt_rtx as rtx

CONVOLUTIONS = ("correlation", "deconv")
"""What its list calls the layers that multiply the weights of a convolution or of a transposed one."""
FLOATS = ("fp32", "fp16")
ENDS = {"image": "UINT8", "labels": "INT32"}


class AheadBuilder(Builder):
    """Builds for GPUs of these compute capabilities, as in "8.6"; for none given, for all that it does by itself."""

    capabilities: Sequence[str] = ()

    def parsed(self, builder: trt.Builder) -> trt.INetworkDefinition:
        """See `Builder`. Raises BackendError, too, if the parser gave the ends of the network other types."""
        network = super().parsed(builder)
        ours = cast("rtx.INetworkDefinition", network)
        ends = [ours.get_input(number) for number in range(ours.num_inputs)]
        ends += [ours.get_output(number) for number in range(ours.num_outputs)]
        found = {end.name: end.dtype.name for end in ends}
        if found != ENDS:
            raise BackendError("{}: TensorRT reads its tensors as {}, not {}".format(self.job.file, found, ENDS))
        return network

    def configured(self, builder: trt.Builder) -> trt.IBuilderConfig:
        """See `Builder`."""
        config = super().configured(builder)
        ours = cast("rtx.IBuilderConfig", config)
        ours.num_compute_capabilities = len(self.capabilities)
        known = cast("Any", trt).ComputeCapability.__members__
        for number, capability in enumerate(self.capabilities):
            ours.set_compute_capability(known["SM" + capability.replace(".", "")], number)
        return config


def summary(lines: Sequence[str]) -> Dict[str, Any]:
    """What a list of layers says: how many, the types that convolutions read and write, and what is converted to int8.

    "convolutions" and "conversions" count by ``READ to WRITTEN``, as in ``int8 to fp32``.
    """
    layers = layers_of(lines)
    convolutions = [types_of(layer) for layer in layers if word(layer, "LayerType") in CONVOLUTIONS]
    others = [types_of(layer) for layer in layers if word(layer, "LayerType") not in CONVOLUTIONS]
    conversions = [each for each in others if each in ["{} to int8".format(real) for real in FLOATS]]
    return {"layers": len(layers), "convolutions": counts(convolutions), "conversions": counts(conversions)}


def types_of(layer: Dict[str, Any]) -> str:
    """The types of what a layer reads and writes first."""
    found: List[str] = [side_type(layer, side) or UNKNOWN for side in ("Inputs", "Outputs")]
    return " to ".join(found)
