#include "runtime/checkpoint/checkpoint.h"

#include "runtime/base/check.h"
#include "runtime/base/concat.h"
#include "runtime/checkpoint/shard_files.h"

namespace rubato {
namespace {

constexpr std::size_t kMaxNamesShown = 5;

// Gathers the tensors of all shards by what they are for.
class Catalogue {
 public:
  explicit Catalogue(const ModelConfig& config) : config_(config) {}

  Status add(const SafetensorsFile& shard, const TensorEntry& entry) {
    const auto fault = [&](std::string_view what) {
      return Error{Code::kInvalidArgument,
                   concat(shard.path().string(), ": tensor '", entry.name, "' ", what),
                   entry.name};
    };
    if (is_ignored_tensor(entry.name)) {
      ignored_.push_back(entry.name);
      return {};
    }
    const auto parsed = parse_tensor_name(entry.name);
    if (!parsed) {
      return fault("is not a weight of a LLaDA model, in its own naming or in that of Llama");
    }
    if (tensors_.empty()) {
      naming_ = parsed->naming;
      first_name_ = entry.name;
    } else if (parsed->naming != naming_) {
      return fault(concat("is named in the ",
                          to_string(parsed->naming),
                          " way, but '",
                          first_name_,
                          "' in the ",
                          to_string(naming_),
                          " way; all must be alike"));
    }
    if (parsed->id.layer >= config_.n_layers) {
      return fault(concat(
          "is of layer ", parsed->id.layer, "; n_layers in config.json is ", config_.n_layers));
    }
    const auto expected = tensor_shape(config_, parsed->id.kind);
    if (entry.shape != expected) {
      return fault(concat(
          "has shape ", shape_text(entry.shape), "; config.json asks for ", shape_text(expected)));
    }
    const bool is_matrix = expected.size() == 2;
    const TensorView view{&shard.mapping(),
                          entry.begin,
                          entry.dtype,
                          is_matrix ? expected[0] : 1,
                          is_matrix ? expected[1] : expected[0]};
    if (!tensors_.emplace(parsed->id, view).second) return fault("is given twice");
    return {};
  }

  Status check_complete(const std::filesystem::path& folder) const {
    std::size_t num_missing = 0;
    std::string names;
    std::string first;
    for (const TensorId id : all_tensors(config_)) {
      if (tensors_.contains(id)) continue;
      if (num_missing == 0) first = tensor_name(naming_, id);
      if (num_missing < kMaxNamesShown) {
        names += concat(num_missing == 0 ? "" : ", ", tensor_name(naming_, id));
      }
      ++num_missing;
    }
    if (num_missing == 0) return {};
    if (num_missing > kMaxNamesShown) names += ", ...";
    return Error{Code::kInvalidArgument,
                 concat(folder.string(),
                        ": ",
                        num_missing,
                        " of ",
                        all_tensors(config_).size(),
                        " tensors are missing: ",
                        names),
                 first};
  }

  std::map<TensorId, TensorView>& tensors() { return tensors_; }
  std::vector<std::string>& ignored() { return ignored_; }
  Naming naming() const { return naming_; }

 private:
  const ModelConfig& config_;
  std::map<TensorId, TensorView> tensors_;
  std::vector<std::string> ignored_;
  Naming naming_ = Naming::kLlada;
  std::string first_name_;
};

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::filesystem::path& folder) {
  auto config = read_model_config(folder);
  if (!config) return config.error();
  auto shards = open_shards(folder);
  if (!shards) return shards.error();
  Catalogue catalogue(*config);
  for (const SafetensorsFile& shard : *shards) {
    for (const TensorEntry& entry : shard.tensors()) {
      if (const Status added = catalogue.add(shard, entry); !added) return added.error();
    }
  }
  if (const Status complete = catalogue.check_complete(folder); !complete) return complete.error();
  Checkpoint checkpoint;
  checkpoint.tensors_ = std::move(catalogue.tensors());
  checkpoint.ignored_ = std::move(catalogue.ignored());
  checkpoint.naming_ = catalogue.naming();
  checkpoint.config_ = std::move(*config);
  checkpoint.shards_ = std::move(*shards);
  return checkpoint;
}

TensorView Checkpoint::tensor(TensorKind kind, int layer) const {
  const auto found = tensors_.find(TensorId{kind, layer});
  RUBATO_CHECK(found != tensors_.end(), "layer ", layer, " of ", config_.n_layers);
  return found->second;
}

std::uint64_t Checkpoint::bytes_read() const {
  std::uint64_t sum = 0;
  for (const SafetensorsFile& shard : shards_) sum += shard.mapping().bytes_read();
  return sum;
}

}  // namespace rubato
