#include "shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "async.h"

namespace edge_infer {
namespace {

[[noreturn]] void fail(Napi::Env env, const char* what) {
  throw make_error(env, ErrorCode::internal, std::string(what) + " failed: " + std::strerror(errno));
}

Napi::Value map(Napi::Env env, int fd, size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) fail(env, "mmap");
  return Napi::Buffer<uint8_t>::New(env, static_cast<uint8_t*>(memory), bytes,
                                    [bytes](Napi::Env, uint8_t* data) { munmap(data, bytes); });
}

}  // namespace

Napi::Value create_shared_memory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto bytes = static_cast<size_t>(info[0].ToNumber().Int64Value());
  const int fd = memfd_create("edge-infer", MFD_CLOEXEC);
  if (fd < 0) fail(env, "memfd_create");
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    close(fd);
    fail(env, "ftruncate");
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("fd", fd);
  object.Set("memory", map(env, fd, bytes));
  return object;
}

Napi::Value release_shared_pages(const Napi::CallbackInfo& info) {
  const int fd = info[0].ToNumber().Int32Value();
  const auto offset = static_cast<off_t>(info[1].ToNumber().Int64Value());
  const auto bytes = static_cast<off_t>(info[2].ToNumber().Int64Value());
  // Where the kernel cannot, the pages simply stay.
  (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
  return info.Env().Undefined();
}

}  // namespace edge_infer
