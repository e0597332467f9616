#include "launch/refuse.h"

#include <iostream>

namespace rubato {

ExitStatus status_of(const Error& error) {
  const bool mistaken = error.code == Code::kInvalidArgument || error.code == Code::kTooLong;
  return mistaken ? kCannotStart : kFailed;
}

ExitStatus refuse(std::string_view command, const Error& error) {
  std::cerr << "rubato " << command << ": " << error.message << '\n';
  return status_of(error);
}

}  // namespace rubato
