// libFuzzer's entry, of the target that the build names.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.h"

// NOLINTNEXTLINE: the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rubato::fuzz::RUBATO_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
