#include "CVulkan.h"

static VulkanStatus failure(const char *call, const char *result) {
    return (VulkanStatus){call, result};
}

#if __has_include(<vulkan/vulkan.h>)

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// MARK: Entry points

#define INSTANCE_CALLS(X)                                                                             \
    X(vkEnumeratePhysicalDevices) X(vkGetPhysicalDeviceProperties2)                                   \
    X(vkGetPhysicalDeviceQueueFamilyProperties) X(vkGetPhysicalDeviceMemoryProperties)                \
    X(vkCreateDevice) X(vkGetDeviceProcAddr)

#define DEVICE_CALLS(X)                                                                               \
    X(vkGetDeviceQueue) X(vkCreateBuffer) X(vkDestroyBuffer) X(vkGetBufferMemoryRequirements)         \
    X(vkAllocateMemory) X(vkFreeMemory) X(vkBindBufferMemory) X(vkMapMemory)                          \
    X(vkCreateDescriptorSetLayout) X(vkDestroyDescriptorSetLayout)                                    \
    X(vkCreatePipelineLayout) X(vkDestroyPipelineLayout)                                              \
    X(vkCreateShaderModule) X(vkDestroyShaderModule) X(vkCreateComputePipelines)                      \
    X(vkCreateDescriptorPool) X(vkDestroyDescriptorPool) X(vkResetDescriptorPool)                     \
    X(vkAllocateDescriptorSets) X(vkUpdateDescriptorSets)                                             \
    X(vkCreateCommandPool) X(vkDestroyCommandPool) X(vkResetCommandPool) X(vkAllocateCommandBuffers)  \
    X(vkBeginCommandBuffer) X(vkEndCommandBuffer) X(vkCmdBindPipeline) X(vkCmdBindDescriptorSets)     \
    X(vkCmdPushConstants) X(vkCmdDispatch) X(vkCmdPipelineBarrier) X(vkCmdCopyBuffer)                 \
    X(vkCmdFillBuffer) X(vkCreateFence) X(vkDestroyFence) X(vkResetFences) X(vkWaitForFences)         \
    X(vkQueueSubmit)

#define DECLARE(name) PFN_##name name;

/// The compute families and limits of a physical device, read once.
typedef struct {
    VkPhysicalDevice handle;
    uint32_t queue_family;
    VulkanDeviceInfo info;
} PhysicalDevice;

struct VulkanInstance {
    VkInstance handle;
    INSTANCE_CALLS(DECLARE)
    PhysicalDevice *devices;
    uint32_t device_count;
};

struct VulkanDeviceHandle {
    VkDevice handle;
    VkQueue queue;
    uint32_t queue_family;
    VkPhysicalDeviceMemoryProperties memory;
    uint64_t max_memory_bytes;
    /// Whether the host writes device memory itself: no copy is gained by staging.
    bool unified;
    /// A queue takes one submission at a time.
    pthread_mutex_t queue_lock;
    DEVICE_CALLS(DECLARE)
};

static const char *result_name(VkResult result) {
    switch (result) {
#define NAME(code) case code: return #code;
    NAME(VK_SUCCESS) NAME(VK_NOT_READY) NAME(VK_TIMEOUT) NAME(VK_INCOMPLETE)
    NAME(VK_ERROR_OUT_OF_HOST_MEMORY) NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY)
    NAME(VK_ERROR_INITIALIZATION_FAILED) NAME(VK_ERROR_DEVICE_LOST) NAME(VK_ERROR_MEMORY_MAP_FAILED)
    NAME(VK_ERROR_LAYER_NOT_PRESENT) NAME(VK_ERROR_EXTENSION_NOT_PRESENT)
    NAME(VK_ERROR_FEATURE_NOT_PRESENT) NAME(VK_ERROR_INCOMPATIBLE_DRIVER)
    NAME(VK_ERROR_TOO_MANY_OBJECTS) NAME(VK_ERROR_FRAGMENTED_POOL) NAME(VK_ERROR_OUT_OF_POOL_MEMORY)
    NAME(VK_ERROR_UNKNOWN)
#undef NAME
    default: return "a result outside Vulkan 1.1";
    }
}

