#include "error.h"

#include <new>
#include <opencv2/core.hpp>

namespace edge_infer {

Failure current_failure() noexcept {
  // Short enough to need no memory.
  const auto out_of_memory = [] { return Failure{ErrorCode::internal, "Out of memory"}; };
  try {
    try {
      throw;
    } catch (const Error& error) {
      return {error.code(), error.what()};
    } catch (const std::bad_alloc&) {
      return out_of_memory();
    } catch (const cv::Exception& error) {
      if (error.code == cv::Error::StsNoMem) return out_of_memory();
      return {ErrorCode::internal, error.what()};
    } catch (const std::exception& error) {
      return {ErrorCode::internal, error.what()};
    } catch (...) {
      return {ErrorCode::internal, "An exception of an unknown type was thrown"};
    }
  } catch (...) {
    return out_of_memory();
  }
}

}  // namespace edge_infer
