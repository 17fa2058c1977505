#pragma once

#include <string>

#include "bytes.h"
#include "wire/json_string.h"

namespace edge_infer {

/// Decodes a Python bytes literal, `b'…'` or `b"…"`, that stands in a JSON string. Nothing is evaluated: the escapes
/// \xNN \n \r \t \\ \' \" and printable ASCII are all there is. Throws BAD_IMAGE with the position of what does not
/// fit.
Bytes decode_bytes_literal(JsonCharacters text);

/// The literal Python's `str(bytes)` writes: `b"…"` when the bytes hold ' and no ", else `b'…'`.
std::string encode_bytes_literal(ByteView bytes);

}  // namespace edge_infer