/// Calls `function` and returns from the caller if it failed.
#define TRY(function, ...)                                                                            \
    do {                                                                                              \
        VkResult try_result = (function)(__VA_ARGS__);                                                \
        if (try_result < 0) return failure(call_name(#function), result_name(try_result));            \
    } while (0)

/// `vkCreateDevice` of `instance->vkCreateDevice`.
static const char *call_name(const char *expression) {
    const char *arrow = strrchr(expression, '>');
    return arrow ? arrow + 1 : expression;
}

static const VulkanStatus success = {NULL, NULL};
static const VulkanStatus out_of_host_memory = {"malloc", "VK_ERROR_OUT_OF_HOST_MEMORY"};

// MARK: Physical devices

static const char *kind_name(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete GPU";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated GPU";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual GPU";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "CPU";
    default: return "other";
    }
}

/// A family with compute, preferably without graphics: such queues are not shared with a display.
static bool find_compute_queue(const VulkanInstance *instance, PhysicalDevice *device) {
    uint32_t count = 0;
    instance->vkGetPhysicalDeviceQueueFamilyProperties(device->handle, &count, NULL);
    VkQueueFamilyProperties *families = calloc(count ? count : 1, sizeof *families);
    if (!families) return false;
    instance->vkGetPhysicalDeviceQueueFamilyProperties(device->handle, &count, families);
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        VkQueueFlags flags = families[i].queueFlags;
        if (!(flags & VK_QUEUE_COMPUTE_BIT) || families[i].queueCount == 0) continue;
        if (found && (flags & VK_QUEUE_GRAPHICS_BIT)) continue;
        device->queue_family = i;
        found = true;
        if (!(flags & VK_QUEUE_GRAPHICS_BIT)) break;
    }
    free(families);
    return found;
}

static void describe(const VulkanInstance *instance, PhysicalDevice *device) {
    VkPhysicalDeviceMaintenance3Properties maintenance = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &maintenance};
    instance->vkGetPhysicalDeviceProperties2(device->handle, &properties);
    const VkPhysicalDeviceProperties *core = &properties.properties;
    const VkPhysicalDeviceLimits *limits = &core->limits;

    VulkanDeviceInfo *info = &device->info;
    snprintf(info->name, sizeof info->name, "%s", core->deviceName);
    info->kind = kind_name(core->deviceType);
    info->api_major = VK_API_VERSION_MAJOR(core->apiVersion);
    info->api_minor = VK_API_VERSION_MINOR(core->apiVersion);
    info->max_binding_bytes = limits->maxStorageBufferRange;
    info->max_memory_bytes = maintenance.maxMemoryAllocationSize;
    info->max_groups_x = limits->maxComputeWorkGroupCount[0];
    info->max_groups_y = limits->maxComputeWorkGroupCount[1];
    if (core->apiVersion < VK_API_VERSION_1_1) {
        info->unusable = "its driver implements Vulkan 1.0 only; 1.1 is needed";
    } else if (limits->maxPerStageDescriptorStorageBuffers < VULKAN_MAX_BINDINGS) {
        info->unusable = "too few storage buffers for each shader stage; 10 are needed";
    } else if (limits->maxComputeWorkGroupInvocations < 128 || limits->maxComputeWorkGroupSize[0] < 128) {
        info->unusable = "compute workgroups of less than 128 invocations";
    } else if (!find_compute_queue(instance, device)) {
        info->unusable = "its driver has no compute queue";
    }
}

