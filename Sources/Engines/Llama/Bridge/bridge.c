// The bridge between gguf-fuzz and llama.cpp: the functions of CLlama.h, by llama.cpp's public C API.
//
// gguf-fuzz compiles this file against the headers of the llama.cpp under test when it first meets it.

#include "CLlama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-backend.h"
#include "ggml.h"
#include "gguf.h"
#include "llama.h"

// Settings
//
// What a version lacks the bridge does not offer. `LLAMA_HAS_…` is defined where the headers have the word.

static const char *const settings[] = {
    "repackedWeights", "checksTensors", "valueCacheType", "flashAttention", "unifiedCache", "wholeWindowCaches",
    "offloadsCaches",  "offloadsOps",   "batchRoom",      "threads",        "batchThreads", "outputAccess",
    "overriddenKey",   "givenRotation", "givenPooling",
#ifdef LLAMA_HAS_llama_model_load_from_splits
    "parts",
#endif
#ifdef LLAMA_HAS_LLAMA_LOAD_MODE_DIRECT_IO
    "reading",
#endif
    NULL,
};

// A function that loads them without one that sets them is of no use.
#if defined(LLAMA_HAS_llama_set_adapters_lora) || defined(LLAMA_HAS_llama_set_adapter_lora)
#define HAS_LORA
#endif
#if defined(LLAMA_HAS_llama_set_adapter_cvec) || defined(LLAMA_HAS_llama_apply_adapter_cvec)
#define HAS_CONTROL_VECTORS
#endif

static const char *const adapters[] = {
#ifdef HAS_LORA
    "lora",
#endif
#ifdef HAS_CONTROL_VECTORS
    "controlVector",
#endif
    NULL,
};

// Layout
//
// Where the headers are of another version than the library, most of its API works all the same, and structures are
// read and written at the wrong places. What tells is how the library makes those that it returns.

// Room for what a library makes that is longer than by the headers.
enum { LAYOUT_ROOM = 4096 };

