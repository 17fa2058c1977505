#pragma once

#include "bytes.h"

namespace edge_infer {

/// A PNG without the chunks that do not change its 8-bit colours (texts, profiles, animation, …): decoders inflate and
/// keep those, so that a small file fills the memory. Empty when the file has none, or is no sequence of chunks.
Bytes without_ancillary_chunks(ByteView file);

}  // namespace edge_infer
