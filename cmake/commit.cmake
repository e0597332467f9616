# Run by the build (cmake -D SOURCE=... -D OUTPUT=... -P): writes a source file that knows the commit it was built from,
# anew only when that has changed.
execute_process(COMMAND git -C "${SOURCE}" rev-parse --short=12 HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
# What differs in documents alone is the same program: benchmarks/results writes its reports there as it goes.
execute_process(COMMAND git -C "${SOURCE}" diff --quiet HEAD -- . ":(exclude)docs" ":(exclude)*.md"
  ERROR_QUIET RESULT_VARIABLE changed)
if(changed)
  string(APPEND commit "-dirty")
endif()
if(failed)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" @ONLY CONTENT [[
#include "launch/program.h"

std::string rubato::program_commit() {
  return "@commit@";
}
]])
