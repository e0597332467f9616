#include "runtime/model/kernels/kernels.h"

namespace rubato {

extern const Kernels kKernels_generic;
#ifdef RUBATO_X86
extern const Kernels kKernels_avx2;
extern const Kernels kKernels_avx512;
#endif

std::int64_t attention_scratch_size(int canvas_length, int head_dim) {
  return std::int64_t{2} * canvas_length * head_dim +        // keys, values
         std::int64_t{32} * (canvas_length + 2 * head_dim);  // weights; queries, outputs
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
