#include "runtime/model/kernels/kernels.h"

namespace rubato {

extern const Kernels kKernels_generic;
#ifdef RUBATO_X86
extern const Kernels kKernels_avx2;
extern const Kernels kKernels_avx512;
#endif

std::int64_t attention_scratch_size(int canvas_length, int head_dim) {
  constexpr std::int64_t kMostTileRows = 12;
  const auto padded = [](std::int64_t count) {
    return (count + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
  };
  return padded(canvas_length) * head_dim + padded(head_dim) * canvas_length +
         kMostTileRows * (padded(canvas_length) + head_dim);
}

const Kernels& kernels() {
#ifdef RUBATO_X86
  static const Kernels& best =
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") ? kKernels_avx512
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")        ? kKernels_avx2
                                                                               : kKernels_generic;
  return best;
#else
  return kKernels_generic;
#endif
}

}  // namespace rubato
