// As much of llama.cpp's API as the bridge and exported programs ask for. Where `LIBRARY` is defined, it is the
// library, too: one without a device, so that nobody comes to call most of it.

#ifndef LLAMA_H
#define LLAMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef LIBRARY
#define NEVER_CALLED(result, name, ...)                                                                                \
    result name(__VA_ARGS__) { abort(); }
#define RETURNS(result, name, parameters, ...)                                                                         \
    result name parameters { return __VA_ARGS__; }
#else
#define NEVER_CALLED(result, name, ...) result name(__VA_ARGS__);
#define RETURNS(result, name, parameters, ...) result name parameters;
#endif

// ggml

enum ggml_log_level { GGML_LOG_LEVEL_ERROR = 4 };
enum ggml_type { GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q4_0, GGML_TYPE_Q8_0, GGML_TYPE_BF16, GGML_TYPE_COUNT };
enum ggml_backend_dev_type { GGML_BACKEND_DEVICE_TYPE_GPU = 1, GGML_BACKEND_DEVICE_TYPE_IGPU };
struct ggml_tensor {
    enum ggml_type type;
    void *data;
    char name[64];
};
typedef void *ggml_backend_reg_t, *ggml_backend_dev_t, *ggml_backend_buffer_type_t;
typedef void (*ggml_log_callback)(enum ggml_log_level level, const char *text, void *data);
struct gguf_context;
struct ggml_context;
struct gguf_init_params {
    bool no_alloc;
    struct ggml_context **ctx;
};

RETURNS(const char *, ggml_version, (void), "1.2.3")
RETURNS(const char *, ggml_commit, (void), "abc")
RETURNS(size_t, ggml_backend_reg_count, (void), 0)
RETURNS(size_t, ggml_backend_dev_count, (void), 0)
RETURNS(void *, ggml_backend_load_all_from_path, (const char *path), (void *)path)
NEVER_CALLED(void, ggml_backend_load_all, void)
NEVER_CALLED(ggml_backend_dev_t, ggml_backend_dev_by_name, const char *name)
NEVER_CALLED(ggml_backend_reg_t, ggml_backend_reg_get, size_t index)
NEVER_CALLED(size_t, ggml_backend_reg_dev_count, ggml_backend_reg_t backend)
NEVER_CALLED(const char *, ggml_backend_reg_name, ggml_backend_reg_t backend)
NEVER_CALLED(ggml_backend_dev_t, ggml_backend_dev_get, size_t index)
NEVER_CALLED(ggml_backend_reg_t, ggml_backend_dev_backend_reg, ggml_backend_dev_t device)
NEVER_CALLED(ggml_backend_buffer_type_t, ggml_backend_dev_buffer_type, ggml_backend_dev_t device)
NEVER_CALLED(const char *, ggml_backend_dev_description, ggml_backend_dev_t device)
NEVER_CALLED(const char *, ggml_backend_dev_name, ggml_backend_dev_t device)
NEVER_CALLED(enum ggml_backend_dev_type, ggml_backend_dev_type, ggml_backend_dev_t device)
NEVER_CALLED(void, ggml_backend_tensor_set, struct ggml_tensor *tensor, const void *data, size_t offset, size_t size)
NEVER_CALLED(const char *, ggml_get_name, const struct ggml_tensor *tensor)
NEVER_CALLED(size_t, ggml_nbytes, const struct ggml_tensor *tensor)
NEVER_CALLED(int64_t, ggml_nelements, const struct ggml_tensor *tensor)
NEVER_CALLED(const char *, ggml_type_name, enum ggml_type type)
NEVER_CALLED(struct ggml_tensor *, ggml_get_tensor, struct ggml_context *context, const char *name)
NEVER_CALLED(struct ggml_tensor *, ggml_set_name, struct ggml_tensor *tensor, const char *name)
NEVER_CALLED(void, ggml_free, struct ggml_context *context)
NEVER_CALLED(struct gguf_context *, gguf_init_from_file, const char *path, struct gguf_init_params how)
NEVER_CALLED(void, gguf_add_tensor, struct gguf_context *file, const struct ggml_tensor *tensor)
NEVER_CALLED(int64_t, gguf_get_n_tensors, const struct gguf_context *file)
NEVER_CALLED(const char *, gguf_get_tensor_name, const struct gguf_context *file, int64_t index)
NEVER_CALLED(struct gguf_context *, gguf_init_from_buffer, const void *data, size_t size, struct gguf_init_params how)
NEVER_CALLED(void, gguf_free, struct gguf_context *file)
NEVER_CALLED(int64_t, gguf_find_tensor, const struct gguf_context *file, const char *name)
NEVER_CALLED(size_t, gguf_get_data_offset, const struct gguf_context *file)
NEVER_CALLED(size_t, gguf_get_tensor_offset, const struct gguf_context *file, int64_t index)
NEVER_CALLED(size_t, gguf_get_tensor_size, const struct gguf_context *file, int64_t index)

