#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <numeric>

#include "runtime/base/concat.h"
#include "runtime/checkpoint/config_json.h"
#include "runtime/checkpoint/inspect.h"

namespace rubato {
namespace {

namespace json = boost::json;

using TableRow = std::vector<std::string>;

std::string with_separators(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (auto place = static_cast<std::int64_t>(digits.size()) - 3; place > 0; place -= 3) {
    digits.insert(static_cast<std::size_t>(place), ",");
  }
  return digits;
}

// In the largest unit of which there is at least one, with one decimal.
std::string human_bytes(std::int64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 64> text = {};
  std::snprintf(text.data(), text.size(), "%.1f %s", value, kUnits[unit]);
  return text.data();
}

// Columns set flush right, two spaces between them.
std::string aligned(const std::vector<TableRow>& rows) {
  std::vector<std::size_t> widths;
  for (const TableRow& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const TableRow& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += "  " + std::string(widths[i] - row[i].size(), ' ') + row[i];
    }
    text += "\n";
  }
  return text;
}

std::string joined(const std::vector<DType>& dtypes) {
  std::string text;
  for (const DType dtype : dtypes) text += concat(text.empty() ? "" : ", ", to_string(dtype));
  return text;
}

std::string counted(std::size_t count, std::string_view noun) {
  return concat(count, " ", noun, count == 1 ? "" : "s");
}

std::string model_section(const Inspection& inspection) {
  const ModelConfig& config = inspection.config;
  const std::int64_t file_bytes =
      std::accumulate(inspection.shards.begin(),
                      inspection.shards.end(),
                      std::int64_t{0},
                      [](std::int64_t sum, const ShardFacts& shard) { return sum + shard.bytes; });
  return concat("  architecture  LLaDA: ",
                counted(config.n_layers, "layer"),
                ", d_model ",
                with_separators(config.d_model),
                ", ",
                counted(config.n_heads, "head"),
                " of ",
                config.head_dim(),
                ", MLP ",
                with_separators(config.mlp_hidden_size),
                "\n  parameters    ",
                with_separators(inspection.parameters),
                " in ",
                counted(inspection.num_tensors, "tensor"),
                ", named in the ",
                to_string(inspection.naming),
                " way\n  files         ",
                counted(inspection.shards.size(), "shard"),
                ", ",
                human_bytes(file_bytes),
                ", stored as ",
                joined(inspection.stored_dtypes),
                "\n  context       ",
                with_separators(config.max_sequence_length),
                " tokens\n  vocabulary    ",
                with_separators(config.vocab_size),
                " ids (mask ",
                config.mask_token_id,
                ", eos ",
                config.eos_token_id,
                ", pad ",
                config.pad_token_id,
                "), ",
                with_separators(config.embedding_size),
                " embedding rows\n");
}

std::string memory_section(const Inspection& inspection) {
  std::vector<TableRow> rows = {{"TP", "parameters", "weights", "cache a token"}};
  for (const RankMemory& rank : inspection.ranks) {
    if (!rank.problem.empty()) continue;
    rows.push_back({std::to_string(rank.tp_size),
                    with_separators(rank.parameters),
                    human_bytes(rank.weight_bytes),
                    human_bytes(rank.cache_bytes_per_token)});
  }
  if (rows.size() == 1) return "";
  return concat("\nEach rank holds, in ",
                to_string(inspection.dtype),
                inspection.float8 ? ", the layers' matrices in fp8" : "",
                ":\n",
                aligned(rows));
}

std::string fit_section(const Inspection& inspection) {
  TableRow title = {"TP", "device"};
  for (const std::int64_t length : inspection.lengths) {
    title.push_back(with_separators(length) + " tokens");
  }
  std::vector<TableRow> rows = {title};
  for (const RankMemory& rank : inspection.ranks) {
    for (const DeviceFit& fit : rank.fits) {
      TableRow row = {std::to_string(rank.tp_size), concat(fit.device_gib, " GiB")};
      for (const std::int64_t sequences : fit.sequences) {
        row.push_back(sequences == 0 ? "-" : with_separators(sequences));
      }
      rows.push_back(row);
    }
  }
  if (rows.size() == 1) return "";
  return concat("\nSequences at once that fit beside the weights and ",
                inspection.reserve_gib,
                " GiB kept free:\n",
                aligned(rows));
}

std::string problem_section(const Inspection& inspection) {
  std::string text;
  for (const RankMemory& rank : inspection.ranks) {
    if (!rank.problem.empty()) text += concat("  TP ", rank.tp_size, ": ", rank.problem, "\n");
  }
  return text.empty() ? text : "\nNot possible:\n" + text;
}

std::string note_section(const Inspection& inspection) {
  std::string text;
  for (const std::string& note : inspection.notes) text += "  " + note + "\n";
  return text.empty() ? text : "\nNotes:\n" + text;
}

json::object rank_to_json(const RankMemory& rank, const std::vector<std::int64_t>& lengths) {
  if (!rank.problem.empty()) return {{"tp", rank.tp_size}, {"problem", rank.problem}};
  json::array fits;
  for (const DeviceFit& fit : rank.fits) {
    json::object sequences;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      sequences[std::to_string(lengths[i])] = fit.sequences[i];
    }
    fits.push_back({{"device_gib", fit.device_gib}, {"sequences", std::move(sequences)}});
  }
  return {{"tp", rank.tp_size},
          {"parameters", rank.parameters},
          {"weight_bytes", rank.weight_bytes},
          {"cache_bytes_per_token", rank.cache_bytes_per_token},
          {"fits", std::move(fits)}};
}

}  // namespace

std::string to_table(const Inspection& inspection) {
  return inspection.folder + "\n" + model_section(inspection) + memory_section(inspection) +
         fit_section(inspection) + problem_section(inspection) + note_section(inspection);
}

std::string to_json(const Inspection& inspection) {
  json::array shards;
  for (const ShardFacts& shard : inspection.shards) {
    shards.push_back(
        {{"file", shard.file}, {"bytes", shard.bytes}, {"tensors", shard.num_tensors}});
  }
  json::array stored;
  for (const DType dtype : inspection.stored_dtypes) stored.emplace_back(to_string(dtype));
  json::array ranks;
  for (const RankMemory& rank : inspection.ranks) {
    ranks.push_back(rank_to_json(rank, inspection.lengths));
  }
  const json::object object = {
      {"folder", inspection.folder},
      {"config", to_json(inspection.config)},
      {"naming", to_string(inspection.naming)},
      {"parameters", inspection.parameters},
      {"tensors", inspection.num_tensors},
      {"stored_dtypes", std::move(stored)},
      {"shards", std::move(shards)},
      {"dtype", to_string(inspection.dtype)},
      {"quantization", inspection.float8 ? "fp8" : "none"},
      {"reserve_bytes", static_cast<std::int64_t>(inspection.reserve_gib * 1024 * 1024 * 1024)},
      {"lengths", json::array(inspection.lengths.begin(), inspection.lengths.end())},
      {"ranks", std::move(ranks)},
      {"notes", json::array(inspection.notes.begin(), inspection.notes.end())}};
  return json::serialize(object);
}

}  // namespace rubato
