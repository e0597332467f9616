#pragma once

// Gumbel noise as runtime/decoding/noise.h defines it. Included by .cu files only.

#include <math.h>

#include "runtime/model/cuda/device_code.h"

namespace rubato::cuda {

constexpr double kMostGumbelNoise = 23;  // as noise.h

/// The random words of four neighbouring tokens; the first one's id is a multiple of 4.
struct NoiseWords {
  std::uint32_t of[4];
};

/// Philox4x32-10.
__device__ __forceinline__ NoiseWords noise_words(const RowQuestion& row, int first_token) {
  NoiseWords words{{static_cast<std::uint32_t>(first_token) >> 2,
                    static_cast<std::uint32_t>(row.position),
                    static_cast<std::uint32_t>(row.step),
                    0}};
  auto key0 = static_cast<std::uint32_t>(row.seed),
       key1 = static_cast<std::uint32_t>(row.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const auto& [a, b, c, d] = words.of;
    words = {{__umulhi(0xCD9E8D57u, c) ^ b ^ key0,
              0xCD9E8D57u * c,
              __umulhi(0xD2511F53u, a) ^ d ^ key1,
              0xD2511F53u * a}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return words;
}

__device__ __forceinline__ double gumbel_noise(std::uint32_t word) {
  const double uniform = (word + 0.5) * 0x1p-32;
  return -log(-log(uniform));
}

__device__ __forceinline__ double gumbel_noise(const RowQuestion& row, int token) {
  const NoiseWords words = noise_words(row, token);
  const std::uint32_t low = (token & 1) != 0 ? words.of[1] : words.of[0];
  const std::uint32_t high = (token & 1) != 0 ? words.of[3] : words.of[2];
  return gumbel_noise((token & 2) != 0 ? high : low);
}

/// Which logits could have a score, logit / temperature + noise, of at least `least`. Says so in
/// floats, where the score itself takes a division and two logarithms in doubles, and never no
/// where the score would be that high.
class NoiseReach {
 public:
  __device__ NoiseReach(double least, double temperature)
      : temperature_(static_cast<float>(temperature)), lowest_(-INFINITY) {
    // Up to here doubles round a score by less than a hundredth.
    if (!(fabs(least) < 0x1p45)) return;
    const double lowest = (least - kMostGumbelNoise) * temperature;
    lowest_ =
        static_cast<float>(lowest - fabs(lowest) * 0x1p-22);  // not above it as a float either
  }

  /// With whatever noise.
  __device__ bool any(float logit) const { return logit >= lowest_; }

  /// With the noise that the word gives: -log(-log(u)) is at most -log(1 - u), which for great
  /// noise is nearly the same. A tenth is more than all that floats round.
  __device__ bool with(float logit, std::uint32_t word) const {
    const float most = -logf((static_cast<float>(~word) + 0.5f) * 0x1p-32f);
    const float missing = static_cast<float>(kMostGumbelNoise) - most - 0.1f;
    return logit - lowest_ >= missing * temperature_;
  }

 private:
  float temperature_;
  float lowest_;
};

}  // namespace rubato::cuda
