#pragma once

#include "bytes.h"

namespace edge_infer {

/// Decodes base64 (standard or URL alphabet, padding optional but whole, ASCII white space ignored).
/// Throws BAD_IMAGE naming the position of the first character that does not belong.
Bytes decode_base64(ByteView text);

}  // namespace edge_infer
