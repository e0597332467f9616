#include "runtime/checkpoint/shard_files.h"

#include <algorithm>
#include <map>
#include <set>

#include "runtime/base/concat.h"
#include "runtime/checkpoint/json_file.h"
#include "runtime/checkpoint/tensor_names.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::uint64_t kMaxIndexBytes = 64 << 20;

// Tensor name -> file name.
using WeightMap = std::map<std::string, std::string, std::less<>>;

// A file name and nothing else: no folder, no way out of the checkpoint's own.
bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

Result<WeightMap> read_index(const std::filesystem::path& file) {
  const auto fault = [&](std::string_view key, std::string_view what) {
    return Error{Code::kInvalidArgument, concat(file.string(), ": ", what), std::string(key)};
  };
  const auto object = read_json_object(file, kMaxIndexBytes);
  if (!object) return object.error();
  const json::value* value = object->if_contains("weight_map");
  if (value == nullptr) return fault("weight_map", "weight_map is missing");
  const json::object* entries = value->if_object();
  if (entries == nullptr || entries->empty()) {
    return fault(
        "weight_map",
        "weight_map is " + shown(*value) + "; an object from tensor to file name is expected");
  }
  WeightMap map;
  for (const auto& [tensor, shard] : *entries) {
    if (!is_plausible_name(tensor)) {
      return fault("weight_map",
                   "weight_map: " + shown(json::value(tensor)) + " is no name of a tensor");
    }
    const json::string* name = shard.if_string();
    if (name == nullptr || !is_plain_file_name(*name)) {
      return fault(std::string_view(tensor),
                   concat("weight_map: tensor '",
                          std::string_view(tensor),
                          "' is in ",
                          shown(shard),
                          "; the name of a file in the same folder is expected"));
    }
    map.emplace(std::string_view(tensor), std::string_view(*name));
  }
  return map;
}

// Each shard's tensors against the index.
Status check_against_index(const std::vector<SafetensorsFile>& shards,
                           WeightMap index,
                           const std::string& index_file) {
  std::map<std::string, std::string, std::less<>> seen;  // tensor -> shard it was found in
  for (const SafetensorsFile& shard : shards) {
    const std::string shard_name = shard.path().filename().string();
    for (const TensorEntry& tensor : shard.tensors()) {
      const auto fault = [&](std::string_view what) {
        return Error{Code::kInvalidArgument,
                     concat(shard.path().string(), ": tensor '", tensor.name, "' ", what),
                     tensor.name};
      };
      const auto [place, is_new] = seen.emplace(tensor.name, shard_name);
      if (!is_new) return fault(concat("is in ", place->second, " as well"));
      const auto entry = index.find(tensor.name);
      if (entry == index.end()) {
        if (is_ignored_tensor(tensor.name)) continue;
        return fault(concat("is not in ", kIndexName));
      }
      if (entry->second != shard_name) {
        return fault(concat("is in this file, but ", kIndexName, " says ", entry->second));
      }
    }
  }
  for (const auto& [tensor, shard] : index) {
    if (!seen.contains(tensor)) {
      return Error{Code::kInvalidArgument,
                   concat(index_file,
                          ": tensor '",
                          tensor,
                          "' should be in ",
                          shard,
                          ", whose header does not have it"),
                   tensor};
    }
  }
  return {};
}

Result<std::vector<SafetensorsFile>> open_indexed(const std::filesystem::path& index_file) {
  auto index = read_index(index_file);
  if (!index) return index.error();
  std::set<std::string> names;
  for (const auto& [tensor, shard] : *index) names.insert(shard);
  std::vector<SafetensorsFile> shards;
  for (const std::string& name : names) {
    auto shard = SafetensorsFile::open(index_file.parent_path() / name);
    if (!shard && shard.error().code == Code::kNotFound) {
      return Error{Code::kNotFound,
                   concat(shard.error().message, " (", kIndexName, " names it as a shard)"),
                   name};
    }
    if (!shard) return shard.error();
    shards.push_back(std::move(*shard));
  }
  const Status agrees = check_against_index(shards, std::move(*index), index_file.string());
  if (!agrees) return agrees.error();
  return shards;
}

Result<std::filesystem::path> find_single_file(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".safetensors") found.push_back(it->path());
  }
  if (error) return Error{Code::kNotFound, concat(folder.string(), ": ", error.message())};
  if (found.empty()) {
    return Error{Code::kNotFound, concat(folder.string(), ": has no .safetensors file")};
  }
  if (found.size() > 1) {
    return Error{Code::kInvalidArgument,
                 concat(folder.string(),
                        ": has ",
                        found.size(),
                        " .safetensors files but no ",
                        kIndexName,
                        " that says which tensor is where")};
  }
  return found.front();
}

}  // namespace

Result<std::vector<SafetensorsFile>> open_shards(const std::filesystem::path& folder) {
  std::error_code ignored;
  // symlink_status: a dangling link is an index that cannot be read, not a folder without one.
  const auto index_file = folder / kIndexName;
  if (std::filesystem::exists(std::filesystem::symlink_status(index_file, ignored))) {
    return open_indexed(index_file);
  }
  const auto file = find_single_file(folder);
  if (!file) return file.error();
  auto only = SafetensorsFile::open(*file);
  if (!only) return only.error();
  std::vector<SafetensorsFile> shards;
  shards.push_back(std::move(*only));
  return shards;
}

}  // namespace rubato
