#include "launch/refuse.h"

#include <iostream>

namespace rubato {

ExitStatus refuse(std::string_view command, const Error& error) {
  std::cerr << "rubato " << command << ": " << error.message << '\n';
  return error.code == Code::kInvalidArgument ? kCannotStart : kFailed;
}

}  // namespace rubato
