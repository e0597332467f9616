#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "parallel/cuda/cuda_check.h"
#include "runtime/base/bfloat16.h"
#include "runtime/model/cuda/device_memory.h"
#include "runtime/model/cuda/kernels.h"

namespace rubato::cuda::testing {

inline bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

/// A test that needs a GPU (or the emulation of one).
class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_gpu()) GTEST_SKIP() << "no NVIDIA GPU here";
  }
};

inline float as_stored(float x, Element element) {
  return element == Element::kFloat32 ? x : from_bfloat16(to_bfloat16(x));
}

/// Normally distributed values that the element type can hold.
inline std::vector<float> random_values(std::int64_t count,
                                        std::uint64_t seed,
                                        Element element,
                                        float deviation = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = as_stored(normal(random), element);
  return values;
}

/// A list on the GPU.
template <class T>
class OnGpu {
 public:
  explicit OnGpu(const std::vector<T>& values) : size_(std::ssize(values)) {
    memory_.as<T>(std::max<std::int64_t>(size_, 1));
    if (size_ == 0) return;
    RUBATO_CUDA(cudaMemcpyAsync(
        memory_.bytes(0), values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice, nullptr));
    RUBATO_CUDA(cudaStreamSynchronize(nullptr));
  }

  T* get() { return memory_.as<T>(0); }

  std::vector<T> read() {
    std::vector<T> values(size_);
    RUBATO_CUDA(cudaMemcpyAsync(
        values.data(), memory_.bytes(0), size_ * sizeof(T), cudaMemcpyDeviceToHost, nullptr));
    RUBATO_CUDA(cudaStreamSynchronize(nullptr));
    return values;
  }

 private:
  std::int64_t size_;
  Memory memory_;
};

/// Numbers on the GPU in the element type.
class Numbers {
 public:
  Numbers(const std::vector<float>& values, Element element)
      : element_(element), floats_({}), halves_({}) {
    if (element == Element::kFloat32) {
      floats_ = OnGpu<float>(values);
    } else {
      std::vector<std::uint16_t> halves;
      for (const float value : values) halves.push_back(to_bfloat16(value));
      halves_ = OnGpu<std::uint16_t>(halves);
    }
  }

  void* get() {
    return element_ == Element::kFloat32 ? static_cast<void*>(floats_.get()) : halves_.get();
  }

  std::vector<float> read() {
    if (element_ == Element::kFloat32) return floats_.read();
    std::vector<float> values;
    for (const std::uint16_t half : halves_.read()) values.push_back(from_bfloat16(half));
    return values;
  }

 private:
  Element element_;
  OnGpu<float> floats_;
  OnGpu<std::uint16_t> halves_;
};

inline constexpr Element kElements[] = {Element::kFloat32, Element::kBFloat16};

/// How far apart a value and its reference may be.
inline float tolerance(Element element) {
  return element == Element::kFloat32 ? 2e-5f : 2e-2f;
}

}  // namespace rubato::cuda::testing
