// A client's text through the tokenizer and back, whatever its bytes.
#include "runtime/base/check.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/incremental_decoder.h"
#include "runtime/text/normalizer.h"
#include "tests/fuzz/front.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"

namespace rubato::fuzz {
namespace {

void check_normal_form(const std::string& valid, NormalForm form) {
  const std::string once = normalized(valid, form);
  RUBATO_CHECK(once == to_valid_utf8(once));
  RUBATO_CHECK(once == normalized(once, form), once);
}

}  // namespace

void text(std::string_view bytes) {
  Input input(bytes);
  const auto form = static_cast<NormalForm>(input.up_to(3));
  const std::string_view given = input.rest();
  const Tokenizer& tokenizer = front().tokenizer;
  const std::vector<TokenId> ids = tokenizer.encode(given);
  const std::string valid = to_valid_utf8(given);
  RUBATO_CHECK(valid == to_valid_utf8(valid));
  RUBATO_CHECK(tokenizer.decode(ids, /*skip_special=*/true) == valid, valid);
  IncrementalDecoder decoder(tokenizer, /*skip_special=*/true);
  std::string joined;
  for (const TokenId id : ids) joined += decoder.push(id);
  RUBATO_CHECK(joined + decoder.flush() == valid);
  check_normal_form(valid, form);
}

}  // namespace rubato::fuzz
