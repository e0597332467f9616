#pragma once

#include <string>
#include <vector>

namespace rubato {

/// A number with `decimals` digits after the point.
std::string fixed(double value, int decimals);

/// Columns as wide as their longest cell; the first `left_columns` are left-aligned, the others,
/// numbers, right-aligned.
class TextTable {
 public:
  explicit TextTable(std::size_t left_columns) : left_columns_(left_columns) {}

  /// All rows must have the same number of cells.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  std::string text() const;

 private:
  int width(std::size_t column) const;

  std::size_t left_columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace rubato
