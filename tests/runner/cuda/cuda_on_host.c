/* Both libraries in one, over one and the same device: what one of them made can be used through the other. */
#include "cudart_on_host.c"
#include "libcuda_on_host.c"
