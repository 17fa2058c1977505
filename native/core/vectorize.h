#pragma once

/// Compiles a function once for each x86-64 level and picks one when the program is loaded; elsewhere the baseline
/// (NEON on aarch64) serves. ThreadSanitizer instruments the choice, which is made before it is ready.
#if !defined(__x86_64__) || !defined(__GNUC__) || defined(__clang__) || defined(__SANITIZE_THREAD__)
#define EDGE_INFER_VECTORIZE
#elif __GNUC__ >= 12
#define EDGE_INFER_VECTORIZE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else  // Compilers that do not know the levels; AVX2 is then used without fused multiply-add.
#define EDGE_INFER_VECTORIZE __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
