#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache/types.h"
#include "runtime/base/error.h"

namespace rubato {

class PreTokenizer;
enum class NormalForm;

/// What the file's post-processor puts around a text.
struct SpecialFrame {
  std::vector<TokenId> before;
  std::vector<TokenId> after;
};

/// A byte-level BPE tokenizer as `tokenizer.json` describes it. Const methods may run on several
/// threads at once.
class Tokenizer {
 public:
  /// Errors: kInvalidArgument, naming the file and the key: malformed, or a component that is not
  /// supported. Supported are Unicode's normal forms as normalizers; as pre-tokenizer a
  /// regular-expression Split, a ByteLevel, or both; TemplateProcessing and ByteLevel as
  /// post-processors.
  static Result<Tokenizer> load(const std::filesystem::path& tokenizer_json);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// The ids of plain text, normalised as the file says. Strings that look like special tokens are
  /// also text. Invalid UTF-8 becomes U+FFFD.
  std::vector<TokenId> encode(std::string_view utf8) const;

  /// The same, with the special tokens that the file's post-processor puts around a text (in most
  /// files none).
  std::vector<TokenId> encode_framed(std::string_view utf8) const;

  /// The text of ids; invalid UTF-8 becomes U+FFFD, unknown ids become nothing.
  std::string decode(std::span<const TokenId> ids, bool skip_special) const;

  /// The bytes that an id stands for, possibly part of a UTF-8 character; empty for unknown ids.
  std::string_view token_bytes(TokenId id) const;

  std::optional<TokenId> token_to_id(std::string_view token) const;
  bool is_special(TokenId id) const;

  /// The least number of tokens that any text of that many bytes can have.
  std::int64_t least_tokens(std::size_t num_bytes) const;

  /// One past the highest id.
  int vocabulary_size() const { return static_cast<int>(bytes_.size()); }

 private:
  friend class TokenizerLoader;
  struct Merge {
    std::int32_t rank = 0;
    TokenId result = 0;
  };

  Tokenizer();
  void encode_piece(std::string_view piece, std::vector<TokenId>& ids) const;

  std::vector<NormalForm> normal_forms_;  // applied in order
  std::unique_ptr<const PreTokenizer> pre_tokenizer_;
  SpecialFrame frame_;
  std::unordered_map<std::string, TokenId> id_of_;        // by the file's spelling
  std::unordered_map<std::string, TokenId> id_of_bytes_;  // model tokens only
  std::unordered_map<std::uint64_t, Merge> merges_;       // left << 32 | right
  std::vector<std::string> bytes_;                        // by id
  std::vector<bool> special_;
  std::size_t longest_ = 1;  // of bytes_
  TokenId byte_ids_[256];    // the token of a single byte
  bool ignore_merges_ = false;
};

/// UTF-8 with every invalid part replaced by U+FFFD, as Python's errors="replace" does.
std::string to_valid_utf8(std::string_view bytes);

}  // namespace rubato