// Has a structure made in `place`, by a function that returns one: where it goes is an argument that C does not show.
// Integers after it are for a function that takes some. False: nobody knows how, on this processor.
static bool make(void *place, void (*function)(void), int32_t first, int32_t second, int32_t third) {
#if defined(__x86_64__)
    ((void *(*)(void *, int32_t, int32_t, int32_t))function)(place, first, second, third);
    return true;
#elif defined(__aarch64__)
    register void *result __asm__("x8") = place;
    register void (*callee)(void) __asm__("x9") = function;
    register int64_t x0 __asm__("x0") = first;
    register int64_t x1 __asm__("x1") = second;
    register int64_t x2 __asm__("x2") = third;
    __asm__ volatile("blr %1"
                     : "+r"(result), "+r"(callee), "+r"(x0), "+r"(x1), "+r"(x2)
                     :
                     : "x3", "x4", "x5", "x6", "x7", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18",
                       "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21",
                       "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
    return true;
#else
    return false;
#endif
}

struct layout {
    const char *name;
    void (*function)(void);
    // By the headers; of `values`, the bytes that are no padding are not zero.
    size_t size, alignment;
    unsigned char values[LAYOUT_ROOM];
};

// Whether the library sets every byte of the structure, and none after it.
static bool has_layout(const struct layout *layout, char *difference, size_t length) {
    // What is left as it was, with either pattern, nobody has written.
    static const unsigned char patterns[2] = {0xA5, 0x5A};
    unsigned char made[2][LAYOUT_ROOM];
    for (int i = 0; i < 2; i++) {
        memset(made[i], patterns[i], LAYOUT_ROOM);
        if (!make(made[i], layout->function, 1, 0, 1)) return true;
    }
    size_t end = 0, unset = 0;
    bool is_whole = true;
    for (size_t i = 0; i < LAYOUT_ROOM; i++) {
        if (made[0][i] != patterns[0] || made[1][i] != patterns[1]) {
            end = i + 1;
        } else if (is_whole && i < layout->size && layout->values[i] != 0) {
            is_whole = false;
            unset = i;
        }
    }
    // Behind its last member there may be padding.
    size_t size = (end + layout->alignment - 1) / layout->alignment * layout->alignment;
    if (size != layout->size) {
        snprintf(
            difference, length, "%s has %zu bytes in the headers and %zu in the library", layout->name, layout->size,
            size
        );
        return false;
    }
    if (!is_whole) snprintf(difference, length, "the library leaves byte %zu of %s unset", unset, layout->name);
    return is_whole;
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
#define CLEAR_PADDING(structure) __builtin_clear_padding(structure)
#endif
#endif
#ifndef CLEAR_PADDING
// Any byte may be padding.
#define CLEAR_PADDING(structure) memset(structure, 0, sizeof *(structure))
#endif

#define CHECK_LAYOUT(type, maker)                                                                                      \
    do {                                                                                                               \
        struct type structure;                                                                                         \
        struct layout layout = {#type, (void (*)(void))maker, sizeof structure, _Alignof(struct type), {0}};           \
        memset(&structure, 0xFF, sizeof structure);                                                                    \
        CLEAR_PADDING(&structure);                                                                                     \
        memcpy(layout.values, &structure, sizeof structure);                                                           \
        if (!has_layout(&layout, difference, size)) return false;                                                      \
    } while (0)

#define CHECK_DEFAULT(structure, member, value)                                                                        \
    do {                                                                                                               \
        if ((structure).member != (value)) {                                                                           \
            snprintf(difference, size, "%s is elsewhere in the library than in the headers", #structure "." #member);  \
            return false;                                                                                              \
        }                                                                                                              \
    } while (0)

static bool fits_headers(char *difference, size_t size) {
    CHECK_LAYOUT(llama_model_params, llama_model_default_params);
    CHECK_LAYOUT(llama_context_params, llama_context_default_params);
    // A batch that is made for this stays: it is of one token, once in a process.
    CHECK_LAYOUT(llama_batch, llama_batch_init);
    // Of the same size, members may have others' places. These defaults say that nothing is chosen, or have always been
    // what they are; sizes and thresholds may change from version to version.
    struct llama_model_params llama_model_params = llama_model_default_params();
    CHECK_DEFAULT(llama_model_params, devices, NULL);
    CHECK_DEFAULT(llama_model_params, tensor_buft_overrides, NULL);
    CHECK_DEFAULT(llama_model_params, split_mode, LLAMA_SPLIT_MODE_LAYER);
    CHECK_DEFAULT(llama_model_params, main_gpu, 0);
    CHECK_DEFAULT(llama_model_params, tensor_split, NULL);
    CHECK_DEFAULT(llama_model_params, vocab_only, false);
    CHECK_DEFAULT(llama_model_params, use_extra_bufts, true);
    struct llama_context_params llama_context_params = llama_context_default_params();
    CHECK_DEFAULT(llama_context_params, n_seq_max, 1);
    CHECK_DEFAULT(llama_context_params, pooling_type, LLAMA_POOLING_TYPE_UNSPECIFIED);
    CHECK_DEFAULT(llama_context_params, rope_freq_base, 0);
    CHECK_DEFAULT(llama_context_params, yarn_ext_factor, -1);
    CHECK_DEFAULT(llama_context_params, type_k, GGML_TYPE_F16);
    CHECK_DEFAULT(llama_context_params, type_v, GGML_TYPE_F16);
    CHECK_DEFAULT(llama_context_params, embeddings, false);
    CHECK_DEFAULT(llama_context_params, offload_kqv, true);
    return true;
}

// Log and start

static llama_bridge_log write_log;

static void take_log(enum ggml_log_level level, const char *text, void *data) {
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR) write_log(text);
}

static void start(const char *library_folder, llama_bridge_log log) {
    write_log = log;
    llama_log_set(take_log, NULL);
    ggml_backend_load_all_from_path(library_folder);
    llama_backend_init();
}

// Devices

static int backend_count(void) { return (int)ggml_backend_reg_count(); }

static const char *backend(int index, int *device_count) {
    ggml_backend_reg_t backend = ggml_backend_reg_get((size_t)index);
    *device_count = (int)ggml_backend_reg_dev_count(backend);
    return ggml_backend_reg_name(backend);
}

static int device_count(void) { return (int)ggml_backend_dev_count(); }

static void device(int index, struct llama_bridge_device *result) {
    ggml_backend_dev_t device = ggml_backend_dev_get((size_t)index);
    enum ggml_backend_dev_type type = ggml_backend_dev_type(device);
    result->name = ggml_backend_dev_name(device);
    result->description = ggml_backend_dev_description(device);
    result->backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
    result->is_offload_target = type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

// Models

// What a placement's pointers in `llama_model_params` point to, until the model is loaded.
struct parameters {
    struct llama_model_params model;
    ggml_backend_dev_t *devices;
    struct llama_model_tensor_buft_override *overrides;
    float *parts;
    struct llama_model_kv_override *values;
};

static struct parameters parameters_of(const struct llama_bridge_placement *placement) {
    struct parameters result = {.model = llama_model_default_params()};
    size_t device_count = (size_t)placement->device_count, pattern_count = (size_t)placement->pattern_count;
    result.devices = calloc(device_count + 1, sizeof *result.devices);
    result.overrides = calloc(pattern_count + 1, sizeof *result.overrides);
    result.parts = calloc(llama_max_devices() + 1, sizeof *result.parts);
    result.values = calloc((size_t)placement->override_count + 1, sizeof *result.values);
    for (int i = 0; i < placement->override_count; i++) {
        const struct llama_bridge_override *override = &placement->overrides[i];
        struct llama_model_kv_override *value = &result.values[i];
        snprintf(value->key, sizeof value->key, "%s", override->key);
        switch (override->kind) {
        case LLAMA_BRIDGE_INTEGER:
            value->tag = LLAMA_KV_OVERRIDE_TYPE_INT;
            value->val_i64 = override->integer;
            break;
        case LLAMA_BRIDGE_REAL:
            value->tag = LLAMA_KV_OVERRIDE_TYPE_FLOAT;
            value->val_f64 = override->real;
            break;
        case LLAMA_BRIDGE_BOOLEAN:
            value->tag = LLAMA_KV_OVERRIDE_TYPE_BOOL;
            value->val_bool = override->integer != 0;
            break;
        }
    }
    // The last has no key.
    if (placement->override_count > 0) result.model.kv_overrides = result.values;
    for (size_t i = 0; i < device_count; i++) {
        result.devices[i] = ggml_backend_dev_get((size_t)placement->devices[i]);
        if (i < llama_max_devices()) result.parts[i] = placement->parts[i];
    }
    for (size_t i = 0; i < pattern_count; i++) {
        ggml_backend_dev_t device = ggml_backend_dev_get((size_t)placement->pattern_devices[i]);
        result.overrides[i].pattern = placement->patterns[i];
        result.overrides[i].buft = ggml_backend_dev_buffer_type(device);
    }
    result.model.devices = result.devices;
    result.model.n_gpu_layers = placement->offloaded_layers;
    result.model.split_mode = placement->split == LLAMA_BRIDGE_SPLIT_ROWS      ? LLAMA_SPLIT_MODE_ROW
                              : placement->split == LLAMA_BRIDGE_SPLIT_TENSORS ? LLAMA_SPLIT_MODE_TENSOR
                                                                               : LLAMA_SPLIT_MODE_LAYER;
    result.model.tensor_split = result.parts;
    if (pattern_count > 0) result.model.tensor_buft_overrides = result.overrides;
    result.model.use_extra_bufts = placement->repacked;
    result.model.check_tensors = placement->checks_tensors;
#ifdef LLAMA_HAS_LLAMA_LOAD_MODE_DIRECT_IO
    result.model.load_mode = strcmp(placement->reading, "direct") == 0 ? LLAMA_LOAD_MODE_DIRECT_IO
                             : strcmp(placement->reading, "read") == 0 ? LLAMA_LOAD_MODE_NONE
                                                                       : LLAMA_LOAD_MODE_MMAP;
#endif
    return result;
}

static void free_parameters(struct parameters *parameters) {
    free(parameters->devices);
    free(parameters->overrides);
    free(parameters->parts);
    free(parameters->values);
}

struct source {
    struct gguf_context *metadata;
    const uint8_t *file;
    size_t size;
    char *missing;
    size_t missing_size;
};

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), count = strlen(end);
    return length >= count && strcmp(text + length - count, end) == 0;
}

// Of a tensor that the file lacks: elements with which it changes nothing.
static void set_neutral(struct ggml_tensor *tensor, struct source *source) {
    const char *name = ggml_get_name(tensor);
    bool is_factor =
        ends_with(name, ".scale") || ends_with(name, ".input_scale") || strcmp(name, "rope_freqs.weight") == 0;
    if (!is_factor && !ends_with(name, ".bias")) {
        snprintf(source->missing, source->missing_size, "%s", name);
        return;
    }
    float *elements = calloc(1, ggml_nbytes(tensor));
    if (elements == NULL) abort();
    if (is_factor && tensor->type == GGML_TYPE_F32) {
        for (int64_t i = 0; i < ggml_nelements(tensor); i++) elements[i] = 1;
    }
    ggml_backend_tensor_set(tensor, elements, 0, ggml_nbytes(tensor));
    free(elements);
}

static void set_tensor(struct ggml_tensor *tensor, void *data) {
    struct source *source = data;
    // With this model nobody computes, and what it lacks can be the largest of its tensors.
    if (source->missing[0] != 0) return;
    const char *name = ggml_get_name(tensor);
    int64_t index = gguf_find_tensor(source->metadata, name);
    size_t wanted = ggml_nbytes(tensor);
    if (index >= 0 && gguf_get_tensor_size(source->metadata, index) == wanted) {
        size_t offset = gguf_get_data_offset(source->metadata) + gguf_get_tensor_offset(source->metadata, index);
        if (offset <= source->size && wanted <= source->size - offset) {
            ggml_backend_tensor_set(tensor, source->file + offset, 0, wanted);
            return;
        }
    }
    set_neutral(tensor, source);
}

static void *load_memory(
    const void *file, size_t size, const struct llama_bridge_placement *placement, char *missing, size_t missing_size
) {
    missing[0] = 0;
    // The tensors' names and types, without their data.
    struct gguf_init_params reading = {.no_alloc = true, .ctx = NULL};
    struct source source = {
        .metadata = gguf_init_from_buffer(file, size, reading),
        .file = file,
        .size = size,
        .missing = missing,
        .missing_size = missing_size,
    };
    if (source.metadata == NULL) return NULL;
    struct parameters parameters = parameters_of(placement);
    void *model = llama_model_init_from_user(source.metadata, set_tensor, &source, parameters.model);
    free_parameters(&parameters);
    gguf_free(source.metadata);
    return model;
}

static void *load_file(const char *path, const struct llama_bridge_placement *placement) {
    struct parameters parameters = parameters_of(placement);
    void *model = llama_model_load_from_file(path, parameters.model);
    free_parameters(&parameters);
    return model;
}

static void *load_parts(const char *const *paths, int count, const struct llama_bridge_placement *placement) {
#ifdef LLAMA_HAS_llama_model_load_from_splits
    struct parameters parameters = parameters_of(placement);
    void *model = llama_model_load_from_splits((const char **)paths, (size_t)count, parameters.model);
    free_parameters(&parameters);
    return model;
#else
    write_log("there are no files that are split\n");
    return NULL;
#endif
}

static void *load_vocabulary(const char *path) {
    struct llama_model_params parameters = llama_model_default_params();
    parameters.vocab_only = true;
    return llama_model_load_from_file(path, parameters);
}

static bool has_tokenizer(const void *model) {
    return llama_vocab_type(llama_model_get_vocab(model)) != LLAMA_VOCAB_TYPE_NONE;
}

static int tokenize(
    const void *model, const char *text, int length, bool add_special, bool parse_special, int32_t *ids, int size
) {
    return llama_tokenize(
        llama_model_get_vocab(model), text == NULL ? "" : text, length, ids, size, add_special, parse_special
    );
}

static bool read_vocabulary(const char *path) {
    struct llama_model *model = load_vocabulary(path);
    if (model == NULL) return false;
    const struct llama_vocab *vocabulary = llama_model_get_vocab(model);
    if (has_tokenizer(model)) {
        llama_token tokens[256];
        char piece[1024];
        for (llama_token token = 0; token < llama_vocab_n_tokens(vocabulary); token++) {
            llama_token_to_piece(vocabulary, token, piece, sizeof piece, 0, true);
        }
        // Of toys' tokens, and of others.
        static const char *const texts[] = {
            "<0><1>", "<1> Hello, world!\n 123 \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80"
        };
        for (int i = 0; i < 2; i++) {
            llama_tokenize(vocabulary, texts[i], (int32_t)strlen(texts[i]), tokens, 256, true, true);
        }
    }
    llama_model_free(model);
    return true;
}

static void free_model(void *model) { llama_model_free(model); }

static void *load_adapter(void *model, const char *path) {
#ifdef HAS_LORA
    return llama_adapter_lora_init(model, path);
#else
    write_log("there are no adapters\n");
    return NULL;
#endif
}

static void save_model(void *model, const char *path) { llama_model_save_to_file(model, path); }
static int layer_count(const void *model) { return llama_model_n_layer(model); }

// The value of a key of the model's architecture, as text; empty where it has none.
static void metadata_value(const void *model, const char *key, char *value, size_t size) {
    char architecture[128], name[192];
    value[0] = 0;
    if (llama_model_meta_val_str(model, "general.architecture", architecture, sizeof architecture) < 0) return;
    snprintf(name, sizeof name, "%s.%s", architecture, key);
    if (llama_model_meta_val_str(model, name, value, size) < 0) value[0] = 0;
}

static bool is_only_encoder(const void *model) {
    return llama_model_has_encoder(model) && !llama_model_has_decoder(model);
}

// Whether the name of the model's architecture has this part.
static bool is_named(const void *model, const char *part) {
    char architecture[128];
    return llama_model_meta_val_str(model, "general.architecture", architecture, sizeof architecture) >= 0 &&
           strstr(architecture, part) != NULL;
}

static bool has_states(const void *model) { return is_named(model, "eagle3"); }

static bool takes_context(const void *model) { return is_named(model, "dflash"); }

// What drafts call their encoder maps what their target made of tokens.
static bool has_encoder(const void *model) {
    return llama_model_has_encoder(model) && !has_states(model) && !takes_context(model);
}

// Of some families there are encoders only, whether their metadata say so or not; WavTokenizer has no logits either,
// and Clef gives scores.
static bool is_encoder(const void *model) {
    return is_only_encoder(model) || is_named(model, "bert") || is_named(model, "llama-embed") ||
           is_named(model, "gemma-embedding") || is_named(model, "wavtokenizer-dec") || is_named(model, "clef");
}

// As there are of those that write several tokens at a time.
static bool is_diffusion(const void *model) { return is_named(model, "dream") || is_named(model, "llada"); }

static bool is_pooling(const void *model) {
    char value[16];
    metadata_value(model, "pooling_type", value, sizeof value);
    // It saves "not said" as a number of its own.
    return value[0] != 0 && strtoul(value, NULL, 10) != LLAMA_POOLING_TYPE_NONE &&
           strtoul(value, NULL, 10) <= LLAMA_POOLING_TYPE_RANK;
}

static bool has_logits(const void *model) {
    char width[16];
    metadata_value(model, "embedding_length_out", width, sizeof width);
    return !is_encoder(model) && !is_pooling(model) && width[0] == 0;
}

// A draft that takes context, unless its metadata say otherwise.
static bool is_causal(const void *model) {
    char causal[16];
    metadata_value(model, "attention.causal", causal, sizeof causal);
    return takes_context(model) ? strcmp(causal, "true") == 0 : strcmp(causal, "false") != 0;
}

static bool is_of_whole_batches(const void *model) {
    return is_encoder(model) || is_diffusion(model) || is_pooling(model) || !is_causal(model);
}

static int embedding_width(const void *model) { return llama_model_n_embd_inp(model); }

// Contexts

static enum ggml_type type_named(const char *name) {
    for (int type = 0; type < GGML_TYPE_COUNT; type++) {
        const char *other = ggml_type_name((enum ggml_type)type);
        if (other != NULL && strcmp(name, other) == 0) return (enum ggml_type)type;
    }
    return GGML_TYPE_COUNT;
}

// False: what is asked for is refused; the log says why, or there is no such function.
static bool adapt(struct llama_context *context, const struct llama_bridge_session *session) {
    int status = 0;
    if (session->adapter_count > 0) {
#if defined(LLAMA_HAS_llama_set_adapters_lora)
        status = llama_set_adapters_lora(
            context, (struct llama_adapter_lora **)session->adapters, (size_t)session->adapter_count,
            (float *)session->adapter_scales
        );
#elif defined(HAS_LORA)
        for (int i = 0; i < session->adapter_count && status == 0; i++) {
            status = llama_set_adapter_lora(context, session->adapters[i], session->adapter_scales[i]);
        }
#else
        return false;
#endif
    }
    if (status != 0 || session->control_vector == NULL) return status == 0;
#if defined(LLAMA_HAS_llama_set_adapter_cvec)
#define SET_CONTROL_VECTOR llama_set_adapter_cvec
#elif defined(HAS_CONTROL_VECTORS)
#define SET_CONTROL_VECTOR llama_apply_adapter_cvec
#endif
#ifdef SET_CONTROL_VECTOR
    return SET_CONTROL_VECTOR(
               context, session->control_vector, session->control_vector_length, session->control_vector_width,
               session->control_vector_first, session->control_vector_last
           ) == 0;
#else
    return false;
#endif
}

static void *open_context(void *model, const struct llama_bridge_session *session) {
    struct llama_context_params parameters = llama_context_default_params();
    parameters.n_ctx = session->context;
    parameters.n_batch = session->batch;
    parameters.n_ubatch = session->micro_batch;
    parameters.n_seq_max = session->sequences;
    parameters.n_threads = session->threads;
    parameters.n_threads_batch = session->batch_threads;
    parameters.type_k = type_named(session->key_cache_type);
    parameters.type_v = type_named(session->value_cache_type);
    if (parameters.type_k == GGML_TYPE_COUNT || parameters.type_v == GGML_TYPE_COUNT) {
        write_log("no such type of cache\n");
        return NULL;
    }
    parameters.flash_attn_type = session->flash_attention == LLAMA_BRIDGE_AUTO ? LLAMA_FLASH_ATTN_TYPE_AUTO
                                 : session->flash_attention == LLAMA_BRIDGE_ON ? LLAMA_FLASH_ATTN_TYPE_ENABLED
                                                                               : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    parameters.embeddings = session->embeddings;
    parameters.kv_unified = session->unified;
    parameters.swa_full = session->whole_window_caches;
    parameters.offload_kqv = session->offloads_caches;
    parameters.op_offload = session->offloads_ops;
    parameters.rope_freq_base = session->rotation_base;
    parameters.rope_freq_scale = session->rotation_scale;
    if (session->pooling >= 0) parameters.pooling_type = (enum llama_pooling_type)session->pooling;
    struct llama_context *context = llama_init_from_model(model, parameters);
    if (context != NULL && !adapt(context, session)) {
        write_log("the context cannot be adapted\n");
        llama_free(context);
        return NULL;
    }
    // Where its metadata do not say, who runs it does.
    if (context != NULL && takes_context(model)) llama_set_causal_attn(context, is_causal(model));
    return context;
}

static void close_context(void *context) { llama_free(context); }

// How many positions an embedding has: those of a text have the same in each section.
static int position_count(void *context) {
    enum llama_rope_type type = llama_model_rope_type(llama_get_model(context));
    return type == LLAMA_ROPE_TYPE_MROPE || type == LLAMA_ROPE_TYPE_IMROPE ? 4 : 1;
}

static int process(
    void *context, const struct llama_bridge_batch *tokens, int (*function)(struct llama_context *, struct llama_batch)
) {
    int width = tokens->embeddings == NULL ? 0 : tokens->embedding_width;
    bool has_ids = width == 0 || has_states(llama_get_model(context));
    struct llama_batch batch = llama_batch_init(tokens->count, width, 64);
    batch.n_tokens = tokens->count;
    if (width > 0) {
        size_t row = sizeof *batch.embd * (size_t)width, count = (size_t)tokens->count;
        memcpy(batch.embd, tokens->embeddings, row * count);
        free(batch.pos);
        batch.pos = malloc(sizeof *batch.pos * count * 4);
        if (has_ids) batch.token = malloc(sizeof *batch.token * count);
        if (batch.pos == NULL || (has_ids && batch.token == NULL)) abort();
        for (int section = 1; section < position_count(context); section++) {
            for (size_t i = 0; i < count; i++) batch.pos[(size_t)section * count + i] = tokens->positions[i];
        }
    }
    for (int i = 0; i < tokens->count; i++) {
        if (has_ids) batch.token[i] = tokens->ids[i];
        batch.pos[i] = tokens->positions[i];
        batch.logits[i] = tokens->wants_output[i];
        batch.n_seq_id[i] = 0;
        for (int sequence = 0; sequence < 64; sequence++) {
            if (tokens->sequences[i] >> sequence & 1) batch.seq_id[i][batch.n_seq_id[i]++] = sequence;
        }
    }
    int status = function(context, batch);
    llama_batch_free(batch);
    // Backends may still be at work, and a crash shall be this step's.
    if (status == 0) llama_synchronize(context);
    return status;
}

// Decision orders
//
// They are of an interface that few headers have and fewer export: its functions are there or are not when the bridge
// is opened. The one that sets an order has C++'s name.

#define STRINGS(a, b) #a b
#define SYMBOL(prefix, name) STRINGS(prefix, name)
#define IMPORTED(name) __asm__(SYMBOL(__USER_LABEL_PREFIX__, name)) __attribute__((weak))

struct llama_batch_ext;
extern struct llama_batch_ext *prompt_init(struct llama_context *) IMPORTED("llama_batch_ext_init");
extern void prompt_free(struct llama_batch_ext *) IMPORTED("llama_batch_ext_free");
extern int32_t prompt_add(struct llama_batch_ext *, llama_seq_id, llama_token) IMPORTED("llama_batch_ext_add_token");
extern bool prompt_set_position(struct llama_batch_ext *, int32_t, const llama_pos *)
    IMPORTED("llama_batch_ext_set_pos");
extern bool prompt_set_output(struct llama_batch_ext *, int32_t, bool) IMPORTED("llama_batch_ext_set_output_embd");
extern bool prompt_set_order(struct llama_batch_ext *, int32_t, int)
    IMPORTED("_Z34llama_batch_ext_set_decision_orderP15llama_batch_exti20llama_decision_order");
extern int32_t prompt_process(struct llama_context *, int, struct llama_batch_ext *) IMPORTED("llama_process");

static bool has_orders(void) {
    return prompt_init && prompt_free && prompt_add && prompt_set_position && prompt_set_output && prompt_set_order &&
           prompt_process;
}

static int decide(void *context, const struct llama_bridge_batch *tokens) {
    enum { DECODE = 1 };
    struct llama_batch_ext *prompt = prompt_init(context);
    int status = 0;
    for (int i = 0; i < tokens->count && status == 0; i++) {
        int sequence = 0;
        while (sequence < 63 && !(tokens->sequences[i] >> sequence & 1)) sequence++;
        int32_t index = prompt_add(prompt, sequence, tokens->ids[i]);
        llama_pos position = tokens->positions[i];
        bool is_set = index == i && prompt_set_position(prompt, index, &position) &&
                      prompt_set_output(prompt, index, true) && prompt_set_order(prompt, index, tokens->orders[i]);
        if (!is_set) status = -1;
    }
    if (status == 0) status = prompt_process(context, DECODE, prompt);
    prompt_free(prompt);
    if (status == 0) llama_synchronize(context);
    return status;
}

static int encode(void *context, const struct llama_bridge_batch *batch) {
    return process(context, batch, llama_encode);
}

static int decode(void *context, const struct llama_bridge_batch *batch) {
    if (batch->orders != NULL) return decide(context, batch);
    // T5's encoder by itself.
    return process(context, batch, is_only_encoder(llama_get_model(context)) ? llama_encode : llama_decode);
}

static int logit_count(void *context) {
    return llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(context)));
}

