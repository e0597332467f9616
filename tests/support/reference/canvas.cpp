#include "tests/support/reference/canvas.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace rubato::testing::reference {

Positions range(Position begin, Position end) {
  Positions positions(end - begin);
  std::iota(positions.begin(), positions.end(), begin);
  return positions;
}

Canvas::Canvas(const ModelConfig& config, const GenerationRequest& request)
    : config_(config),
      request_(request),
      prompt_length_(static_cast<Position>(request.prompt.size())),
      tokens_(request.prompt) {
  const std::string_view policy = request.policy.policy->name;
  const bool by_block =
      policy == "none" || policy == "prefix" || policy == "dual" || policy == "dkv";
  block_length_ = by_block ? request.policy.block_length : request.max_tokens;
  tokens_.resize(tokens_.size() + request.max_tokens, config.mask_token_id);
  masked_ = range(prompt_length_, length());
  tokens_.insert(tokens_.end(), request.suffix.begin(), request.suffix.end());
  enter_block();
}

int Canvas::quota() const {
  const int num_blocks = (request_.max_tokens + block_length_ - 1) / block_length_;
  const int steps = std::max(1, request_.commit.steps / num_blocks);  // of a block
  const bool one_more = step_in_block_ < block_masks_ % steps;
  return std::max(1, block_masks_ / steps + (one_more ? 1 : 0));
}

void Canvas::write(const std::vector<Commit>& commits) {
  committed_last_.clear();
  std::optional<Position> first_eos;
  for (const auto& [position, token] : commits) {
    tokens_[position] = token;
    committed_last_.push_back(position);
    std::erase(masked_, position);
    if (token == config_.eos_token_id && !first_eos) first_eos = position;
  }
  if (first_eos && !eos_met_ && !request_.ignore_eos) {
    eos_met_ = true;  // only the first step that commits an EOS gives up what lies behind it
    std::erase_if(masked_, [&](Position p) { return p > *first_eos; });
  }
  ++step_;
  ++step_in_block_;
  if (!done()) enter_block();
}

void Canvas::enter_block() {
  const Position begin = masked_.front() - (masked_.front() - prompt_length_) % block_length_;
  if (begin == block_begin_) return;
  block_begin_ = begin;
  block_end_ = std::min(begin + block_length_, prompt_length_ + request_.max_tokens);
  block_masks_ =
      static_cast<int>(std::ranges::count_if(masked_, [&](Position p) { return p < block_end_; }));
  step_in_block_ = 0;
}

}  // namespace rubato::testing::reference
