#include "launch/report_file.h"

#include <fstream>

#include "runtime/base/concat.h"

namespace rubato {

Status write_json(const std::string& file, const std::string& report) {
  if (file.empty()) return {};
  std::ofstream out(file);
  out << report << std::flush;
  if (out) return {};
  return Error{Code::kInvalidArgument, concat("cannot write ", file), "--json"};
}

}  // namespace rubato
