#pragma once

#include <string>
#include <vector>

#include "runtime/checkpoint/checkpoint.h"

namespace rubato {

/// A property by which checkpoints are told apart.
struct Trait {
  std::string name;
  std::string value;

  bool operator==(const Trait&) const = default;
};

/// Identifies `checkpoint`, so that ranks can detect that they would load different models: its
/// configuration field by field, the number and size of its files, a digest of their headers and
/// one of the first and last values of every tensor. Cheap: reads two pages per tensor.
std::vector<Trait> fingerprint(const Checkpoint& checkpoint);

}  // namespace rubato
