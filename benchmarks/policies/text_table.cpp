#include "benchmarks/policies/text_table.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace rubato {

std::string fixed(double value, int decimals) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(decimals) << value;
  return std::move(out).str();
}

std::string TextTable::text() const {
  std::ostringstream out;
  for (const std::vector<std::string>& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i)
      out << (i == 0 ? "" : "  ") << (i < left_columns_ ? std::left : std::right)
          << std::setw(width(i)) << row[i];
    out << '\n';
  }
  return std::move(out).str();
}

int TextTable::width(std::size_t column) const {
  std::size_t most = 0;
  for (const auto& row : rows_) most = std::max(most, row[column].size());
  return static_cast<int>(most);
}

}  // namespace rubato
