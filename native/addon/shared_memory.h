#pragma once

#include <napi.h>

namespace edge_infer {

/// Memory that a server shares with a worker process, so that a picture crosses between them without passing through
/// a socket. It is an anonymous file; the worker inherits its descriptor.

/// `createSharedMemory(bytes)`: `{ fd, memory }`. Pages are taken when first written.
Napi::Value create_shared_memory(const Napi::CallbackInfo& info);

/// `releaseSharedPages(fd, offset, bytes)`: gives pages back; they read as zeros afterwards.
Napi::Value release_shared_pages(const Napi::CallbackInfo& info);

}  // namespace edge_infer
