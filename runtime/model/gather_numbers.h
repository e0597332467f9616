#pragma once

#include <span>
#include <vector>

#include "parallel/communicator.h"

namespace rubato {

/// Every rank's numbers, equally many of each: [tp, mine.size()].
std::vector<double> gather_numbers(Communicator& communicator, std::span<const double> mine);

}  // namespace rubato
