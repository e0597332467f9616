#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runtime/text/tokenizer.h"

namespace rubato {

struct ChatMessage {
  std::string role;
  std::string content;
};

/// LLaDA's chat format: bos once; each message as header tokens around its role, two line ends, its
/// content without outer white space, end of turn; then the assistant's header. Content is plain
/// text: the spelling of a special token in it does not become that token.
class ChatTemplate {
 public:
  /// Recognises the template of `folder`/tokenizer_config.json. Errors: kInvalidArgument, when it
  /// is not LLaDA's or the tokenizer lacks its tokens.
  static Result<ChatTemplate> load(const std::filesystem::path& folder, const Tokenizer& tokenizer);

  /// The template of that name, whatever the checkpoint says: "llada".
  static Result<ChatTemplate> named(std::string_view name, const Tokenizer& tokenizer);

  std::vector<TokenId> encode(const Tokenizer& tokenizer,
                              std::span<const ChatMessage> messages) const;

  /// A lower bound on the length of `encode`'s result, found without tokenizing.
  std::int64_t least_tokens(const Tokenizer& tokenizer,
                            std::span<const ChatMessage> messages) const;

  TokenId end_of_turn() const { return eot_; }

 private:
  TokenId bos_ = 0, start_header_ = 0, end_header_ = 0, eot_ = 0;
};

}  // namespace rubato