// Models

struct llama_model;
struct llama_vocab;
enum llama_split_mode { LLAMA_SPLIT_MODE_LAYER = 1, LLAMA_SPLIT_MODE_ROW, LLAMA_SPLIT_MODE_TENSOR };
struct llama_model_tensor_buft_override {
    const char *pattern;
    ggml_backend_buffer_type_t buft;
};
typedef void (*llama_model_set_tensor_data_t)(struct ggml_tensor *tensor, void *data);
enum llama_model_kv_override_type {
    LLAMA_KV_OVERRIDE_TYPE_INT,
    LLAMA_KV_OVERRIDE_TYPE_FLOAT,
    LLAMA_KV_OVERRIDE_TYPE_BOOL,
};
struct llama_model_kv_override {
    enum llama_model_kv_override_type tag;
    char key[128];
    int64_t val_i64;
    double val_f64;
    bool val_bool;
};
struct llama_model_params {
    ggml_backend_dev_t *devices;
    const struct llama_model_tensor_buft_override *tensor_buft_overrides;
    int32_t n_gpu_layers;
    enum llama_split_mode split_mode;
    int32_t main_gpu;
    const float *tensor_split;
    const struct llama_model_kv_override *kv_overrides;
    bool vocab_only;
    bool check_tensors;
    bool use_extra_bufts;
};

RETURNS(
    struct llama_model_params, llama_model_default_params, (void),
    (struct llama_model_params){.n_gpu_layers = -1, .split_mode = LLAMA_SPLIT_MODE_LAYER, .use_extra_bufts = true})
NEVER_CALLED(
    struct llama_model *, llama_model_init_from_user, struct gguf_context *metadata, llama_model_set_tensor_data_t set,
    void *data, struct llama_model_params parameters)
NEVER_CALLED(struct llama_model *, llama_model_load_from_file, const char *path, struct llama_model_params parameters)
NEVER_CALLED(void, llama_model_free, struct llama_model *model)
NEVER_CALLED(void, llama_model_save_to_file, const struct llama_model *model, const char *path)
NEVER_CALLED(const struct llama_vocab *, llama_model_get_vocab, const struct llama_model *model)
NEVER_CALLED(bool, llama_model_has_encoder, const struct llama_model *model)
NEVER_CALLED(
    int32_t, llama_model_meta_val_str, const struct llama_model *model, const char *key, char *value, size_t size)
NEVER_CALLED(uint32_t, llama_model_n_cls_out, const struct llama_model *model)
NEVER_CALLED(int32_t, llama_model_n_embd_out, const struct llama_model *model)
NEVER_CALLED(int32_t, llama_model_n_embd_inp, const struct llama_model *model)
NEVER_CALLED(bool, llama_model_has_decoder, const struct llama_model *model)
enum llama_rope_type { LLAMA_ROPE_TYPE_NONE = -1, LLAMA_ROPE_TYPE_MROPE = 8, LLAMA_ROPE_TYPE_IMROPE = 40 };
NEVER_CALLED(enum llama_rope_type, llama_model_rope_type, const struct llama_model *model)
NEVER_CALLED(int32_t, llama_model_n_layer, const struct llama_model *model)
NEVER_CALLED(int32_t, llama_vocab_n_tokens, const struct llama_vocab *vocabulary)
enum llama_vocab_type { LLAMA_VOCAB_TYPE_NONE };
NEVER_CALLED(enum llama_vocab_type, llama_vocab_type, const struct llama_vocab *vocabulary)
NEVER_CALLED(
    int32_t, llama_tokenize, const struct llama_vocab *vocabulary, const char *text, int32_t length, int32_t *tokens,
    int32_t room, bool adds_special, bool parses_special)
NEVER_CALLED(
    int32_t, llama_token_to_piece, const struct llama_vocab *vocabulary, int32_t token, char *text, int32_t room,
    int32_t stripped, bool shows_special)
NEVER_CALLED(size_t, llama_max_devices, void)

// Contexts

struct llama_context;
enum llama_pooling_type {
    LLAMA_POOLING_TYPE_UNSPECIFIED = -1,
    LLAMA_POOLING_TYPE_NONE,
    LLAMA_POOLING_TYPE_RANK = 4,
};
enum llama_flash_attn_type {
    LLAMA_FLASH_ATTN_TYPE_AUTO = -1,
    LLAMA_FLASH_ATTN_TYPE_DISABLED,
    LLAMA_FLASH_ATTN_TYPE_ENABLED,
};
struct llama_context_params {
    uint32_t n_ctx;
    uint32_t n_batch;
    uint32_t n_ubatch;
    uint32_t n_seq_max;
    int32_t n_threads;
    int32_t n_threads_batch;
    enum llama_pooling_type pooling_type;
    enum llama_flash_attn_type flash_attn_type;
    float rope_freq_base;
    float rope_freq_scale;
    float yarn_ext_factor;
    enum ggml_type type_k;
    enum ggml_type type_v;
    void *abort_callback_data;
    bool embeddings;
    bool offload_kqv;
    bool op_offload;
    bool swa_full;
    bool kv_unified;
    void *samplers;
};

