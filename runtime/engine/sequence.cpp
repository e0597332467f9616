#include "runtime/engine/sequence.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "runtime/base/check.h"
#include "runtime/decoding/commit_rule.h"

namespace rubato {
namespace {

/// Strictly ascending.
template <class T, class Projection>
bool ascends(const std::vector<T>& values, Projection projection) {
  return std::ranges::adjacent_find(values, std::ranges::greater_equal(), projection) ==
         values.end();
}

}  // namespace

Sequence::Sequence(SequenceSpec spec, ControlTokens tokens)
    : spec_(std::move(spec)), tokens_(tokens) {
  RUBATO_CHECK(spec_.policy.policy != nullptr && spec_.max_tokens > 0);
  canvas_ = spec_.prompt;
  canvas_.resize(spec_.generated_end(), tokens_.mask);
  canvas_.insert(canvas_.end(), spec_.suffix.begin(), spec_.suffix.end());
  masked_.resize(spec_.max_tokens);
  std::iota(masked_.begin(), masked_.end(), static_cast<Position>(spec_.prompt.size()));
  enter_current_block();
}

SequenceView Sequence::view() const {
  const auto prompt_length = static_cast<Position>(spec_.prompt.size());
  const Position begin = prompt_length + block_ * spec_.block_length();
  return {.canvas_length = spec_.canvas_length(),
          .prompt_length = prompt_length,
          .step = step_,
          .step_in_block = step_in_block_,
          .block_begin = begin,
          .block_end = std::min(begin + spec_.block_length(), spec_.generated_end()),
          .masked = masked_,
          .committed_last = committed_last_,
          .tracked = tracked_};
}

int Sequence::quota() const {
  const int steps = std::max(1, spec_.commit.steps / spec_.num_blocks());
  return schedule_quota(masks_at_block_start_, steps, step_in_block_);
}

bool Sequence::accepts(const SequenceUpdate& update) const {
  const auto is_masked = [this](const Commit& c) {
    return std::ranges::binary_search(masked_, c.position);
  };
  const auto is_on_canvas = [this](Position p) { return p >= 0 && p < std::ssize(canvas_); };
  return std::ranges::all_of(update.commits, is_masked) &&
         std::ranges::all_of(update.tracked, is_on_canvas) &&
         ascends(update.commits, &Commit::position) && ascends(update.tracked, std::identity());
}

void Sequence::apply(const SequenceUpdate& update) {
  committed_last_.clear();
  for (const Commit& commit : update.commits) {
    RUBATO_CHECK(canvas_.at(commit.position) == tokens_.mask,
                 "position ",
                 commit.position,
                 " is committed already");
    canvas_[commit.position] = commit.token;
    committed_last_.push_back(commit.position);
  }
  std::erase_if(masked_,
                [&](Position p) { return std::ranges::binary_search(committed_last_, p); });
  tracked_ = update.tracked;
  drop_masks_behind_first_eos();
  ++step_;
  ++step_in_block_;
  enter_current_block();
}

void Sequence::drop_masks_behind_first_eos() {
  if (spec_.ignore_eos || eos_seen_) return;
  const auto eos =
      std::ranges::find_if(committed_last_, [&](Position p) { return canvas_[p] == tokens_.eos; });
  if (eos == committed_last_.end()) return;
  eos_seen_ = true;
  masked_.erase(std::ranges::upper_bound(masked_, *eos), masked_.end());
}

void Sequence::enter_current_block() {
  if (masked_.empty()) return;
  const int block =
      (masked_.front() - static_cast<Position>(spec_.prompt.size())) / spec_.block_length();
  if (block == block_) return;
  block_ = block;
  step_in_block_ = 0;
  const Position end = view().block_end;
  masks_at_block_start_ =
      static_cast<int>(std::ranges::lower_bound(masked_, end) - masked_.begin());
}

std::uint64_t Sequence::digest() const {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a over the numbers that determine the next step
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3; };
  mix(spec_.id);
  mix(step_);
  mix(masked_.size());
  for (const Position position : committed_last_)
    mix((std::uint64_t{1} << 32 | position) ^ (std::uint64_t(canvas_[position]) << 33));
  for (const Position position : tracked_) mix(std::uint64_t{2} << 32 | position);
  return hash;
}

}  // namespace rubato
