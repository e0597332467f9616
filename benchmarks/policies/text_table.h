#pragma once

#include <string>
#include <vector>

namespace rubato {

/// A number with so many digits behind the point.
std::string fixed(double value, int decimals);

/// Columns as wide as their longest cell: the first ones to the left, the others, numbers, to the
/// right.
class TextTable {
 public:
  explicit TextTable(std::size_t left_columns) : left_columns_(left_columns) {}

  /// All rows have as many cells.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  std::string text() const;

 private:
  int width(std::size_t column) const;

  std::size_t left_columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace rubato
