#pragma once

/// Compiles a function once for each x86-64 level and picks one when the program is loaded; elsewhere the baseline
/// (NEON on aarch64) serves.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define EDGE_INFER_VECTORIZE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EDGE_INFER_VECTORIZE
#endif
