#pragma once

#include "error.h"

namespace edge_infer {

/// Calls `act`, which may refuse its input with an Error; any other exception ends the fuzzer.
template <typename Act>
void refuses_or_returns(Act act) {
  try {
    act();
  } catch (const Error&) {
  }
}

}  // namespace edge_infer
