// What every shader begins with: workgroups of 64 invocations, numbered in one dimension.

const uint GROUP = 64;
layout(local_size_x = 64) in;

const float LOWEST = -3.4028235e38;

// The host folds more workgroups than one dimension may have into two.
uint group_index() { return gl_WorkGroupID.x + gl_NumWorkGroups.x * gl_WorkGroupID.y; }
uint lane() { return gl_LocalInvocationID.x; }
uint global_index() { return group_index() * GROUP + lane(); }
