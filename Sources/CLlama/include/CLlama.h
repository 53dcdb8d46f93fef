// What this program asks of llama.cpp: a table of functions that a bridge implements.
//
// The bridge is compiled against the headers of the very llama.cpp that is under test (`bridge.c`, in Engines), since
// the layout of its structures changes from one version to the next. This header does not change with them: the
// program opens the compiled bridge when it runs, and sees this table only. It calls the public C API and nothing else.

#ifndef CLLAMA_H
#define CLLAMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Of this table: a bridge of another version is compiled anew.
#define LLAMA_BRIDGE_VERSION 8
#define LLAMA_BRIDGE_ENTRY "llama_bridge_table"

// A ggml device.
struct llama_bridge_device {
    const char *name;
    const char *description;
    // Of the registry that it comes from: `CPU`, `Vulkan`, `CUDA`.
    const char *backend;
    // Whether layers are offloaded to it: GPUs, and accelerators with memory of their own.
    bool is_offload_target;
};

enum llama_bridge_kind { LLAMA_BRIDGE_INTEGER, LLAMA_BRIDGE_REAL, LLAMA_BRIDGE_BOOLEAN };

// The value that a key of metadata has, whatever the file says.
struct llama_bridge_override {
    const char *key;
    enum llama_bridge_kind kind;
    // Of a boolean 0 or 1.
    int64_t integer;
    double real;
};

enum llama_bridge_split { LLAMA_BRIDGE_SPLIT_LAYERS, LLAMA_BRIDGE_SPLIT_ROWS, LLAMA_BRIDGE_SPLIT_TENSORS };

// Where the tensors of a model go, and how it is loaded.
struct llama_bridge_placement {
    // Indices of the devices that layers are offloaded to, in their order.
    const int *devices;
    int device_count;
    // Of the last layers, the output counted as one.
    int offloaded_layers;
    enum llama_bridge_split split;
    // The part of each device of `devices`.
    const float *parts;
    // Tensors whose name matches a regular expression, and the index of their device.
    const char *const *patterns;
    const int *pattern_devices;
    int pattern_count;
    bool repacked, checks_tensors;
    // A file is `mapped`, `read` or read past the system's cache, `direct`.
    const char *reading;
    const struct llama_bridge_override *overrides;
    int override_count;
};

enum llama_bridge_switch { LLAMA_BRIDGE_OFF, LLAMA_BRIDGE_ON, LLAMA_BRIDGE_AUTO };

struct llama_bridge_session {
    uint32_t context, batch, micro_batch, sequences;
    // For one token, and for several.
    int threads, batch_threads;
    // By ggml's own names: `f32`, `f16`, `q8_0`.
    const char *key_cache_type, *value_cache_type;
    enum llama_bridge_switch flash_attention;
    bool embeddings, unified, whole_window_caches, offloads_caches, offloads_ops;
    // Of the rotation's frequencies; 0: as the file says.
    float rotation_base, rotation_scale;
    // llama.cpp's number of it; below 0: as the file says.
    int pooling;
    // Of the model, as `load_adapter` gives them, and how often each is added.
    void *const *adapters;
    const float *adapter_scales;
    int adapter_count;
    // A row for each block but the first, and the blocks after which theirs is added; NULL: none is.
    const float *control_vector;
    size_t control_vector_length;
    int control_vector_width, control_vector_first, control_vector_last;
};

// Tokens; `sequences` is a set of bits, `wants_output` one byte a token. Where there are embeddings, a row a token,
// they are in place of ids, or beside them in a model that has states.
struct llama_bridge_batch {
    int count;
    const int32_t *ids, *positions;
    const float *embeddings;
    // Of a row.
    int embedding_width;
    const uint64_t *sequences;
    const bool *wants_output;
    // llama.cpp's decision order of each, of a prompt that is decided on; NULL where none has any.
    const int32_t *orders;
};

// One text that is learned, as long as the context: what is to follow each of its tokens, and by how many steps of which
// optimiser, AdamW or else plain descent.
struct llama_bridge_training {
    int count;
    const int32_t *ids, *targets;
    int steps;
    bool is_adamw;
    float rate, first_decay, second_decay, epsilon, weight_decay;
};

typedef void (*llama_bridge_log)(const char *text);

struct llama_bridge {
    int version;

    // Where the headers are that it was compiled against, and of what version, as `LLAMA_BRIDGE_HEADERS` says.
    const char *headers;
    // Whether the library's structures are those of the headers; before anything else. If they are not, the first
    // difference is written to `difference`, a buffer of `size`.
    bool (*fits_headers)(char *difference, size_t size);
    // What this version's models and contexts can be asked for: names of `Setting`, the last NULL.
    const char *const *settings;
    // What its contexts can be adapted by: names of `Adapter.Kind`, the last NULL.
    const char *const *adapters;

