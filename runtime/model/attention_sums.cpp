#include "runtime/model/attention_sums.h"

#include <algorithm>

#include "cache/drift.h"

namespace rubato {

void AttentionSums::reset(std::span<const StepSequence> sequences, int num_layers) {
  num_layers_ = num_layers;
  places_.clear();
  size_ = 0;
  for (const StepSequence& sequence : sequences) {
    Place place;
    if (sequence.tests_drift()) {
      place.drift_size =
          drift_sums_size(sequence.drift, sequence.query.num_tracked, sequence.canvas_length());
    }
    if (sequence.track) place.mass_size = sequence.canvas_length();
    place.drift_begin = size_;
    place.mass_begin = size_ + place.drift_size * num_layers;
    size_ = place.mass_begin + place.mass_size * num_layers;
    places_.push_back(place);
  }
  std::fill_n(buffer_.floats(size_), size_, 0.0f);
}

std::span<float> AttentionSums::drift(int sequence, int layer) {
  const Place& place = places_[sequence];
  return {buffer_.floats(size_) + place.drift_begin + layer * place.drift_size,
          static_cast<std::size_t>(place.drift_size)};
}

std::span<float> AttentionSums::mass(int sequence, int layer) {
  const Place& place = places_[sequence];
  return {buffer_.floats(size_) + place.mass_begin + layer * place.mass_size,
          static_cast<std::size_t>(place.mass_size)};
}

std::span<float> AttentionSums::all_mass(int sequence) {
  const Place& place = places_[sequence];
  return {buffer_.floats(size_) + place.mass_begin,
          static_cast<std::size_t>(place.mass_size * num_layers_)};
}

}  // namespace rubato
