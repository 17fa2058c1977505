#pragma once

#include <stdexcept>
#include <string>

namespace edge_infer {

/// The codes of lib/errors.ts that the core throws, and their names there.
#define EDGE_INFER_ERROR_CODES(X)                 \
  X(aborted, "ABORTED")                           \
  X(bad_image, "BAD_IMAGE")                       \
  X(bad_option, "BAD_OPTION")                     \
  X(bad_request, "BAD_REQUEST")                   \
  X(closed, "CLOSED")                             \
  X(inference, "INFERENCE")                       \
  X(internal, "INTERNAL")                         \
  X(model_load, "MODEL_LOAD")                     \
  X(model_output, "MODEL_OUTPUT")                 \
  X(provider_unavailable, "PROVIDER_UNAVAILABLE") \
  X(runtime_unavailable, "RUNTIME_UNAVAILABLE")   \
  X(too_large, "TOO_LARGE")

#define EDGE_INFER_ENUMERATOR(code, name) code,
enum class ErrorCode { EDGE_INFER_ERROR_CODES(EDGE_INFER_ENUMERATOR) };
#undef EDGE_INFER_ENUMERATOR

#define EDGE_INFER_NAME(code, name) name,
inline constexpr const char* kErrorCodeNames[] = {EDGE_INFER_ERROR_CODES(EDGE_INFER_NAME)};
#undef EDGE_INFER_NAME

constexpr const char* name_of(ErrorCode code) { return kErrorCodeNames[static_cast<int>(code)]; }

/// An error a user can meet.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

/// What went wrong, once the exception is gone.
struct Failure {
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

/// The exception that is being handled, whatever its type. For use in a catch block.
Failure current_failure() noexcept;

}  // namespace edge_infer
