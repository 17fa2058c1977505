#include "shared_memory.h"

#include <fcntl.h>

#include "convert.h"
#include "posix.h"

namespace edge_infer {

Napi::Value create_shared_memory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const size_t bytes = to_size(info[0], "the bytes of a shared memory", 1);
  FileDescriptor file(memfd_create("edge-infer", MFD_CLOEXEC), "memfd_create");
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) throw_errno("ftruncate");
  Mapping mapping(file.get(), bytes, PROT_READ | PROT_WRITE);
  const auto memory = Napi::Buffer<uint8_t>::New(env, mapping.data(), bytes,
                                                 [bytes](Napi::Env, uint8_t* data) { munmap(data, bytes); });
  (void)mapping.release();
  Napi::Object object = Napi::Object::New(env);
  object.Set("fd", file.get());
  object.Set("memory", memory);
  (void)file.release();
  return object;
}

Napi::Value release_shared_pages(const Napi::CallbackInfo& info) {
  const int file = to_integer(info[0], "a descriptor of memory", 0);
  const auto offset = static_cast<off_t>(to_size(info[1], "an offset"));
  const auto bytes = static_cast<off_t>(to_size(info[2], "a number of bytes", 1));
  // Where the kernel cannot, the pages simply stay.
  (void)fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
  return info.Env().Undefined();
}

}  // namespace edge_infer