static const float *logits(void *context, int index, int *width) {
    *width = logit_count(context);
    return llama_get_logits_ith(context, index);
}

static const float *all_logits(void *context, int *width) {
    *width = logit_count(context);
    return llama_get_logits(context);
}

static const float *embeddings(void *context, int index, int *width) {
    *width = llama_model_n_embd_out(llama_get_model(context));
    return llama_get_embeddings_ith(context, index);
}

static const float *all_embeddings(void *context, int *width) {
    *width = llama_model_n_embd_out(llama_get_model(context));
    return llama_get_embeddings(context);
}

static const float *pooled(void *context, int sequence, int *width) {
    const struct llama_model *model = llama_get_model(context);
    *width = llama_pooling_type(context) == LLAMA_POOLING_TYPE_RANK ? (int)llama_model_n_cls_out(model)
                                                                    : llama_model_n_embd_out(model);
    return llama_get_embeddings_seq(context, sequence);
}

static bool is_pooled(void *context) { return llama_pooling_type(context) != LLAMA_POOLING_TYPE_NONE; }

// Training

#if defined(LLAMA_HAS_GGML_OPT_OPTIMIZER_TYPE_SGD) && defined(LLAMA_HAS_LLAMA_LOAD_MODE_DIRECT_IO)

static bool trains(void) { return true; }

