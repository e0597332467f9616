#pragma once

#include <span>
#include <vector>

#include "runtime/model/buffer.h"
#include "runtime/model/step_sequence.h"

namespace rubato {

/// The sums over heads that a step reduces over ranks, for the drift test (cache/drift.h) and for
/// tracking (attention mass per key): all layers and sequences in one buffer. Engine thread
/// only.
class AttentionSums {
 public:
  /// Lays the buffer out for a step and clears it.
  void reset(std::span<const StepSequence> sequences, int num_layers);

  /// A layer's drift sums of a sequence, `drift_sums_size` floats; empty if not needed.
  std::span<float> drift(int sequence, int layer);

  /// A layer's attention mass of a sequence, [canvas_length]; empty if not needed.
  std::span<float> mass(int sequence, int layer);

  /// All layers' mass of a sequence, [layers, canvas_length].
  std::span<float> all_mass(int sequence);

  /// The whole buffer, for the reduction; empty if nothing is needed.
  at::Tensor tensor() { return buffer_.tensor(size_); }
  bool empty() const { return size_ == 0; }

 private:
  struct Place {
    std::int64_t drift_begin = 0, drift_size = 0;  // size: of one layer
    std::int64_t mass_begin = 0, mass_size = 0;
  };
  std::vector<Place> places_;
  std::int64_t size_ = 0;
  int num_layers_ = 0;
  Buffer buffer_;
};

}  // namespace rubato
