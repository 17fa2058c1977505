#pragma once

#include <atomic>

#include "bytes.h"
#include "image/image.h"

namespace edge_infer {

/// Reads the JSON text of `ndarray.tolist()` of an OpenCV image: H × W × 3 (BGR) or H × W (grey), integers 0 to 255.
/// Throws BAD_IMAGE for ragged rows, other values or shapes; TOO_LARGE; ABORTED.
Frame decode_nested_list(ByteView json, const std::atomic<bool>* cancelled);

/// The same for a list that is followed by other text; `length` is that of the list's own text.
Frame decode_nested_list_prefix(ByteView json, const std::atomic<bool>* cancelled, size_t& length);

}  // namespace edge_infer
