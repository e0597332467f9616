#include "runtime/checkpoint/tensor_names.h"

#include <gtest/gtest.h>

namespace rubato {
namespace {

TEST(TensorNames, AreThoseOfThePublishedCheckpoints) {
  using enum TensorKind;
  EXPECT_EQ(tensor_name(Naming::kLlada, {kEmbedding}), "model.transformer.wte.weight");
  EXPECT_EQ(tensor_name(Naming::kLlada, {kHead}), "model.transformer.ff_out.weight");
  EXPECT_EQ(tensor_name(Naming::kLlada, {kDown, 31}), "model.transformer.blocks.31.ff_out.weight");
  EXPECT_EQ(tensor_name(Naming::kLladaBare, {kGate, 0}), "transformer.blocks.0.ff_proj.weight");
  EXPECT_EQ(tensor_name(Naming::kHuggingFaceLlama, {kHead}), "lm_head.weight");
  EXPECT_EQ(tensor_name(Naming::kHuggingFaceLlama, {kAttentionOut, 7}),
            "model.layers.7.self_attn.o_proj.weight");
}

TEST(TensorNames, AreRecognisedInEveryNaming) {
  ModelConfig config;
  config.n_layers = 12;
  for (const Naming naming : {Naming::kLlada, Naming::kLladaBare, Naming::kHuggingFaceLlama}) {
    for (const TensorId id : all_tensors(config)) {
      const auto parsed = parse_tensor_name(tensor_name(naming, id));
      ASSERT_TRUE(parsed.has_value()) << tensor_name(naming, id);
      EXPECT_EQ(parsed->naming, naming);
      EXPECT_EQ(parsed->id, id);
    }
  }
}

TEST(TensorNames, AreNotGuessed) {
  for (const char* name : {"",
                           "model.transformer.",
                           "model.transformer.blocks.0",
                           "model.transformer.blocks..q_proj.weight",
                           "model.transformer.blocks.-1.q_proj.weight",
                           "model.transformer.blocks.+1.q_proj.weight",
                           "model.transformer.blocks.01.q_proj.weight",
                           "model.transformer.blocks.1x.q_proj.weight",
                           "model.transformer.blocks.99999999999.q_proj.weight",
                           "model.transformer.blocks.0.q_proj.weight.x",
                           "model.transformer.blocks.0.wte.weight",
                           "model.transformer.q_proj.weight",
                           "model.layers.0.q_proj.weight",
                           "model.lm_head.weight"}) {
    EXPECT_FALSE(parse_tensor_name(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace rubato
