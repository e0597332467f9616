#include "tests/support/reference/network.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <cmath>

namespace rubato::testing::reference {

Network::Network(const TestModel& model) : config_(model.config) {
  at::set_num_threads(1);  // operations as small as these only wait for each other on more
  for (const TensorId id : all_tensors(config_)) {
    const std::string name = tensor_name(Naming::kLlada, id);
    const std::vector<float>& values = model.tensors.at(name);
    weights_[name] = at::tensor(values).reshape(tensor_shape(config_, id.kind));
  }
}

at::Tensor Network::weight(TensorKind kind, int layer) const {
  return weights_.at(tensor_name(Naming::kLlada, {kind, layer}));
}

at::Tensor Network::embed(const std::vector<TokenId>& tokens) const {
  return weight(TensorKind::kEmbedding).index_select(0, at::tensor(tokens));
}

at::Tensor Network::norm(const at::Tensor& x, const at::Tensor& weight) const {
  return x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + config_.rms_norm_eps) * weight;
}

at::Tensor Network::split_heads(const at::Tensor& x) const {
  return x.view({x.size(0), config_.n_heads, -1}).transpose(0, 1);
}

at::Tensor Network::rotate(const at::Tensor& x, const std::vector<Position>& positions) const {
  const at::Tensor even = at::arange(0, x.size(2), 2).to(at::kFloat) / x.size(2);
  const at::Tensor frequency = 1.0 / at::pow(config_.rope_theta, even);
  const at::Tensor angle = at::tensor(positions).to(at::kFloat).outer(frequency);
  const at::Tensor first = x.chunk(2, -1)[0], second = x.chunk(2, -1)[1];
  return at::cat(
      {first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()}, -1);
}

Projections Network::project(int layer,
                             const at::Tensor& x,
                             const std::vector<Position>& positions) const {
  const at::Tensor n = norm(x, weight(TensorKind::kAttentionNorm, layer));
  const auto heads_of = [&](TensorKind kind) {
    return split_heads(at::matmul(n, weight(kind, layer).t()));
  };
  return {rotate(heads_of(TensorKind::kQuery), positions),
          rotate(heads_of(TensorKind::kKey), positions),
          heads_of(TensorKind::kValue)};
}

at::Tensor Network::attention(const at::Tensor& q, const at::Tensor& k) const {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(2)));
  return at::softmax(at::matmul(q, k.transpose(1, 2)) * scale, -1);
}

at::Tensor Network::finish_layer(int layer,
                                 const at::Tensor& x,
                                 const at::Tensor& attention,
                                 const at::Tensor& v) const {
  const at::Tensor heads = at::matmul(attention, v).transpose(0, 1).reshape(x.sizes());
  const at::Tensor h = x + at::matmul(heads, weight(TensorKind::kAttentionOut, layer).t());
  const at::Tensor n = norm(h, weight(TensorKind::kMlpNorm, layer));
  const at::Tensor gate = at::matmul(n, weight(TensorKind::kGate, layer).t());
  const at::Tensor up = at::matmul(n, weight(TensorKind::kUp, layer).t());
  return h + at::matmul(at::silu(gate) * up, weight(TensorKind::kDown, layer).t());
}

at::Tensor Network::logits(const at::Tensor& x) const {
  return at::matmul(norm(x, weight(TensorKind::kFinalNorm)), weight(TensorKind::kHead).t());
}

}  // namespace rubato::testing::reference
