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

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> available;
#ifdef RUBATO_X86
  // Every feature that CMakeLists.txt compiles a set with.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    available.push_back(&kKernels_avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    available.push_back(&kKernels_avx2);
#endif
  available.push_back(&kKernels_generic);
  return available;
}

const Kernels& kernels() {
  static const Kernels& best = *available_kernels().front();
  return best;
}

}  // namespace rubato
