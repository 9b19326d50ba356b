/* libcudart on the device of device.h: the functions that segeval_runner.cuda.library calls.

   With -DNVIDIA_HEADERS the compiler holds every prototype against the one of NVIDIA's header. */
#ifdef NVIDIA_HEADERS
#include <cuda_runtime_api.h>
#else
typedef int cudaError_t;
typedef void *cudaStream_t, *cudaEvent_t, *cudaGraph_t, *cudaGraphExec_t;
struct cudaDeviceProp { char name[256], rest[768]; };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76
};
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum { cudaStreamNonBlocking = 1 };
#endif
#include "device.h"

static int latest, failing_code, failing_call;
static const char *failing;

/* Make the nth call of a function from now on fail with a code; the first is 1. The name must stay where it is. */
void fail_on(const char *function, int nth, int code) {
    failing = function;
    failing_call = nth;
    failing_code = code;
}

static int is_failing(const char *function) {
    return failing && !strcmp(function, failing) && --failing_call == 0;
}

static cudaError_t end(int code) {
    if (code) latest = code;
    return code;
}
#define END(code) return end(code)
#define UNLESS_FAILING if (is_failing(__func__)) END(failing_code)

cudaError_t cudaGetLastError(void) {
    int code = latest;
    latest = 0;
    return code;
}

const char *cudaGetErrorString(cudaError_t code) {
    switch ((int)code) {
    case BAD_VALUE: return "invalid argument";
    case NO_MEMORY: return "out of memory";
    case 100: return "no CUDA-capable device is detected";
    case BAD_HANDLE: return "invalid resource handle";
    case NOT_READY: return "device not ready";
    case UNSUPPORTED: return "operation not permitted when stream is capturing";
    case INVALIDATED: return "operation failed due to a previous error during capture";
    default: return "unrecognized error code";
    }
}

cudaError_t cudaGetDeviceCount(int *count) {
    UNLESS_FAILING;
    *count = 1;
    END(FINE);
}

cudaError_t cudaSetDevice(int device) {
    UNLESS_FAILING;
    END(device ? 101 : FINE);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    UNLESS_FAILING;
    memset(properties, 'x', sizeof *properties);
    strcpy(properties->name, "Host, in place of a device");
    END(device ? 101 : FINE);
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    UNLESS_FAILING;
    switch ((int)attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 7; break;
    case cudaDevAttrMultiProcessorCount: *value = MULTIPROCESSORS; break;
    default: *value = -1;
    }
    END(device ? 101 : FINE);
}

cudaError_t cudaDriverGetVersion(int *version) {
    UNLESS_FAILING;
    *version = DRIVER;
    END(FINE);
}

cudaError_t cudaMalloc(void **pointer, size_t size) {
    UNLESS_FAILING;
    if (size > LIMIT) END(NO_MEMORY);
    *pointer = hold(DEVICE_MEMORY, size);
    END(FINE);
}

cudaError_t cudaFree(void *pointer) {
    UNLESS_FAILING;
    END(pointer ? release(DEVICE_MEMORY, pointer) : FINE);
}

cudaError_t cudaHostAlloc(void **pointer, size_t size, unsigned int flags) {
    UNLESS_FAILING;
    if (size > LIMIT) END(NO_MEMORY);
    if (flags) END(BAD_VALUE);
    *pointer = hold(HOST_MEMORY, size);
    END(FINE);
}

cudaError_t cudaFreeHost(void *pointer) {
    UNLESS_FAILING;
    END(release(HOST_MEMORY, pointer));
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream) {
    UNLESS_FAILING;
    if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToHost) END(BAD_VALUE);
    END(copy(to, from, size, kind == cudaMemcpyHostToDevice, (struct stream *)stream));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags) {
    UNLESS_FAILING;
    if (flags != cudaStreamNonBlocking) END(BAD_VALUE);
    *stream = hold(STREAM, sizeof(struct stream));
    END(FINE);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    UNLESS_FAILING;
    END(drain((struct stream *)stream));
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    UNLESS_FAILING;
    END(release(STREAM, stream));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags) {
    UNLESS_FAILING;
    if (flags) END(BAD_VALUE);
    *event = hold(EVENT, sizeof(struct event));
    END(FINE);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    UNLESS_FAILING;
    END(record((struct event *)event, (struct stream *)stream));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    UNLESS_FAILING;
    END(await((struct event *)event));
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t stop) {
    UNLESS_FAILING;
    END(elapsed(ms, (struct event *)start, (struct event *)stop));
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    UNLESS_FAILING;
    END(release(EVENT, event));
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    UNLESS_FAILING;
    struct stream *into = (struct stream *)stream;
    if (!is_held(STREAM, into, 1)) END(BAD_HANDLE);
    if (into->capture || mode != cudaStreamCaptureModeThreadLocal) END(BAD_VALUE);
    into->capture = hold(GRAPH, sizeof(struct list));
    into->spoilt = 0;
    END(FINE);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    UNLESS_FAILING;
    struct stream *from = (struct stream *)stream;
    if (!is_held(STREAM, from, 1) || !from->capture) END(BAD_VALUE);
    struct list *captured = from->capture;
    from->capture = NULL;
    *graph = NULL;
    if (from->spoilt) {
        release(GRAPH, captured);
        END(INVALIDATED);
    }
    *graph = (cudaGraph_t)captured;
    END(FINE);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags) {
    UNLESS_FAILING;
    if (!is_held(GRAPH, graph, 1) || flags) END(BAD_VALUE);
    *executable = hold(EXECUTABLE, sizeof(struct list));
    memcpy(*executable, graph, sizeof(struct list));
    END(FINE);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    UNLESS_FAILING;
    END(release(GRAPH, graph));
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    UNLESS_FAILING;
    struct list *list = (struct list *)executable;
    int code = is_held(EXECUTABLE, list, 1) ? FINE : BAD_HANDLE;
    for (int i = 0; !code && i < list->count; i++) code = enqueue((struct stream *)stream, list->items[i]);
    END(code);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    UNLESS_FAILING;
    END(release(EXECUTABLE, executable));
}