static void train(void *context, void *model, const struct llama_bridge_training *training, double *losses) {
    struct ggml_opt_optimizer_params rates = {
        .adamw =
            {.alpha = training->rate,
             .beta1 = training->first_decay,
             .beta2 = training->second_decay,
             .eps = training->epsilon,
             .wd = training->weight_decay},
        .sgd = {.alpha = training->rate, .wd = training->weight_decay},
    };
    struct llama_opt_params parameters = {
        .n_ctx_train = 0,
        .param_filter = llama_opt_param_filter_all,
        .get_opt_pars = ggml_opt_get_constant_optimizer_params,
        .get_opt_pars_ud = &rates,
        .optimizer_type = training->is_adamw ? GGML_OPT_OPTIMIZER_TYPE_ADAMW : GGML_OPT_OPTIMIZER_TYPE_SGD,
    };
    llama_opt_init(context, model, parameters);
    ggml_opt_dataset_t text =
        ggml_opt_dataset_init(GGML_TYPE_I32, GGML_TYPE_I32, training->count, training->count, 1, 1);
    struct ggml_tensor *ids = ggml_opt_dataset_data(text), *targets = ggml_opt_dataset_labels(text);
    memcpy(ids->data, training->ids, ggml_nbytes(ids));
    memcpy(targets->data, training->targets, ggml_nbytes(targets));
    ggml_opt_result_t result = ggml_opt_result_init();
    for (int step = 0; step < training->steps; step++) {
        ggml_opt_result_reset(result);
        llama_opt_epoch(context, text, result, NULL, 1, NULL, NULL);
        ggml_opt_result_loss(result, &losses[step], NULL);
    }
    ggml_opt_result_free(result);
    ggml_opt_dataset_free(text);
}