static VulkanStatus open_instance(VulkanInstance *instance) {
#ifdef __APPLE__
    const char *library = "libvulkan.1.dylib";
#else
    const char *library = "libvulkan.so.1";
#endif
    void *loader = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!loader) {
        static char reason[256];
        const char *error = dlerror();
        snprintf(reason, sizeof reason, "no Vulkan loader on this machine (%s)", error ? error : library);
        return failure("dlopen", reason);
    }
    PFN_vkGetInstanceProcAddr get =
        (PFN_vkGetInstanceProcAddr)(uintptr_t)dlsym(loader, "vkGetInstanceProcAddr");
    if (!get) return failure("dlsym", "the Vulkan loader lacks vkGetInstanceProcAddr");

    PFN_vkCreateInstance vkCreateInstance = (PFN_vkCreateInstance)get(NULL, "vkCreateInstance");
    if (!vkCreateInstance) return failure("vkGetInstanceProcAddr", "the Vulkan loader lacks vkCreateInstance");
    if (!get(NULL, "vkEnumerateInstanceVersion"))
        return failure("vkGetInstanceProcAddr", "the Vulkan loader is of Vulkan 1.0; 1.1 is needed");

    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "gguf-fuzz",
        .apiVersion = VK_API_VERSION_1_1};
    VkInstanceCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    VkResult created = vkCreateInstance(&create, NULL, &instance->handle);
    if (created == VK_ERROR_INCOMPATIBLE_DRIVER)
        return failure("vkCreateInstance", "the Vulkan loader found no driver (VK_ERROR_INCOMPATIBLE_DRIVER)");
    if (created < 0) return failure("vkCreateInstance", result_name(created));

#define LOAD(name)                                                                                    \
    instance->name = (PFN_##name)get(instance->handle, #name);                                        \
    if (!instance->name) return failure("vkGetInstanceProcAddr", "the Vulkan loader lacks " #name);
    INSTANCE_CALLS(LOAD)
#undef LOAD

    uint32_t count = 0;
    TRY(instance->vkEnumeratePhysicalDevices, instance->handle, &count, NULL);
    if (count == 0) return failure("vkEnumeratePhysicalDevices", "the Vulkan loader found no driver with a device");
    VkPhysicalDevice *handles = calloc(count, sizeof *handles);
    instance->devices = calloc(count, sizeof *instance->devices);
    if (!handles || !instance->devices) {
        free(handles);
        return out_of_host_memory;
    }
    VkResult enumerated = instance->vkEnumeratePhysicalDevices(instance->handle, &count, handles);
    for (uint32_t i = 0; enumerated >= 0 && i < count; i++) {
        instance->devices[i].handle = handles[i];
        describe(instance, &instance->devices[i]);
    }
    free(handles);
    if (enumerated < 0) return failure("vkEnumeratePhysicalDevices", result_name(enumerated));
    instance->device_count = count;
    return success;
}

static VulkanInstance the_instance;
static VulkanStatus the_instance_status;
static void open_the_instance(void) { the_instance_status = open_instance(&the_instance); }

VulkanStatus vulkan_open(VulkanInstance **instance) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_the_instance);
    *instance = the_instance_status.call ? NULL : &the_instance;
    return the_instance_status;
}

uint32_t vulkan_device_count(VulkanInstance *instance) { return instance->device_count; }

VulkanDeviceInfo vulkan_device_info(VulkanInstance *instance, uint32_t index) {
    return instance->devices[index].info;
}

VulkanStatus vulkan_device_open(
    VulkanInstance *instance, uint32_t index, bool separate_memory, VulkanDeviceHandle **result
) {
    const PhysicalDevice *physical = &instance->devices[index];
    VulkanDeviceHandle *device = calloc(1, sizeof *device);
    if (!device) return out_of_host_memory;

    const float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = physical->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority};
    VkDeviceCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue};
    VkResult created = instance->vkCreateDevice(physical->handle, &create, NULL, &device->handle);
    if (created < 0) {
        free(device);
        return failure("vkCreateDevice", result_name(created));
    }
