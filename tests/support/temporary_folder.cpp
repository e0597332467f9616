#include "tests/support/temporary_folder.h"

#include <stdlib.h>

#include "runtime/base/check.h"

namespace rubato::testing {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "rubato-test-XXXXXX").string();
  RUBATO_CHECK(::mkdtemp(name.data()) != nullptr, name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace rubato::testing
