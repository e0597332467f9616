#pragma once

#include <string>
#include <vector>

#include "runtime/checkpoint/checkpoint.h"

namespace rubato {

/// One of the things by which checkpoints differ.
struct Trait {
  std::string name;
  std::string value;

  bool operator==(const Trait&) const = default;
};

/// What tells `checkpoint` from another one, so that ranks find out that they would load different
/// models: its configuration field by field, the number and size of its files, a digest of their
/// headers and one of the first and last values of every tensor. Cheap: reads two pages a tensor.
std::vector<Trait> fingerprint(const Checkpoint& checkpoint);

}  // namespace rubato