#define LOAD(name)                                                                                    \
    device->name = (PFN_##name)instance->vkGetDeviceProcAddr(device->handle, #name);                  \
    if (!device->name) return failure("vkGetDeviceProcAddr", "the driver lacks " #name);
    DEVICE_CALLS(LOAD)
#undef LOAD
    device->queue_family = physical->queue_family;
    device->max_memory_bytes = physical->info.max_memory_bytes;
    device->vkGetDeviceQueue(device->handle, physical->queue_family, 0, &device->queue);
    instance->vkGetPhysicalDeviceMemoryProperties(physical->handle, &device->memory);
    bool shares_memory =
        !strcmp(physical->info.kind, "integrated GPU") || !strcmp(physical->info.kind, "CPU");
    device->unified = shares_memory && !separate_memory;
    pthread_mutex_init(&device->queue_lock, NULL);
    *result = device;
    return success;
}

// MARK: Memory

struct VulkanMemory {
    VkBuffer buffer;
    VkDeviceMemory memory;
};

enum {
    LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
    SEEN = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
    CACHED = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
};

/// The first memory type that the buffer may lie in and that has the flags most wished for. Only
/// coherent types count as seen by the host, so nothing is ever flushed or invalidated.
static bool find_memory_type(
    const VulkanDeviceHandle *device, VulkanMemoryKind kind, uint32_t allowed, uint32_t *index
) {
    const VkMemoryPropertyFlags host[] = {SEEN | CACHED, SEEN};
    const VkMemoryPropertyFlags unified[] = {LOCAL | SEEN | CACHED, LOCAL | SEEN, LOCAL, 0};
    const VkMemoryPropertyFlags separate[] = {LOCAL, 0};
    const VkMemoryPropertyFlags *wishes = host;
    size_t count = 2;
    if (kind == VulkanMemoryDevice) {
        wishes = device->unified ? unified : separate;
        count = device->unified ? 4 : 2;
    }
    for (size_t wish = 0; wish < count; wish++) {
        for (uint32_t i = 0; i < device->memory.memoryTypeCount; i++) {
            VkMemoryPropertyFlags flags = device->memory.memoryTypes[i].propertyFlags;
            if (!(allowed >> i & 1) || (flags & wishes[wish]) != wishes[wish]) continue;
            *index = i;
            return true;
        }
    }
    return false;
}

static VulkanStatus fill_memory(
    VulkanDeviceHandle *device, VulkanMemoryKind kind, uint64_t bytes, VulkanMemory *memory, void **address
) {
    VkBufferCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT
            | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
    TRY(device->vkCreateBuffer, device->handle, &create, NULL, &memory->buffer);
    VkMemoryRequirements needs;
    device->vkGetBufferMemoryRequirements(device->handle, memory->buffer, &needs);
    uint32_t type;
    if (!find_memory_type(device, kind, needs.memoryTypeBits, &type))
        return failure("vkGetBufferMemoryRequirements", "no memory type fits");
    VkMemoryAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = needs.size,
        .memoryTypeIndex = type};
    TRY(device->vkAllocateMemory, device->handle, &allocate, NULL, &memory->memory);
    TRY(device->vkBindBufferMemory, device->handle, memory->buffer, memory->memory, 0);
    bool seen = (device->memory.memoryTypes[type].propertyFlags & SEEN) == SEEN;
    if (kind == VulkanMemoryHost || (device->unified && seen))
        TRY(device->vkMapMemory, device->handle, memory->memory, 0, VK_WHOLE_SIZE, 0, address);
    return success;
}

VulkanStatus vulkan_memory_create(
    VulkanDeviceHandle *device, VulkanMemoryKind kind, uint64_t bytes, VulkanMemory **result, void **address
) {
    *result = NULL;
    *address = NULL;
    if (bytes > device->max_memory_bytes)
        return failure("vkAllocateMemory", "larger than the device's maxMemoryAllocationSize");
    VulkanMemory *memory = calloc(1, sizeof *memory);
    if (!memory) return out_of_host_memory;
    VulkanStatus status = fill_memory(device, kind, bytes, memory, address);
    if (status.call) {
        vulkan_memory_destroy(device, memory);
    } else {
        *result = memory;
    }
    return status;
}

void vulkan_memory_destroy(VulkanDeviceHandle *device, VulkanMemory *memory) {
    device->vkDestroyBuffer(device->handle, memory->buffer, NULL);
    device->vkFreeMemory(device->handle, memory->memory, NULL);
    free(memory);
}

// MARK: Pipelines

struct VulkanPipeline {
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkShaderModule module;
    VkPipeline handle;
};

