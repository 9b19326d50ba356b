# The part of TensorRT that the runner uses, all of it: mypy refuses what does not stand here, and
# `make check-tensorrt-api` holds what stands here against the real bindings of every version.
from collections.abc import Iterator

from typing_extensions import Buffer

__version__: str

class ILogger:
    class Severity:
        INTERNAL_ERROR: ILogger.Severity
        ERROR: ILogger.Severity
        WARNING: ILogger.Severity

    def __init__(self) -> None: ...
    def log(self, severity: ILogger.Severity, msg: str) -> None: ...

class NetworkDefinitionCreationFlag:
    EXPLICIT_BATCH: NetworkDefinitionCreationFlag
    STRONGLY_TYPED: NetworkDefinitionCreationFlag
    def __int__(self) -> int: ...

class BuilderFlag:
    FP16: BuilderFlag
    INT8: BuilderFlag
    TF32: BuilderFlag
    GPU_FALLBACK: BuilderFlag
    OBEY_PRECISION_CONSTRAINTS: BuilderFlag

class DataType:
    FLOAT: DataType
    UINT8: DataType
    INT32: DataType

class DeviceType:
    DLA: DeviceType

class LayerInformationFormat:
    JSON: LayerInformationFormat

class MemoryPoolType:
    WORKSPACE: MemoryPoolType

class ProfilingVerbosity:
    DETAILED: ProfilingVerbosity

class TensorIOMode:
    INPUT: TensorIOMode
    OUTPUT: TensorIOMode

class Dims:
    def __iter__(self) -> Iterator[int]: ...

class IProgressMonitor:
    def __init__(self) -> None: ...
    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None: ...
    def step_complete(self, phase_name: str, step: int) -> bool: ...
    def phase_finish(self, phase_name: str) -> None: ...

class IHostMemory(Buffer): ...

class ITimingCache:
    def serialize(self) -> IHostMemory: ...

class IBuilderConfig:
    profiling_verbosity: ProfilingVerbosity
    default_device_type: DeviceType
    DLA_core: int
    progress_monitor: IProgressMonitor
    def set_flag(self, flag: BuilderFlag) -> None: ...
    def clear_flag(self, flag: BuilderFlag) -> None: ...
    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None: ...
    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None: ...
    def set_timing_cache(self, cache: ITimingCache | None, ignore_mismatch: bool) -> bool: ...
    def get_timing_cache(self) -> ITimingCache: ...

class LayerType:
    ELEMENTWISE: LayerType

class ITensor:
    name: str

class ILayer:
    type: LayerType
    precision: DataType
    num_outputs: int
    def get_output(self, index: int) -> ITensor: ...
    def set_output_type(self, index: int, dtype: DataType) -> None: ...

class INetworkDefinition:
    num_layers: int
    def get_layer(self, index: int) -> ILayer: ...

class Builder:
    def __init__(self, logger: ILogger) -> None: ...
    def create_network(self, flags: int = 0) -> INetworkDefinition: ...
    def create_builder_config(self) -> IBuilderConfig: ...
    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None: ...

class ParserError:
    def __str__(self) -> str: ...

class OnnxParser:
    num_errors: int
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None: ...
    def parse_from_file(self, model: str) -> bool: ...
    def get_error(self, index: int) -> ParserError: ...

class EngineInspector:
    def get_engine_information(self, format: LayerInformationFormat) -> str: ...

class IExecutionContext:
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...

class ICudaEngine:
    num_io_tensors: int
    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_mode(self, name: str) -> TensorIOMode: ...
    def get_tensor_dtype(self, name: str) -> DataType: ...
    def get_tensor_shape(self, name: str) -> Dims: ...
    def create_execution_context(self) -> IExecutionContext | None: ...
    def create_engine_inspector(self) -> EngineInspector | None: ...

class Runtime:
    DLA_core: int
    num_DLA_cores: int  # noqa: N815
    def __init__(self, logger: ILogger) -> None: ...
    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None: ...
