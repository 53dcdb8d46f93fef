/// The part of Vulkan 1.1 that running compute graphs needs, without a Vulkan type in sight.
///
/// The loader is opened at run time, so that programs start on machines without Vulkan. Built without
/// the Vulkan headers, `vulkan_open` says so and nothing else can be reached.
///
/// Unless said otherwise a function may be called from several threads at once, on different objects.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// How a call went. Both strings are static; `call` is NULL on success.
typedef struct {
    /// What was being done: a Vulkan function's name where one failed.
    const char *_Nullable call;
    /// The result's name, or the reason in words.
    const char *_Nullable result;
} VulkanStatus;

typedef struct VulkanInstance VulkanInstance;
typedef struct VulkanDeviceHandle VulkanDeviceHandle;
typedef struct VulkanMemory VulkanMemory;
typedef struct VulkanPipeline VulkanPipeline;
typedef struct VulkanCommands VulkanCommands;

// MARK: Physical devices

typedef struct {
    char name[256];
    /// `discrete GPU`, `integrated GPU`, `virtual GPU`, `CPU` or `other`.
    const char *kind;
    /// Why this device cannot run compute graphs, or NULL.
    const char *_Nullable unusable;
    uint32_t api_major, api_minor;
    /// Most bytes that one binding of a shader may span.
    uint64_t max_binding_bytes;
    /// Most bytes of one allocation.
    uint64_t max_memory_bytes;
    /// Most workgroups of a dispatch along x and y.
    uint32_t max_groups_x, max_groups_y;
} VulkanDeviceInfo;

/// Opens the loader and an instance: once; later calls return the first one's result.
VulkanStatus vulkan_open(VulkanInstance *_Nullable *_Nonnull instance);
uint32_t vulkan_device_count(VulkanInstance *instance);
VulkanDeviceInfo vulkan_device_info(VulkanInstance *instance, uint32_t index);

/// Makes a device with one compute queue. It lives as long as the process.
/// - Parameter separate_memory: whether device memory is treated as invisible to the host even where it
///   is not, so that the path of discrete GPUs can be tested anywhere.
VulkanStatus vulkan_device_open(
    VulkanInstance *instance, uint32_t index, bool separate_memory,
    VulkanDeviceHandle *_Nullable *_Nonnull device);

// MARK: Memory

typedef enum {
    /// Fast for shaders.
    VulkanMemoryDevice,
    /// Visible to the host; for transfers.
    VulkanMemoryHost,
} VulkanMemoryKind;

/// One allocation with one buffer over it.
/// - Parameter address: where the host sees it, NULL where it does not. Host memory is always seen.
VulkanStatus vulkan_memory_create(
    VulkanDeviceHandle *device, VulkanMemoryKind kind, uint64_t bytes,
    VulkanMemory *_Nullable *_Nonnull memory, void *_Nullable *_Nonnull address);
void vulkan_memory_destroy(VulkanDeviceHandle *device, VulkanMemory *memory);

// MARK: Pipelines

/// A compute pipeline of SPIR-V whose entry point is `main`.
/// - Parameters:
///   - bindings: number of storage buffers, bound as 0, 1, … of descriptor set 0.
///   - constants: specialisation constants 0, 1, …
/// Push constants take `VULKAN_PUSH_BYTES` at most. The pipeline lives as long as the process.
VulkanStatus vulkan_pipeline_create(
    VulkanDeviceHandle *device, const uint32_t *words, size_t word_count, uint32_t bindings,
    const uint32_t *_Nullable constants, uint32_t constant_count,
    VulkanPipeline *_Nullable *_Nonnull pipeline);

/// What every Vulkan device has at least.
enum { VULKAN_PUSH_BYTES = 128, VULKAN_MAX_BINDINGS = 10 };

// MARK: Commands

/// A range of a memory's buffer. Offsets of bindings are multiples of 256.
typedef struct {
    VulkanMemory *memory;
    uint64_t offset, bytes;
} VulkanRange;

/// A command buffer that can be recorded, run and recorded again; used from one thread at a time.
VulkanStatus vulkan_commands_create(
    VulkanDeviceHandle *device, VulkanCommands *_Nullable *_Nonnull commands);
void vulkan_commands_destroy(VulkanCommands *commands);

/// Forgets what was recorded and starts anew.
VulkanStatus vulkan_commands_begin(VulkanCommands *commands);
VulkanStatus vulkan_commands_dispatch(
    VulkanCommands *commands, VulkanPipeline *pipeline, const VulkanRange *ranges, uint32_t range_count,
    const uint32_t *push, uint32_t push_count, uint32_t groups_x, uint32_t groups_y);
void vulkan_commands_copy(VulkanCommands *commands, VulkanRange from, VulkanRange to);
/// Zeroes a range whose offset and size are multiples of 4.
void vulkan_commands_clear(VulkanCommands *commands, VulkanRange range);
/// Makes all writes so far visible to what is recorded after.
void vulkan_commands_barrier(VulkanCommands *commands);
/// Ends the recording; all its writes are visible to the host and to later commands.
VulkanStatus vulkan_commands_end(VulkanCommands *commands);
/// Runs what was recorded and waits for its end.
VulkanStatus vulkan_commands_run(VulkanCommands *commands);

// MARK: Shaders

/// The SPIR-V of `Sources/VulkanDevice/Shaders/<name>.comp`, or NULL if there is no such shader.
const uint32_t *_Nullable vulkan_shader(const char *name, size_t *word_count);

#pragma clang assume_nonnull end