static VulkanStatus fill_pipeline(
    VulkanDeviceHandle *device, const uint32_t *words, size_t word_count, uint32_t bindings,
    const uint32_t *constants, uint32_t constant_count, VulkanPipeline *pipeline
) {
    VkDescriptorSetLayoutBinding slots[VULKAN_MAX_BINDINGS];
    for (uint32_t i = 0; i < bindings; i++) {
        slots[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    }
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = bindings,
        .pBindings = slots};
    TRY(device->vkCreateDescriptorSetLayout, device->handle, &set, NULL, &pipeline->set_layout);

    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = VULKAN_PUSH_BYTES};
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &pipeline->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &push};
    TRY(device->vkCreatePipelineLayout, device->handle, &layout, NULL, &pipeline->layout);

    VkShaderModuleCreateInfo module = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = word_count * sizeof *words,
        .pCode = words};
    TRY(device->vkCreateShaderModule, device->handle, &module, NULL, &pipeline->module);

    VkSpecializationMapEntry entries[16];
    for (uint32_t i = 0; i < constant_count; i++)
        entries[i] = (VkSpecializationMapEntry){i, i * (uint32_t)sizeof *constants, sizeof *constants};
    VkSpecializationInfo special = {
        .mapEntryCount = constant_count,
        .pMapEntries = entries,
        .dataSize = constant_count * sizeof *constants,
        .pData = constants};
    VkComputePipelineCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
            .stage = VK_SHADER_STAGE_COMPUTE_BIT,
            .module = pipeline->module,
            .pName = "main",
            .pSpecializationInfo = &special},
        .layout = pipeline->layout,
        .basePipelineIndex = -1};
    TRY(device->vkCreateComputePipelines, device->handle, VK_NULL_HANDLE, 1, &create, NULL, &pipeline->handle);
    return success;
}

VulkanStatus vulkan_pipeline_create(
    VulkanDeviceHandle *device, const uint32_t *words, size_t word_count, uint32_t bindings,
    const uint32_t *constants, uint32_t constant_count, VulkanPipeline **result
) {
    *result = NULL;
    if (bindings > VULKAN_MAX_BINDINGS || constant_count > 16)
        return failure("vulkan_pipeline_create", "too many bindings or constants");
    VulkanPipeline *pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline) return out_of_host_memory;
    VulkanStatus status =
        fill_pipeline(device, words, word_count, bindings, constants, constant_count, pipeline);
    // The module is of no use once the pipeline is made.
    device->vkDestroyShaderModule(device->handle, pipeline->module, NULL);
    pipeline->module = VK_NULL_HANDLE;
    if (status.call) {
        device->vkDestroyPipelineLayout(device->handle, pipeline->layout, NULL);
        device->vkDestroyDescriptorSetLayout(device->handle, pipeline->set_layout, NULL);
        free(pipeline);
    } else {
        *result = pipeline;
    }
    return status;
}

// MARK: Commands

enum { SETS_PER_POOL = 64 };

struct VulkanCommands {
    VulkanDeviceHandle *device;
    VkCommandPool pool;
    VkCommandBuffer buffer;
    VkFence fence;
    VkDescriptorPool *set_pools;
    uint32_t set_pool_count;
    /// Sets taken since the recording began, over all pools.
    uint32_t set_count;
};

static VulkanStatus fill_commands(VulkanCommands *commands) {
    VulkanDeviceHandle *device = commands->device;
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .queueFamilyIndex = device->queue_family};
    TRY(device->vkCreateCommandPool, device->handle, &pool, NULL, &commands->pool);
    VkCommandBufferAllocateInfo buffer = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = commands->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1};
    TRY(device->vkAllocateCommandBuffers, device->handle, &buffer, &commands->buffer);
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    TRY(device->vkCreateFence, device->handle, &fence, NULL, &commands->fence);
    return success;
}

VulkanStatus vulkan_commands_create(VulkanDeviceHandle *device, VulkanCommands **result) {
    *result = NULL;
    VulkanCommands *commands = calloc(1, sizeof *commands);
    if (!commands) return out_of_host_memory;
    commands->device = device;
    VulkanStatus status = fill_commands(commands);
    if (status.call) {
        vulkan_commands_destroy(commands);
    } else {
        *result = commands;
    }
    return status;
}

