#include "tests/support/checkpoint_builder.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <numbers>
#include <random>

#include "runtime/base/bfloat16.h"
#include "runtime/base/check.h"
#include "runtime/checkpoint/config_json.h"

namespace rubato::testing {
namespace {

namespace json = boost::json;

// std::normal_distribution differs between libraries; this does not.
class Normal {
 public:
  explicit Normal(std::uint64_t seed) : bits_(seed) {}

  double operator()() {
    const double radius = std::sqrt(-2 * std::log(unit()));
    return radius * std::cos(2 * std::numbers::pi * unit());
  }

 private:
  // In (0, 1].
  double unit() { return (static_cast<double>(bits_() >> 11) + 1) * 0x1p-53; }

  std::mt19937_64 bits_;
};

bool is_norm(TensorKind kind) {
  return kind == TensorKind::kFinalNorm || kind == TensorKind::kAttentionNorm ||
         kind == TensorKind::kMlpNorm;
}

std::size_t element_count(const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
  return count;
}

// By arithmetic rather than by bits, so that it is no copy of the code under test. Finite values
// within float16's range.
std::uint16_t to_float16(float value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(static_cast<double>(value));
  if (magnitude == 0) return sign;
  const int exponent = std::max(std::ilogb(magnitude), -14);
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return static_cast<std::uint16_t>(sign + ((exponent + 14) << 10) + steps);
}

std::string encode(const std::vector<float>& values, DType dtype) {
  std::string bytes(values.size() * static_cast<std::size_t>(byte_size(dtype)), '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kFloat32) {
      std::memcpy(&bytes[4 * i], &values[i], 4);
    } else {
      const std::uint16_t half =
          dtype == DType::kFloat16 ? to_float16(values[i]) : to_bfloat16(values[i]);
      std::memcpy(&bytes[2 * i], &half, 2);
    }
  }
  return bytes;
}

// One shard while it is put together.
struct Shard {
  json::object header;
  std::string data;

  void add(const std::string& name,
           const std::vector<std::int64_t>& shape,
           DType dtype,
           const std::vector<float>& values) {
    RUBATO_CHECK(values.size() == element_count(shape), name);
    const std::size_t begin = data.size();
    data += encode(values, dtype);
    header[name] = {{"dtype", safetensors_name(dtype)},
                    {"shape", json::array(shape.begin(), shape.end())},
                    {"data_offsets", {begin, data.size()}}};
  }
};

std::string shard_name(int number, int count) {
  char name[64];
  std::snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", number, count);
  return name;
}

}  // namespace

ModelConfig small_config(
    int n_layers, int d_model, int n_heads, int mlp_hidden_size, int vocab_size) {
  ModelConfig config;
  config.n_layers = n_layers;
  config.d_model = d_model;
  config.n_heads = n_heads;
  config.mlp_hidden_size = mlp_hidden_size;
  config.vocab_size = vocab_size;
  config.embedding_size = vocab_size;
  config.max_sequence_length = 256;
  config.rope_theta = 10000;
  config.rms_norm_eps = 1e-5;
  config.eos_token_id = vocab_size - 3;
  config.pad_token_id = vocab_size - 3;
  config.mask_token_id = vocab_size - 2;
  config.bos_token_id = vocab_size - 1;
  config.eos_token_ids = {config.eos_token_id};
  return config;
}

std::vector<float>& TestModel::at(TensorKind kind, int layer) {
  return tensors.at(tensor_name(Naming::kLlada, {kind, layer}));
}

const std::vector<float>& TestModel::at(TensorKind kind, int layer) const {
  return tensors.at(tensor_name(Naming::kLlada, {kind, layer}));
}

TestModel random_model(const ModelConfig& config, std::uint64_t seed, double projection_std) {
  TestModel model{config, {}};
  Normal normal(seed);
  for (const TensorId id : all_tensors(config)) {
    std::vector<float> values(element_count(tensor_shape(config, id.kind)));
    const double mean = is_norm(id.kind) ? 1 : 0;
    const double deviation = is_norm(id.kind) ? 0.1 : projection_std;
    for (float& value : values) value = static_cast<float>(mean + deviation * normal());
    model.tensors.emplace(tensor_name(Naming::kLlada, id), std::move(values));
  }
  return model;
}

void write_checkpoint(const std::filesystem::path& folder,
                      const TestModel& model,
                      const CheckpointOptions& options) {
  ModelConfig config = model.config;
  config.dtype = options.dtype;
  write_file(folder / "config.json", json::serialize(config_json(config)));
  if (config.bos_token_id) {
    const json::object generation = {{"bos_token_id", *config.bos_token_id},
                                     {"eos_token_id", config.eos_token_id}};
    write_file(folder / "generation_config.json", json::serialize(generation));
  }
  const std::vector<TensorId> all = all_tensors(config);
  const auto num_shards = static_cast<std::size_t>(options.num_shards);
  std::vector<Shard> shards(num_shards);
  json::object weight_map;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t place = i * num_shards / all.size();
    const std::string name = tensor_name(options.naming, all[i]);
    shards[place].add(name,
                      tensor_shape(config, all[i].kind),
                      options.dtype,
                      model.at(all[i].kind, all[i].layer));
    weight_map[name] = shard_name(static_cast<int>(place) + 1, options.num_shards);
  }
  if (num_shards == 1) {
    write_file(folder / "model.safetensors",
               safetensors_bytes(json::serialize(shards[0].header), shards[0].data));
    return;
  }
  for (std::size_t i = 0; i < num_shards; ++i) {
    write_file(folder / shard_name(static_cast<int>(i) + 1, options.num_shards),
               safetensors_bytes(json::serialize(shards[i].header), shards[i].data));
  }
  const json::object index = {{"metadata", json::object()}, {"weight_map", std::move(weight_map)}};
  write_file(folder / "model.safetensors.index.json", json::serialize(index));
}

void write_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  RUBATO_CHECK(stream.flush().good(), file.string());
}

std::string safetensors_bytes(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
  return bytes + header + data;
}

}  // namespace rubato::testing