#else

static bool trains(void) { return false; }

static void train(void *context, void *model, const struct llama_bridge_training *training, double *losses) {
    (void)context, (void)model, (void)training, (void)losses;
}

#endif

// Memory and state

static bool extent(void *context, int sequence, int *least, int *greatest) {
    llama_memory_t memory = llama_get_memory(context);
    if (memory == NULL) return false;
    *least = llama_memory_seq_pos_min(memory, sequence);
    *greatest = llama_memory_seq_pos_max(memory, sequence);
    return true;
}

static bool can_shift(void *context) { return llama_memory_can_shift(llama_get_memory(context)); }

static bool remove_positions(void *context, int sequence, int from, int to) {
    return llama_memory_seq_rm(llama_get_memory(context), sequence, from, to);
}

static void copy(void *context, int source, int destination, int from, int to) {
    // A cache a sequence takes no part, and no number of a position for the whole.
    if (from == 0 && to < 0) from = -1;
    llama_memory_seq_cp(llama_get_memory(context), source, destination, from, to);
}

static void keep(void *context, int sequence) { llama_memory_seq_keep(llama_get_memory(context), sequence); }

static void shift(void *context, int sequence, int from, int to, int delta) {
    llama_memory_seq_add(llama_get_memory(context), sequence, from, to, delta);
}