void vulkan_commands_destroy(VulkanCommands *commands) {
    VulkanDeviceHandle *device = commands->device;
    for (uint32_t i = 0; i < commands->set_pool_count; i++)
        device->vkDestroyDescriptorPool(device->handle, commands->set_pools[i], NULL);
    free(commands->set_pools);
    device->vkDestroyFence(device->handle, commands->fence, NULL);
    device->vkDestroyCommandPool(device->handle, commands->pool, NULL);
    free(commands);
}

/// Only global barriers are used: the ranges that depend on each other are the caller's knowledge, and
/// drivers gain nothing from buffer barriers on one queue.
static void barrier(VulkanCommands *commands, VkPipelineStageFlags extra_stage, VkAccessFlags extra_access) {
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkAccessFlags writes = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    const VkAccessFlags reads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
    VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = writes,
        .dstAccessMask = reads | writes | extra_access};
    commands->device->vkCmdPipelineBarrier(
        commands->buffer, stages, stages | extra_stage, 0, 1, &memory, 0, NULL, 0, NULL);
}

VulkanStatus vulkan_commands_begin(VulkanCommands *commands) {
    VulkanDeviceHandle *device = commands->device;
    TRY(device->vkResetCommandPool, device->handle, commands->pool, 0);
    for (uint32_t i = 0; i < commands->set_pool_count; i++)
        TRY(device->vkResetDescriptorPool, device->handle, commands->set_pools[i], 0);
    commands->set_count = 0;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    TRY(device->vkBeginCommandBuffer, commands->buffer, &begin);
    return success;
}

static VulkanStatus add_set_pool(VulkanCommands *commands) {
    VkDescriptorPool *pools =
        realloc(commands->set_pools, (commands->set_pool_count + 1) * sizeof *commands->set_pools);
    if (!pools) return out_of_host_memory;
    commands->set_pools = pools;
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SETS_PER_POOL * VULKAN_MAX_BINDINGS};
    VkDescriptorPoolCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = SETS_PER_POOL,
        .poolSizeCount = 1,
        .pPoolSizes = &size};
    TRY(commands->device->vkCreateDescriptorPool, commands->device->handle, &create, NULL,
        &pools[commands->set_pool_count]);
    commands->set_pool_count++;
    return success;
}

VulkanStatus vulkan_commands_dispatch(
    VulkanCommands *commands, VulkanPipeline *pipeline, const VulkanRange *ranges, uint32_t range_count,
    const uint32_t *push, uint32_t push_count, uint32_t groups_x, uint32_t groups_y
) {
    VulkanDeviceHandle *device = commands->device;
    if (range_count > VULKAN_MAX_BINDINGS || push_count * sizeof *push > VULKAN_PUSH_BYTES)
        return failure("vulkan_commands_dispatch", "too many bindings or push constants");
    if (commands->set_count == commands->set_pool_count * SETS_PER_POOL) {
        VulkanStatus status = add_set_pool(commands);
        if (status.call) return status;
    }
    VkDescriptorSet set;
    VkDescriptorSetAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = commands->set_pools[commands->set_count / SETS_PER_POOL],
        .descriptorSetCount = 1,
        .pSetLayouts = &pipeline->set_layout};
    TRY(device->vkAllocateDescriptorSets, device->handle, &allocate, &set);
    commands->set_count++;

    VkDescriptorBufferInfo buffers[VULKAN_MAX_BINDINGS];
    VkWriteDescriptorSet writes[VULKAN_MAX_BINDINGS];
    for (uint32_t i = 0; i < range_count; i++) {
        buffers[i] = (VkDescriptorBufferInfo){ranges[i].memory->buffer, ranges[i].offset, ranges[i].bytes};
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = set,
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &buffers[i]};
    }
    device->vkUpdateDescriptorSets(device->handle, range_count, writes, 0, NULL);

    VkCommandBuffer buffer = commands->buffer;
    device->vkCmdBindPipeline(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->handle);
    device->vkCmdBindDescriptorSets(
        buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1, &set, 0, NULL);
    if (push_count)
        device->vkCmdPushConstants(
            buffer, pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, push_count * sizeof *push, push);
    device->vkCmdDispatch(buffer, groups_x, groups_y, 1);
    return success;
}

