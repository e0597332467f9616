#include "parallel/agreement.h"

#include <algorithm>

#include "runtime/base/byte_codec.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

constexpr std::uint32_t kMagic = 0x31534252;  // "RBS1"
constexpr std::size_t kMostTextBytes = 2000;
constexpr std::size_t kMostFactsShown = 8;
constexpr std::string_view kNothing = "nothing";  // the value on a rank without the fact

/// "rank 0", "ranks 0, 2-5".
std::string name_ranks(std::span<const int> ranks) {
  std::string list;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    list += concat(i == 0 ? "" : ", ", ranks[i]);
    if (last > i) list += concat(last == i + 1 ? ", " : "-", ranks[last]);
    i = last + 1;
  }
  return concat(ranks.size() == 1 ? "rank " : "ranks ", list);
}

/// The ranks' different texts, each with the ranks that have it, in order of first occurrence.
using Groups = std::vector<std::pair<std::string, std::vector<int>>>;

/// "0.9 (rank 0), 0.5 (ranks 1-3)"
std::string show(const Groups& groups) {
  std::string shown;
  for (const auto& [value, ranks] : groups)
    shown += concat(shown.empty() ? "" : ", ", value, " (", name_ranks(ranks), ')');
  return shown;
}

void add_to(Groups& groups, std::string_view text, int rank) {
  const auto found = std::ranges::find(groups, text, &Groups::value_type::first);
  if (found != groups.end()) return found->second.push_back(rank);
  groups.emplace_back(text, std::vector<int>{rank});
}

std::string_view value_of(const Statement& statement, std::string_view name) {
  const auto found = std::ranges::find(statement.facts, name, &Fact::name);
  return found == statement.facts.end() ? kNothing : std::string_view(found->value);
}

Status compare_failures(std::span<const Statement> by_rank) {
  Groups failures;
  for (std::size_t rank = 0; rank < by_rank.size(); ++rank) {
    const std::string& failure = by_rank[rank].failure;
    if (!failure.empty()) add_to(failures, failure, static_cast<int>(rank));
  }
  if (failures.empty()) return {};
  const auto& [text, ranks] = failures.front();
  if (ranks.size() == by_rank.size()) return Error{Code::kUnavailable, text};
  return Error{Code::kUnavailable, concat(name_ranks(ranks), ": ", text)};
}

/// Every fact that some rank states, in the order of its first mention.
std::vector<Fact> all_facts(std::span<const Statement> by_rank) {
  std::vector<Fact> all;
  for (const Statement& statement : by_rank) {
    for (const Fact& fact : statement.facts) {
      if (std::ranges::find(all, fact.name, &Fact::name) == all.end()) all.push_back(fact);
    }
  }
  return all;
}

std::string join_some(const std::vector<std::string>& differences) {
  std::string joined;
  const std::size_t num_shown = std::min(differences.size(), kMostFactsShown);
  for (std::size_t i = 0; i < num_shown; ++i) joined += concat(i == 0 ? "" : "; ", differences[i]);
  if (num_shown < differences.size())
    joined += concat("; and ", differences.size() - num_shown, " more");
  return joined;
}

}  // namespace

std::string encode(const Statement& statement) {
  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  const auto put_text = [&](std::string_view text) {
    text = text.substr(0, kMostTextBytes);
    writer.put_all(std::span(text.data(), text.size()));
  };
  writer.put(kMagic);
  put_text(statement.failure);
  writer.put(static_cast<std::uint32_t>(statement.facts.size()));
  for (const Fact& fact : statement.facts) {
    put_text(fact.name);
    put_text(fact.value);
    writer.put(static_cast<std::uint8_t>(fact.must_agree));
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<Statement> decode_statement(std::string_view bytes) {
  ByteReader reader(std::as_bytes(std::span(bytes.data(), bytes.size())));
  const auto get_text = [&] {
    const std::vector<char> text = reader.get_all<char>();
    return std::string(text.begin(), text.end());
  };
  constexpr std::size_t kLeastFactBytes = 9;
  if (reader.get<std::uint32_t>() != kMagic) reader.fail();
  Statement statement;
  statement.failure = get_text();
  statement.facts.resize(reader.ok() ? reader.get_count(kLeastFactBytes) : 0);
  for (Fact& fact : statement.facts) {
    fact.name = get_text();
    fact.value = get_text();
    fact.must_agree = reader.get<std::uint8_t>() != 0;
  }
  if (reader.at_end()) return statement;
  return Error{Code::kInternal, "cannot be understood; it runs another version of Rubato"};
}

Status compare(std::string_view what, std::span<const Statement> by_rank) {
  if (const Status failed = compare_failures(by_rank); !failed) return failed;
  std::vector<std::string> differences;
  bool differ = false;
  for (const Fact& fact : all_facts(by_rank)) {
    Groups groups;
    for (std::size_t rank = 0; rank < by_rank.size(); ++rank) {
      add_to(groups, value_of(by_rank[rank], fact.name), static_cast<int>(rank));
    }
    if (groups.size() == 1) continue;
    differ = differ || fact.must_agree;
    differences.push_back(concat(fact.name, ": ", show(groups)));
  }
  if (!differ) return {};
  return Error{Code::kInvalidArgument,
               concat("ranks differ in ", what, ": ", join_some(differences))};
}

}  // namespace rubato
