/* libcuda, CUDA's driver library, on the device of device.h: the functions that pycuda calls for segeval_runner.

   With -DNVIDIA_HEADERS the compiler holds every prototype against the one of NVIDIA's header. */
#ifdef NVIDIA_HEADERS
#include <cuda.h>
#else
typedef int CUresult, CUdevice, CUdevice_attribute;
typedef unsigned long long CUdeviceptr;
typedef void *CUcontext, *CUstream, *CUevent;
enum { CU_STREAM_NON_BLOCKING = 1, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16 };
#endif
#include "device.h"

enum { NO_DEVICE = 100, BAD_CONTEXT = 201, NOT_INITIALIZED = 3, DEEPEST = 16 };

static int initialized, retained, depth, visible = 1;
static CUcontext stack[DEEPEST];
#define PRIMARY ((CUcontext)(uintptr_t)0x1234)

/* How often the primary context is retained; how many contexts lie on the stack. */
int device_contexts(void) { return retained; }
int device_depth(void) { return depth; }

/* Hide the device, or show it again. */
void show_device(int shown) { visible = shown; }

#define NEEDS_CONTEXT                                                    \
    do {                                                                 \
        if (!depth || !stack[depth - 1] || !retained) return BAD_CONTEXT; \
    } while (0)

CUresult cuGetErrorString(CUresult code, const char **text) {
    switch ((int)code) {
    case BAD_VALUE: *text = "invalid argument"; break;
    case NO_MEMORY: *text = "out of memory"; break;
    case NO_DEVICE: *text = "no CUDA-capable device is detected"; break;
    case BAD_CONTEXT: *text = "invalid device context"; break;
    case BAD_HANDLE: *text = "invalid resource handle"; break;
    case NOT_READY: *text = "device not ready"; break;
    default: *text = "unknown error";
    }
    return FINE;
}

CUresult cuInit(unsigned int flags) {
    if (!visible) return NO_DEVICE;
    initialized = 1;
    return flags ? BAD_VALUE : FINE;
}

CUresult cuDeviceGet(CUdevice *device, int number) {
    if (!initialized) return NOT_INITIALIZED;
    *device = number;
    return number ? BAD_VALUE : FINE;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    strncpy(name, "Host, in place of a device", size);
    return device ? BAD_VALUE : FINE;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
    *major = 8, *minor = 7;
    return device ? BAD_VALUE : FINE;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    *value = attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT ? MULTIPROCESSORS : -1;
    return device ? BAD_VALUE : FINE;
}

CUresult cuDriverGetVersion(int *version) {
    *version = DRIVER;
    return FINE;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    *context = PRIMARY;
    retained++;
    return device ? BAD_VALUE : FINE;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    if (!retained) return BAD_CONTEXT;
    retained--;
    return device ? BAD_VALUE : FINE;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    if (depth == DEEPEST || context != PRIMARY) return BAD_VALUE;
    stack[depth++] = context;
    return FINE;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    if (!depth) return BAD_CONTEXT;
    *context = stack[--depth];
    return FINE;
}

CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t size) {
    NEEDS_CONTEXT;
    if (size > LIMIT) return NO_MEMORY;
    *pointer = (CUdeviceptr)(uintptr_t)hold(DEVICE_MEMORY, size);
    return FINE;
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
    NEEDS_CONTEXT;
    return release(DEVICE_MEMORY, (void *)(uintptr_t)pointer);
}

CUresult cuMemHostAlloc(void **pointer, size_t size, unsigned int flags) {
    NEEDS_CONTEXT;
    if (size > LIMIT) return NO_MEMORY;
    *pointer = hold(HOST_MEMORY, size);
    return flags ? BAD_VALUE : FINE;
}

CUresult cuMemFreeHost(void *pointer) {
    NEEDS_CONTEXT;
    return release(HOST_MEMORY, pointer);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    NEEDS_CONTEXT;
    return copy((void *)(uintptr_t)to, from, size, 1, (struct stream *)stream);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    NEEDS_CONTEXT;
    return copy(to, (const void *)(uintptr_t)from, size, 0, (struct stream *)stream);
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags) {
    NEEDS_CONTEXT;
    if (flags != CU_STREAM_NON_BLOCKING) return BAD_VALUE;
    *stream = hold(STREAM, sizeof(struct stream));
    return FINE;
}

CUresult cuStreamSynchronize(CUstream stream) {
    NEEDS_CONTEXT;
    return drain((struct stream *)stream);
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    NEEDS_CONTEXT;
    return release(STREAM, stream);
}

CUresult cuEventCreate(CUevent *event, unsigned int flags) {
    NEEDS_CONTEXT;
    *event = hold(EVENT, sizeof(struct event));
    return flags ? BAD_VALUE : FINE;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    NEEDS_CONTEXT;
    return record((struct event *)event, (struct stream *)stream);
}

CUresult cuEventSynchronize(CUevent event) {
    NEEDS_CONTEXT;
    return await((struct event *)event);
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) {
    NEEDS_CONTEXT;
    return elapsed(ms, (struct event *)start, (struct event *)end);
}

CUresult cuEventDestroy_v2(CUevent event) {
    NEEDS_CONTEXT;
    return release(EVENT, event);
}