static void divide(void *context, int sequence, int from, int to, int divisor) {
    llama_memory_seq_div(llama_get_memory(context), sequence, from, to, divisor);
}

static void clear(void *context) { llama_memory_clear(llama_get_memory(context), true); }

static size_t state_size(void *context, int sequence) {
    return sequence < 0 ? llama_state_get_size(context) : llama_state_seq_get_size(context, sequence);
}

static size_t save_state(void *context, int sequence, uint8_t *bytes, size_t size) {
    return sequence < 0 ? llama_state_get_data(context, bytes, size)
                        : llama_state_seq_get_data(context, bytes, size, sequence);
}

static size_t restore_state(void *context, int sequence, const uint8_t *bytes, size_t size) {
    return sequence < 0 ? llama_state_set_data(context, bytes, size)
                        : llama_state_seq_set_data(context, bytes, size, sequence);
}

__attribute__((visibility("default"))) const struct llama_bridge llama_bridge_table = {
    .version = LLAMA_BRIDGE_VERSION,
    .headers = LLAMA_BRIDGE_HEADERS,
    .fits_headers = fits_headers,
    .settings = settings,
    .adapters = adapters,
    .start = start,
    .ggml_version = ggml_version,
    .ggml_commit = ggml_commit,
    .backend_count = backend_count,
    .backend = backend,
    .device_count = device_count,
    .device = device,
    .load_memory = load_memory,
    .load_file = load_file,
    .load_parts = load_parts,
    .read_vocabulary = read_vocabulary,
    .load_vocabulary = load_vocabulary,
    .has_tokenizer = has_tokenizer,
    .tokenize = tokenize,
    .free_model = free_model,
    .load_adapter = load_adapter,
    .save_model = save_model,
    .layer_count = layer_count,
    .has_encoder = has_encoder,
    .has_logits = has_logits,
    .is_of_whole_batches = is_of_whole_batches,
    .embedding_width = embedding_width,
    .has_states = has_states,
    .has_orders = has_orders,
    .open = open_context,
    .close = close_context,
    .encode = encode,
    .decode = decode,
    .logits = logits,
    .embeddings = embeddings,
    .all_logits = all_logits,
    .all_embeddings = all_embeddings,
    .pooled = pooled,
    .is_pooled = is_pooled,
    .trains = trains,
    .train = train,
    .extent = extent,
    .can_shift = can_shift,
    .remove = remove_positions,
    .copy = copy,
    .keep = keep,
    .shift = shift,
    .divide = divide,
    .clear = clear,
    .state_size = state_size,
    .save_state = save_state,
    .restore_state = restore_state,
};
