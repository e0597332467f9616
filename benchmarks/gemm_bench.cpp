// y = x W^T on one thread: our kernel (exact whatever the batch) beside at::linear (MKL), for the
// embedded model's shapes and for one of LLaDA-8B's. Arguments: rows, n, k.
//   build/benchmarks/gemm_bench --benchmark_counters_tabular=true
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "runtime/model/kernels/kernels.h"

namespace rubato {
namespace {

std::int64_t num_panels(std::int64_t n) {
  return (n + kPanelWidth - 1) / kPanelWidth;
}

template <class T>
at::Tensor packed(const at::Tensor& w) {
  const std::int64_t n = w.size(0), k = w.size(1);
  const at::Tensor rows =
      w.to(sizeof(T) == 2 ? at::kBFloat16 : at::kFloat).reshape({n / kPanelWidth, kPanelWidth, k});
  return rows.transpose(1, 2).contiguous();
}

void report(benchmark::State& state) {
  const double operations =
      2.0 * static_cast<double>(state.range(0) * state.range(1) * state.range(2));
  state.counters["GFLOP/s"] =
      benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

template <class T>
void packed_gemm(benchmark::State& state) {
  at::set_num_threads(1);
  const std::int64_t rows = state.range(0), n = state.range(1), k = state.range(2);
  const at::Tensor x = at::randn({rows, k}), weights = packed<T>(at::randn({n, k}));
  const PackedWeights w{
      weights.data_ptr(), sizeof(T) == 2 ? Storage::kBFloat16 : Storage::kFloat32, n, k, 1};
  at::Tensor y = at::empty({rows, n});
  for (auto _ : state) {
    kernels().gemm(x.data_ptr<float>(), rows, k, w, y.data_ptr<float>(), n, 0, num_panels(n));
    benchmark::ClobberMemory();
  }
  state.SetLabel(kernels().name);
  report(state);
}

void aten_linear(benchmark::State& state) {
  at::set_num_threads(1);
  const std::int64_t rows = state.range(0), n = state.range(1), k = state.range(2);
  const at::Tensor x = at::randn({rows, k}), w = at::randn({n, k});
  for (auto _ : state) benchmark::DoNotOptimize(at::linear(x, w));
  report(state);
}

void embedded_model_shapes(benchmark::internal::Benchmark* bench) {
  for (const std::int64_t rows : {1, 4, 16, 20, 100, 512, 1000}) {
    bench->Args({rows, 256, 256})->Args({rows, 768, 256})->Args({rows, 256, 768});
  }
}

void all_shapes(benchmark::internal::Benchmark* bench) {
  embedded_model_shapes(bench);
  for (const std::int64_t rows : {1, 16, 128}) bench->Args({rows, 12288, 4096});
}

BENCHMARK_TEMPLATE(packed_gemm, float)->Apply(all_shapes);
BENCHMARK(aten_linear)->Apply(all_shapes);
BENCHMARK_TEMPLATE(packed_gemm, std::uint16_t)->Apply(all_shapes);

}  // namespace
}  // namespace rubato