    // Begins: backends are loaded, those that are libraries from `library_folder`; errors go to `log`.
    void (*start)(const char *library_folder, llama_bridge_log log);
    const char *(*ggml_version)(void);
    const char *(*ggml_commit)(void);

    // Backends are there that have no device: these are told by their names.
    int (*backend_count)(void);
    const char *(*backend)(int index, int *device_count);
    int (*device_count)(void);
    void (*device)(int index, struct llama_bridge_device *result);

    // All of these: NULL where the model is refused; the log says why.
    //
    // By `llama_model_init_from_user`, from a whole GGUF file in memory. It asks for optional tensors too. Those that
    // the file lacks get elements that change nothing; the first for which there are none is named in `missing`, a
    // buffer of `missing_size`, and the model is another one then.
    void *(*load_memory)(
        const void *file, size_t size, const struct llama_bridge_placement *placement, char *missing,
        size_t missing_size);
    void *(*load_file)(const char *path, const struct llama_bridge_placement *placement);
    // From the files into which it is split, in their order.
    void *(*load_parts)(const char *const *paths, int count, const struct llama_bridge_placement *placement);
    // Without its tensors; some text becomes tokens, and every token text. False: the file is refused.
    bool (*read_vocabulary)(const char *path);
    // Without its tensors: only its tokenizer can be used, if it has one.
    void *(*load_vocabulary)(const char *path);
    bool (*has_tokenizer)(const void *model);
    // The number of a text's tokens, whose ids go to `ids`, of room for `size`; where there are more, it is negative,
    // or INT32_MIN if no integer says it.
    int (*tokenize)(
        const void *model, const char *text, int length, bool add_special, bool parse_special, int32_t *ids, int size);
    void (*free_model)(void *model);
    // From a GGUF file; it goes with the model.
    void *(*load_adapter)(void *model, const char *path);
    void (*save_model)(void *model, const char *path);
    int (*layer_count)(const void *model);
    bool (*has_encoder)(const void *model);
    // Rather than embeddings.
    bool (*has_logits)(const void *model);
    // Whether a batch is computed by itself, and nothing kept for the next: its tokens see each other, or are pooled.
    bool (*is_of_whole_batches)(const void *model);
    // Of what tokens can be given as, or with; of the context that a draft takes, that of one of its target's blocks.
    int (*embedding_width)(const void *model);
    // Whether a state is beside each token: it drafts another model's tokens.
    bool (*has_states)(const void *model);

    // Whether tokens can have decision orders.
    bool (*has_orders)(void);

    // NULL where it is refused; the log says why.
    void *(*open)(void *model, const struct llama_bridge_session *session);
    void (*close)(void *context);
    // llama.cpp's own status: 0 all is well.
    int (*encode)(void *context, const struct llama_bridge_batch *batch);
    int (*decode)(void *context, const struct llama_bridge_batch *batch);
    // All of these: NULL where there are none; `width` is set.
    //
    // Of the token `index` of the batch; where that is negative, of an output, counted from the last, which is -1.
    const float *(*logits)(void *context, int index, int *width);
    const float *(*embeddings)(void *context, int index, int *width);
    // Of all outputs, one row after the other.
    const float *(*all_logits)(void *context, int *width);
    const float *(*all_embeddings)(void *context, int *width);
    const float *(*pooled)(void *context, int sequence, int *width);
    bool (*is_pooled)(void *context);

    // Whether models can be trained.
    bool (*trains)(void);
    // Changes the weights of the context's model, whose file is not mapped; the loss before each step.
    void (*train)(void *context, void *model, const struct llama_bridge_training *training, double *losses);

    // Of what a sequence holds: -1 where that is nothing. False: there is no memory.
    bool (*extent)(void *context, int sequence, int *least, int *greatest);
    bool (*can_shift)(void *context);
    // Positions from ..< to; -1: without an end. A sequence -1 is all.
    bool (*remove)(void *context, int sequence, int from, int to);
    void (*copy)(void *context, int source, int destination, int from, int to);
    void (*keep)(void *context, int sequence);
    void (*shift)(void *context, int sequence, int from, int to, int delta);
    void (*divide)(void *context, int sequence, int from, int to, int divisor);
    void (*clear)(void *context);

    // Of all sequences where `sequence` is negative.
    size_t (*state_size)(void *context, int sequence);
    size_t (*save_state)(void *context, int sequence, uint8_t *bytes, size_t size);
    size_t (*restore_state)(void *context, int sequence, const uint8_t *bytes, size_t size);
};

#endif
