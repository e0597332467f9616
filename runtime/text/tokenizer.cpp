#include "runtime/text/tokenizer.h"

#include <queue>

#include "runtime/text/normalizer.h"
#include "runtime/text/pre_tokenizer.h"

namespace rubato {
namespace {

// How much shorter a normal form can make a text: a character that stands for another has at most 4
// bytes, the other at least 1; composing makes a third of a text's bytes at least (UAX #15).
constexpr std::size_t kMostShrinking = 4 * 3;

/// A possible merge of a symbol with its right neighbour, best first: lowest rank, then leftmost.
struct Proposal {
  std::int32_t rank;
  std::int32_t left;  // index of the left symbol
  TokenId left_id, right_id;
  TokenId result;

  bool operator<(const Proposal& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

struct Symbol {
  TokenId id;
  std::int32_t previous, next;  // -1: none
  bool alive = true;
};

}  // namespace

Tokenizer::Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::encode(std::string_view utf8) const {
  std::string text = to_valid_utf8(utf8);
  for (const NormalForm form : normal_forms_) text = normalized(text, form);
  if (pre_tokenizer_->adds_prefix_space() && !text.empty() && text.front() != ' ')
    text.insert(text.begin(), ' ');
  std::vector<TokenId> ids;
  for (const std::string_view piece : pre_tokenizer_->split(text)) encode_piece(piece, ids);
  return ids;
}

std::vector<TokenId> Tokenizer::encode_framed(std::string_view utf8) const {
  std::vector<TokenId> ids = encode(utf8);
  ids.insert(ids.begin(), frame_.before.begin(), frame_.before.end());
  ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
  return ids;
}

std::int64_t Tokenizer::least_tokens(std::size_t num_bytes) const {
  const std::size_t most_bytes = longest_ * (normal_forms_.empty() ? 1 : kMostShrinking);
  return static_cast<std::int64_t>((num_bytes + most_bytes - 1) / most_bytes);
}

void Tokenizer::encode_piece(std::string_view piece, std::vector<TokenId>& ids) const {
  if (ignore_merges_) {
    if (const auto whole = id_of_bytes_.find(std::string(piece)); whole != id_of_bytes_.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  const auto count = static_cast<std::int32_t>(piece.size());
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (std::int32_t i = 0; i < count; ++i) {
    symbols.push_back(
        {byte_ids_[static_cast<unsigned char>(piece[i])], i - 1, i + 1 < count ? i + 1 : -1});
  }
  std::priority_queue<Proposal> proposals;
  const auto propose = [&](std::int32_t left) {
    if (left < 0 || symbols[left].next < 0) return;
    const TokenId a = symbols[left].id, b = symbols[symbols[left].next].id;
    const auto merge = merges_.find(std::uint64_t(std::uint32_t(a)) << 32 | std::uint32_t(b));
    if (merge != merges_.end())
      proposals.push({merge->second.rank, left, a, b, merge->second.result});
  };
  for (std::int32_t i = 0; i + 1 < count; ++i) propose(i);
  while (!proposals.empty()) {
    const Proposal best = proposals.top();
    proposals.pop();
    Symbol& left = symbols[best.left];
    if (!left.alive || left.id != best.left_id || left.next < 0 ||
        symbols[left.next].id != best.right_id)
      continue;
    Symbol& right = symbols[left.next];
    right.alive = false;
    left.id = best.result;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    propose(left.previous);
    propose(best.left);
  }
  for (std::int32_t i = 0; i >= 0 && i < count; i = symbols[i].next) ids.push_back(symbols[i].id);
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!skip_special || !is_special(id)) bytes += token_bytes(id);
  }
  return to_valid_utf8(bytes);
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  return id >= 0 && id < vocabulary_size() ? std::string_view(bytes_[id]) : std::string_view();
}

std::optional<TokenId> Tokenizer::token_to_id(std::string_view token) const {
  const auto found = id_of_.find(std::string(token));
  if (found == id_of_.end()) return std::nullopt;
  return found->second;
}

bool Tokenizer::is_special(TokenId id) const {
  return id >= 0 && id < vocabulary_size() && special_[id];
}

}  // namespace rubato
