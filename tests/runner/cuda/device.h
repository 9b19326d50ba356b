/* A device made of the host's memory, for the libraries of this folder.

   Work that is queued in a stream is not done before somebody waits for the stream or for an event of it: what forgets
   to wait sees stale bytes. Addresses and handles that nobody was given are refused, and everything that is held can be
   counted. One thread only. */
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FINE = 0, BAD_VALUE = 1, NO_MEMORY = 2, BAD_HANDLE = 400, NOT_READY = 600, UNSUPPORTED = 900, INVALIDATED = 901 };
enum { DEVICE_MEMORY = 'd', HOST_MEMORY = 'h', STREAM = 's', EVENT = 'e', GRAPH = 'g', EXECUTABLE = 'x' };

#define LIMIT ((size_t)1 << 30)
#define MOST 4096
#define MULTIPROCESSORS 14
#define DRIVER 12060
#define LONGEST 1024

struct held { void *pointer; size_t size; int kind; };
static struct held table[MOST];

static void *hold(int kind, size_t size) {
    for (int i = 0; i < MOST; i++)
        if (!table[i].pointer) {
            table[i] = (struct held){malloc(size), size, kind};
            memset(table[i].pointer, kind == DEVICE_MEMORY || kind == HOST_MEMORY ? 0xAA : 0, size);
            return table[i].pointer;
        }
    abort();
}

static int is_held(int kind, const void *pointer, size_t size) {
    for (int i = 0; i < MOST; i++) {
        const char *begin = table[i].pointer, *wanted = pointer;
        if (begin && table[i].kind == kind && wanted >= begin && wanted + size <= begin + table[i].size) return 1;
    }
    return 0;
}

static int release(int kind, void *pointer) {
    for (int i = 0; i < MOST; i++)
        if (table[i].pointer && table[i].pointer == pointer && table[i].kind == kind) {
            free(pointer);
            table[i].pointer = NULL;
            return FINE;
        }
    return kind == DEVICE_MEMORY || kind == HOST_MEMORY ? BAD_VALUE : BAD_HANDLE;
}

/* How many things of a kind are held. */
int device_held(int kind) {
    int count = 0;
    for (int i = 0; i < MOST; i++) count += table[i].pointer && table[i].kind == kind;
    return count;
}

struct event { double stamp; int recorded, pending; struct stream *stream; };
struct work { void *to; const void *from; size_t size; struct event *event; };
struct list { int count; struct work items[LONGEST]; };
struct stream { struct list queue; struct list *capture; int spoilt; };

static int losing;

/* Do no copies, or do them again. */
void lose_copies(int whether) { losing = whether; }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

static int drain(struct stream *stream) {
    if (!is_held(STREAM, stream, 1)) return BAD_HANDLE;
    if (stream->capture) {
        stream->spoilt = 1;
        return UNSUPPORTED;
    }
    for (int i = 0; i < stream->queue.count; i++) {
        struct work *work = &stream->queue.items[i];
        if (work->event) work->event->stamp = now(), work->event->pending = 0;
        else if (!losing) memcpy(work->to, work->from, work->size);
    }
    stream->queue.count = 0;
    return FINE;
}

static int enqueue(struct stream *stream, struct work work) {
    if (!is_held(STREAM, stream, 1)) return BAD_HANDLE;
    struct list *list = stream->capture ? stream->capture : &stream->queue;
    if (list->count == LONGEST) return NO_MEMORY;
    list->items[list->count++] = work;
    return FINE;
}

static int copy(void *to, const void *from, size_t size, int to_device, struct stream *stream) {
    if (!is_held(DEVICE_MEMORY, to_device ? to : from, size)) return BAD_VALUE;
    return enqueue(stream, (struct work){to, from, size, NULL});
}

static int record(struct event *event, struct stream *stream) {
    if (!is_held(EVENT, event, 1)) return BAD_HANDLE;
    event->recorded = event->pending = 1;
    event->stream = stream;
    return enqueue(stream, (struct work){NULL, NULL, 0, event});
}

static int await(struct event *event) {
    if (!is_held(EVENT, event, 1)) return BAD_HANDLE;
    return event->pending ? drain(event->stream) : FINE;
}

static int elapsed(float *ms, struct event *start, struct event *end) {
    if (!is_held(EVENT, start, 1) || !is_held(EVENT, end, 1) || !start->recorded || !end->recorded) return BAD_HANDLE;
    if (start->pending || end->pending) return NOT_READY;
    *ms = (float)(end->stamp - start->stamp);
    return FINE;
}