RETURNS(
    struct llama_context_params, llama_context_default_params, (void),
    (struct llama_context_params){
        .n_ctx = 512, .n_batch = 2048, .n_ubatch = 512, .n_seq_max = 1, .pooling_type = LLAMA_POOLING_TYPE_UNSPECIFIED,
        .yarn_ext_factor = -1, .type_k = GGML_TYPE_F16, .type_v = GGML_TYPE_F16, .offload_kqv = true})
NEVER_CALLED(
    struct llama_context *, llama_init_from_model, struct llama_model *model, struct llama_context_params parameters)
NEVER_CALLED(void, llama_free, struct llama_context *context)
NEVER_CALLED(const struct llama_model *, llama_get_model, const struct llama_context *context)
NEVER_CALLED(uint32_t, llama_n_seq_max, const struct llama_context *context)
NEVER_CALLED(enum llama_pooling_type, llama_pooling_type, const struct llama_context *context)

// Batches and outputs

typedef int32_t llama_token, llama_pos, llama_seq_id;
struct llama_batch {
    int32_t n_tokens;
    int32_t *token;
    float *embd;
    int32_t *pos;
    int32_t *n_seq_id;
    int32_t **seq_id;
    int8_t *logits;
};

RETURNS(
    struct llama_batch, llama_batch_init, (int32_t tokens, int32_t width, int32_t sequences),
    (struct llama_batch){.n_tokens = tokens * width * sequences})
NEVER_CALLED(void, llama_batch_free, struct llama_batch batch)
NEVER_CALLED(int32_t, llama_encode, struct llama_context *context, struct llama_batch batch)
NEVER_CALLED(int32_t, llama_decode, struct llama_context *context, struct llama_batch batch)
NEVER_CALLED(void, llama_synchronize, struct llama_context *context)
NEVER_CALLED(void, llama_set_causal_attn, struct llama_context *context, bool is_causal)
NEVER_CALLED(float *, llama_get_logits, struct llama_context *context)
NEVER_CALLED(float *, llama_get_logits_ith, struct llama_context *context, int32_t index)
NEVER_CALLED(float *, llama_get_embeddings, struct llama_context *context)
NEVER_CALLED(float *, llama_get_embeddings_ith, struct llama_context *context, int32_t index)
NEVER_CALLED(float *, llama_get_embeddings_seq, struct llama_context *context, int32_t sequence)

// Memory and state

typedef void *llama_memory_t;

NEVER_CALLED(llama_memory_t, llama_get_memory, const struct llama_context *context)
NEVER_CALLED(int32_t, llama_memory_seq_pos_min, llama_memory_t memory, int32_t sequence)
NEVER_CALLED(int32_t, llama_memory_seq_pos_max, llama_memory_t memory, int32_t sequence)
NEVER_CALLED(bool, llama_memory_can_shift, llama_memory_t memory)
NEVER_CALLED(void, llama_memory_clear, llama_memory_t memory, bool data)
NEVER_CALLED(void, llama_memory_seq_add, llama_memory_t memory, int32_t sequence, int32_t from, int32_t to, int32_t by)
NEVER_CALLED(void, llama_memory_seq_cp, llama_memory_t memory, int32_t source, int32_t copy, int32_t from, int32_t to)
NEVER_CALLED(void, llama_memory_seq_div, llama_memory_t memory, int32_t sequence, int32_t from, int32_t to, int by)
NEVER_CALLED(void, llama_memory_seq_keep, llama_memory_t memory, int32_t sequence)
NEVER_CALLED(bool, llama_memory_seq_rm, llama_memory_t memory, int32_t sequence, int32_t from, int32_t to)
NEVER_CALLED(size_t, llama_state_get_size, struct llama_context *context)
NEVER_CALLED(size_t, llama_state_get_data, struct llama_context *context, uint8_t *bytes, size_t size)
NEVER_CALLED(size_t, llama_state_set_data, struct llama_context *context, const uint8_t *bytes, size_t size)
NEVER_CALLED(size_t, llama_state_seq_get_size, struct llama_context *context, int32_t sequence)
NEVER_CALLED(
    size_t, llama_state_seq_get_data, struct llama_context *context, uint8_t *bytes, size_t size, int32_t sequence)
NEVER_CALLED(
    size_t, llama_state_seq_set_data, struct llama_context *context, const uint8_t *bytes, size_t size,
    int32_t sequence)

// The process

#ifdef LIBRARY
void llama_backend_init(void) {}
void llama_log_set(ggml_log_callback log, void *data) {}
#else
void llama_backend_init(void);
void llama_log_set(ggml_log_callback log, void *data);
#endif

#endif
