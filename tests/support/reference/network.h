#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "cache/types.h"
#include "tests/support/checkpoint_builder.h"

namespace rubato::testing::reference {

/// The queries, keys and values of some rows: [heads, rows, head_dim] each.
struct Projections {
  at::Tensor q, k;  // after RoPE
  at::Tensor v;
};

/// The LLaDA network in plain float32 tensor operations, a piece at a time.
class Network {
 public:
  explicit Network(const TestModel& model);

  const ModelConfig& config() const { return config_; }
  int num_layers() const { return config_.n_layers; }

  /// The first layer's input for these tokens: [rows, d_model].
  at::Tensor embed(const std::vector<TokenId>& tokens) const;

  /// Q, K and V of a layer's input x [rows, d_model], whose rows stand at `positions`.
  Projections project(int layer, const at::Tensor& x, const std::vector<Position>& positions) const;

  /// softmax(q k^T / sqrt(head_dim)): [heads, rows of q, rows of k].
  at::Tensor attention(const at::Tensor& q, const at::Tensor& k) const;

  /// A layer's output [rows, d_model], from its input x, the attention of x's rows and all values.
  at::Tensor finish_layer(int layer,
                          const at::Tensor& x,
                          const at::Tensor& attention,
                          const at::Tensor& v) const;

  /// [rows, vocabulary], from the last layer's output.
  at::Tensor logits(const at::Tensor& x) const;

 private:
  at::Tensor weight(TensorKind kind, int layer = 0) const;
  at::Tensor norm(const at::Tensor& x, const at::Tensor& weight) const;
  at::Tensor rotate(const at::Tensor& x, const std::vector<Position>& positions) const;
  at::Tensor split_heads(const at::Tensor& x) const;

  ModelConfig config_;
  std::map<std::string, at::Tensor> weights_;  // under the LLaDA names, shaped as published
};

}  // namespace rubato::testing::reference
