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

std::vector<Position> most_attended_by_layer(const AttentionMass& attention, int track) {
  const Position n = attention.canvas_length;
  std::vector<float> layer(n);
  std::vector<Position> order(n);
  std::vector<Position> chosen;
  for (std::size_t begin = 0; begin < attention.mass.size(); begin += n) {
    std::ranges::copy(attention.mass.subspan(begin, n), layer.begin());
    for (const Position position : attention.masked) layer[position] = 0;
    add_layer_top(layer, track, order, chosen);
  }
  std::ranges::sort(chosen);
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

std::vector<Position> most_attended_overall(const AttentionMass& attention, int count) {
  std::vector<float> total(attention.canvas_length);
  for (std::size_t i = 0; i < attention.mass.size(); ++i)
    total[i % total.size()] += attention.mass[i];
  std::vector<Position> chosen;
  for (Position p = 0; p < attention.canvas_length; ++p) {
    if (!std::ranges::binary_search(attention.masked, p)) chosen.push_back(p);
  }
  const auto kept = std::min<std::ptrdiff_t>(count, std::ssize(chosen));
  std::ranges::partial_sort(chosen, chosen.begin() + kept, [&](Position a, Position b) {
    return total[a] != total[b] ? total[a] > total[b] : a < b;
  });
  chosen.resize(kept);
  std::ranges::sort(chosen);
  return chosen;
}

}  // namespace rubato