void vulkan_commands_copy(VulkanCommands *commands, VulkanRange from, VulkanRange to) {
    VkBufferCopy region = {from.offset, to.offset, from.bytes};
    commands->device->vkCmdCopyBuffer(commands->buffer, from.memory->buffer, to.memory->buffer, 1, &region);
}

void vulkan_commands_clear(VulkanCommands *commands, VulkanRange range) {
    commands->device->vkCmdFillBuffer(commands->buffer, range.memory->buffer, range.offset, range.bytes, 0);
}

void vulkan_commands_barrier(VulkanCommands *commands) { barrier(commands, 0, 0); }

VulkanStatus vulkan_commands_end(VulkanCommands *commands) {
    barrier(commands, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT);
    TRY(commands->device->vkEndCommandBuffer, commands->buffer);
    return success;
}

VulkanStatus vulkan_commands_run(VulkanCommands *commands) {
    VulkanDeviceHandle *device = commands->device;
    TRY(device->vkResetFences, device->handle, 1, &commands->fence);
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &commands->buffer};
    pthread_mutex_lock(&device->queue_lock);
    VkResult submitted = device->vkQueueSubmit(device->queue, 1, &submit, commands->fence);
    pthread_mutex_unlock(&device->queue_lock);
    if (submitted < 0) return failure("vkQueueSubmit", result_name(submitted));
    TRY(device->vkWaitForFences, device->handle, 1, &commands->fence, VK_TRUE, UINT64_MAX);
    return success;
}

#else  // Built without the Vulkan headers: no instance, and so none of the rest, ever exists.

static VulkanStatus absent(void) {
    return failure("vulkan_open", "built without the Vulkan headers (install libvulkan-dev and build again)");
}

VulkanStatus vulkan_open(VulkanInstance **instance) { *instance = NULL; return absent(); }
uint32_t vulkan_device_count(VulkanInstance *instance) { return 0; }
VulkanDeviceInfo vulkan_device_info(VulkanInstance *instance, uint32_t index) {
    return (VulkanDeviceInfo){.kind = "none"};
}
VulkanStatus vulkan_device_open(
    VulkanInstance *instance, uint32_t index, bool separate_memory, VulkanDeviceHandle **device
) { return absent(); }
VulkanStatus vulkan_memory_create(
    VulkanDeviceHandle *device, VulkanMemoryKind kind, uint64_t bytes, VulkanMemory **memory, void **address
) { return absent(); }
void vulkan_memory_destroy(VulkanDeviceHandle *device, VulkanMemory *memory) {}
VulkanStatus vulkan_pipeline_create(
    VulkanDeviceHandle *device, const uint32_t *words, size_t word_count, uint32_t bindings,
    const uint32_t *constants, uint32_t constant_count, VulkanPipeline **pipeline
) { return absent(); }
VulkanStatus vulkan_commands_create(VulkanDeviceHandle *device, VulkanCommands **commands) { return absent(); }
void vulkan_commands_destroy(VulkanCommands *commands) {}
VulkanStatus vulkan_commands_begin(VulkanCommands *commands) { return absent(); }
VulkanStatus vulkan_commands_dispatch(
    VulkanCommands *commands, VulkanPipeline *pipeline, const VulkanRange *ranges, uint32_t range_count,
    const uint32_t *push, uint32_t push_count, uint32_t groups_x, uint32_t groups_y
) { return absent(); }
void vulkan_commands_copy(VulkanCommands *commands, VulkanRange from, VulkanRange to) {}
void vulkan_commands_clear(VulkanCommands *commands, VulkanRange range) {}
void vulkan_commands_barrier(VulkanCommands *commands) {}
VulkanStatus vulkan_commands_end(VulkanCommands *commands) { return absent(); }
VulkanStatus vulkan_commands_run(VulkanCommands *commands) { return absent(); }

#endif
