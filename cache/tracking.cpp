#include "cache/tracking.h"

#include <algorithm>
#include <numeric>

namespace rubato {
namespace {

void add_layer_top(std::span<const float> mass,
                   int track,
                   std::vector<Position>& order,
                   std::vector<Position>& chosen) {
  if (track == 1) {  // the default, without a partial sort
    chosen.push_back(static_cast<Position>(std::ranges::max_element(mass) - mass.begin()));
    return;
  }
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min<std::ptrdiff_t>(track, std::ssize(order));
  std::partial_sort(order.begin(), end, order.end(), [&](Position a, Position b) {
    return mass[a] != mass[b] ? mass[a] > mass[b] : a < b;
  });
  chosen.insert(chosen.end(), order.begin(), end);
}

}  // namespace

std::vector<Position> most_attended(std::span<const float> mass,
                                    Position canvas_length,
                                    std::span<const Position> masked,
                                    int track) {
  std::vector<float> layer(canvas_length);
  std::vector<Position> order(canvas_length);
  std::vector<Position> chosen;
  for (std::size_t begin = 0; begin < mass.size(); begin += canvas_length) {
    std::ranges::copy(mass.subspan(begin, canvas_length), layer.begin());
    for (const Position position : masked) layer[position] = 0;
    add_layer_top(layer, track, order, chosen);
  }
  std::ranges::sort(chosen);
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

}  // namespace rubato
