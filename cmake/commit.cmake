# Run by the build (cmake -D SOURCE=... -D OUTPUT=... -P): writes a source file that knows the commit it was built from,
# anew only when that has changed.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" @ONLY CONTENT [[
#include "launch/program.h"

std::string rubato::program_commit() {
  return "@commit@";
}
]])
