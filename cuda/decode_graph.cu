/* Decode steps as graphs: what a step gives the stream to do is recorded once and launched as a whole from then on. */
#include <stdlib.h>
#include <string.h>

#include "cuda/decode.h"

#define GRAPHS 16 /* kept at once */

/* All that a recorded step has in it; what else it works on is read from the device. Without padding: keys are compared as
 * bytes. */
typedef struct graph_key {
    decode_memory memory;
    decode_tables tables;
    decode_pack pack;
    wz_decode_size size;
    const void *owner, *scratch, *widened;
} graph_key;

typedef struct decode_graph {
    graph_key key;
    cudaGraphExec_t exec; /* NULL: run once, not yet recorded */
    uint64_t used;
} decode_graph;

struct decode_graphs {
    decode_graph each[GRAPHS];
    uint64_t clock;
};

static void make_key(const cuda_backend *cuda, const wz_decode_size *size, const void *owner, graph_key *key)
{
    key->memory = cuda->decode->memory;
    key->tables = cuda->decode->tables;
    key->pack = cuda->decode->pack;
    key->size = *size;
    key->owner = owner;
    key->scratch = cuda->scratch.data;
    key->widened = cuda->widened.data;
}

/* The device may be busy with it. */
static void forget(cuda_backend *cuda, decode_graph *graph)
{
    if (graph->exec != NULL) {
        CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), "a recorded decode step");
        CUDA_CHECK(cuda, cudaGraphExecDestroy(graph->exec), "a recorded decode step");
    }
    *graph = decode_graph{};
}

void decode_forget(wz_backend *backend, const void *owner)
{
    cuda_backend *cuda = cuda_of(backend);
    const cuda_decode *decode = cuda->decode;
    for (int i = 0; decode != NULL && decode->graphs != NULL && i < GRAPHS; i++)
        if (decode->graphs->each[i].key.owner == owner)
            forget(cuda, &decode->graphs->each[i]);
}

void decode_drop_graphs(cuda_backend *cuda)
{
    cuda_decode *decode = cuda->decode;
    for (int i = 0; decode->graphs != NULL && i < GRAPHS; i++)
        forget(cuda, &decode->graphs->each[i]);
    free(decode->graphs);
    decode->graphs = NULL;
}

/* The graph of this key, or else the place of the one used longest ago, emptied. */
static decode_graph *find(cuda_backend *cuda, const graph_key *key, bool *known)
{
    decode_graphs *graphs = cuda->decode->graphs;
    decode_graph *oldest = &graphs->each[0];
    *known = true;
    for (int i = 0; i < GRAPHS; i++) {
        decode_graph *graph = &graphs->each[i];
        if (graph->used > 0 && memcmp((const void *)&graph->key, (const void *)key, sizeof *key) == 0)
            return graph;
        oldest = graph->used < oldest->used ? graph : oldest;
    }
    *known = false;
    forget(cuda, oldest);
    (void)memcpy((void *)&oldest->key, (const void *)key, sizeof *key);
    return oldest;
}

/* Records the body, which is not run by that. */
static bool record(cuda_backend *cuda, cudaGraphExec_t *exec, void (*body)(void *context), void *context)
{
    cudaGraph_t graph = NULL;
    if (!CUDA_CHECK(cuda, cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal),
                    "recording a decode step"))
        return false;
    cuda->recording = true;
    body(context);
    cuda->recording = false;
    bool made = CUDA_CHECK(cuda, cudaStreamEndCapture(cuda->stream, &graph), "recording a decode step") &&
                cuda->failed == WZ_OK &&
                CUDA_CHECK(cuda, cudaGraphInstantiateWithFlags(exec, graph, 0), "recording a decode step");
    if (graph != NULL)
        made = CUDA_CHECK(cuda, cudaGraphDestroy(graph), "recording a decode step") && made;
    return made;
}

/* The first time a step is run as it is: it may allocate, and algorithms are chosen then. */
void decode_run(wz_backend *backend, const wz_decode_size *size, const void *owner,
                void (*body)(void *context), void *context)
{
    cuda_backend *cuda = cuda_of(backend);
    cuda_decode *decode = cuda->decode;
    void *block = NULL;
    wz_error err = {{0}};
    bool known = false;
    if (decode->graphs == NULL) {
        const wz_status status = wz_alloc(&block, 1, sizeof(decode_graphs), "graphs of decode steps", &err);
        if (status != WZ_OK) {
            cuda_fail(cuda, status, &err);
            return;
        }
        decode->graphs = (decode_graphs *)block;
    }
    graph_key key;
    make_key(cuda, size, owner, &key);
    decode_graph *graph = find(cuda, &key, &known);
    graph->used = ++decode->graphs->clock;
    if (!known)
        body(context);
    else if (graph->exec != NULL || record(cuda, &graph->exec, body, context))
        CUDA_CHECK(cuda, cudaGraphLaunch(graph->exec, cuda->stream), "decode step");
}
