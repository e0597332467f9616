#include "benchmarks/long/random_checkpoint.h"

#include <boost/json.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <span>
#include <utility>

#include "runtime/base/concat.h"
#include "runtime/checkpoint/config_json.h"
#include "runtime/checkpoint/tensor_names.h"

namespace rubato {
namespace {

namespace json = boost::json;

/// Numbers that are equal on every machine: splitmix64, spread evenly around 0 with deviation 1.
class Noise {
 public:
  explicit Noise(std::uint64_t seed) : state_(seed) {}

  float next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    const double unit = static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;  // [0, 1)
    return static_cast<float>((2 * unit - 1) * std::sqrt(3.0));
  }

 private:
  std::uint64_t state_;
};

std::int64_t count_of(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::vector<float> weights_of(const ModelConfig& config, TensorId id, std::uint64_t seed) {
  const auto shape = tensor_shape(config, id.kind);
  std::vector<float> values(static_cast<std::size_t>(count_of(shape)), 1.0f);
  if (shape.size() == 1) return values;  // a norm
  const bool sharp = id.kind == TensorKind::kQuery || id.kind == TensorKind::kKey;
  const double deviation = id.kind == TensorKind::kEmbedding
                               ? 1
                               : (sharp ? 2 : 1) / std::sqrt(static_cast<double>(shape[1]));
  Noise noise(seed);
  for (float& value : values) value = noise.next() * static_cast<float>(deviation);
  return values;
}

std::string header_of(const ModelConfig& config) {
  json::object header;
  std::int64_t begin = 0;
  for (const TensorId id : all_tensors(config)) {
    const auto shape = tensor_shape(config, id.kind);
    const std::int64_t end = begin + count_of(shape) * std::int64_t{sizeof(float)};
    header[tensor_name(Naming::kLlada, id)] = {{"dtype", safetensors_name(DType::kFloat32)},
                                               {"shape", json::array(shape.begin(), shape.end())},
                                               {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = json::serialize(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

/// The format's length, in eight bytes, little-endian.
std::string length_prefix(std::size_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i) & 0xff);
  return bytes;
}

bool write_weights(const std::filesystem::path& file, const ModelConfig& config) {
  std::ofstream out(file, std::ios::binary);
  const std::string header = header_of(config);
  out << length_prefix(header.size()) << header;
  std::uint64_t seed = 1;
  for (const TensorId id : all_tensors(config)) {
    const std::vector<float> values = weights_of(config, id, seed++ << 40);
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(float)));
  }
  return static_cast<bool>(out.flush());
}

}  // namespace

std::string describe(const RandomShape& shape) {
  return concat("random weights, ",
                shape.layers,
                " layers, ",
                shape.width,
                " wide, ",
                shape.heads,
                " heads, mlp ",
                shape.mlp,
                ", ",
                shape.vocabulary,
                " ids");
}

ModelConfig config_of(const RandomShape& shape) {
  ModelConfig config;
  config.d_model = shape.width;
  config.n_layers = shape.layers;
  config.n_heads = shape.heads;
  config.mlp_hidden_size = shape.mlp;
  config.vocab_size = config.embedding_size = shape.vocabulary;
  config.max_sequence_length = shape.context;
  config.rope_theta = 10000;
  config.rms_norm_eps = 1e-5;
  config.eos_token_id = config.pad_token_id = shape.vocabulary - 2;
  config.eos_token_ids = {config.eos_token_id};
  config.mask_token_id = shape.vocabulary - 1;
  return config;
}

Result<RandomCheckpoint> RandomCheckpoint::write(const RandomShape& shape) {
  const ModelConfig config = config_of(shape);
  if (const Status valid = validate(config, "the random model"); !valid) return valid.error();
  std::string name = (std::filesystem::temp_directory_path() / "rubato-random-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    return Error{Code::kInvalidArgument, concat("cannot make a folder ", name), "TMPDIR"};
  RandomCheckpoint checkpoint{name};
  std::ofstream settings(checkpoint.folder() / "config.json");
  settings << json::serialize(config_json(config)) << std::flush;
  if (settings && write_weights(checkpoint.folder() / "model.safetensors", config))
    return checkpoint;
  return Error{Code::kInvalidArgument, concat("cannot write into ", name), "TMPDIR"};
}

RandomCheckpoint::RandomCheckpoint(RandomCheckpoint&& other) noexcept
    : folder_(std::exchange(other.folder_, {})) {}

RandomCheckpoint::~RandomCheckpoint() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

}  // namespace rubato
