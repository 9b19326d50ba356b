# What the runner uses of TensorRT for RTX beyond what it uses of TensorRT. `make check-tensorrt-build` uses all of it
# for real.
import tensorrt

class ComputeCapability:
    SM75: ComputeCapability
    SM80: ComputeCapability
    SM86: ComputeCapability
    SM89: ComputeCapability
    SM120: ComputeCapability
    SM121: ComputeCapability

class DataType:
    name: str

class ITensor(tensorrt.ITensor):
    dtype: DataType

class IBuilderConfig(tensorrt.IBuilderConfig):
    num_compute_capabilities: int
    def set_compute_capability(self, capability: ComputeCapability, index: int) -> bool: ...

class INetworkDefinition(tensorrt.INetworkDefinition):
    num_inputs: int
    num_outputs: int
    def get_input(self, index: int) -> ITensor: ...
    def get_output(self, index: int) -> ITensor: ...

class IRuntimeCache:
    def serialize(self) -> tensorrt.IHostMemory: ...
    def deserialize(self, blob: bytes) -> bool: ...

class IRuntimeConfig:
    def create_runtime_cache(self) -> IRuntimeCache: ...
    def set_runtime_cache(self, cache: IRuntimeCache) -> bool: ...

class ICudaEngine(tensorrt.ICudaEngine):
    def create_runtime_config(self) -> IRuntimeConfig: ...
    def create_execution_context(
        self, runtime_config: IRuntimeConfig | None = None
    ) -> tensorrt.IExecutionContext | None: ...
