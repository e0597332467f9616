#include "runtime/checkpoint/fingerprint.h"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "runtime/base/concat.h"
#include "runtime/base/digest.h"
#include "runtime/checkpoint/config_json.h"

namespace rubato {
namespace {

// From either end of every tensor: enough to see a fine-tune of the same network.
constexpr std::uint64_t kSampleBytes = 256;

struct Sample {
  std::uint64_t begin;
  std::uint64_t size;
};

std::vector<Sample> samples_of(const SafetensorsFile& shard) {
  std::vector<Sample> samples;
  for (const TensorEntry& tensor : shard.tensors()) {
    const std::uint64_t size = std::min(kSampleBytes, tensor.end - tensor.begin);
    samples.push_back({tensor.begin, size});
    samples.push_back({tensor.end - size, size});
  }
  return samples;
}

Trait describe_files(const Checkpoint& checkpoint) {
  std::uint64_t bytes = 0;
  for (const SafetensorsFile& shard : checkpoint.shards()) bytes += shard.mapping().bytes().size();
  return {"weight files", concat(checkpoint.shards().size(), " of ", bytes, " bytes")};
}

Trait digest_headers(const Checkpoint& checkpoint) {
  Digest digest;
  for (const SafetensorsFile& shard : checkpoint.shards()) {
    const auto bytes = shard.mapping().bytes();
    const auto& tensors = shard.tensors();
    digest.add(bytes.first(tensors.empty() ? bytes.size() : tensors.front().begin));
  }
  return {"tensor headers", digest.text()};
}

Trait digest_samples(const Checkpoint& checkpoint) {
  Digest digest;
  for (const SafetensorsFile& shard : checkpoint.shards()) {
    const MappedFile& file = shard.mapping();
    const std::vector<Sample> samples = samples_of(shard);
    for (const Sample& sample : samples) file.will_need(sample.begin, sample.size);
    for (const Sample& sample : samples) {
      digest.add(file.bytes().subspan(sample.begin, sample.size));
      file.release(sample.begin, sample.size);
    }
  }
  return {"sampled weights", digest.text()};
}

}  // namespace

std::vector<Trait> fingerprint(const Checkpoint& checkpoint) {
  std::vector<Trait> traits;
  for (const auto& [name, value] : to_json(checkpoint.config()))
    traits.push_back({std::string(name), boost::json::serialize(value)});
  traits.push_back(describe_files(checkpoint));
  traits.push_back(digest_headers(checkpoint));
  traits.push_back(digest_samples(checkpoint));
  return traits;
}

}  // namespace rubato
