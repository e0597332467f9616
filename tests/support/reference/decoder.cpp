#include "tests/support/reference/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "runtime/base/check.h"
#include "tests/support/reference/canvas.h"
#include "tests/support/reference/choice.h"

namespace rubato::testing::reference {
namespace {

/// What a step computes and may commit.
struct Plan {
  bool full = false;    // a forward pass over all rows
  Positions rows;       // else over these, the tracked ones first
  bool tests = false;   // layer by layer, whether attention drifted
  bool tracks = false;  // and where it went
  Positions window;     // the masked positions that may be committed
  Position reach = 0;   // the canvas ends here
};

at::Tensor index_of(const Positions& positions) {
  return at::tensor(positions).to(at::kLong);
}

/// Where each of `wanted` stands in `rows`.
at::Tensor places(const Positions& wanted, const Positions& rows) {
  std::vector<std::int64_t> found;
  for (const Position p : wanted) found.push_back(std::ranges::find(rows, p) - rows.begin());
  return at::tensor(found);
}

class Decoder {
 public:
  Decoder(const Network& network, const GenerationRequest& request, const Departures& departures);

  Step step();
  const Canvas& canvas() const { return canvas_; }
  const Caches& caches() const { return caches_; }

 private:
  Plan plan();
  Positions grow();
  Positions window() const;
  at::Tensor run_layers(const Plan& plan, Step& step);
  double similarity(const at::Tensor& before, const at::Tensor& after) const;
  void track(const at::Tensor& attention, const Positions& rows, const Plan& plan);
  void track_overall();
  at::Tensor changed(at::Tensor logits, Position position) const;
  std::vector<Commit> choose_commits(const Positions& window, const at::Tensor& logits, Step& step);
  void tell(const Positions& window, const at::Tensor& logits, Step& step) const;

  const Network& network_;
  const GenerationRequest& request_;
  const std::string_view policy_;
  const Departures departures_;
  Canvas canvas_;
  Caches caches_;
  Position reach_ = 0;  // how much of the canvas there is, in the step at hand
  std::set<Position> tracked_, tracked_next_;
  at::Tensor total_mass_;  // of a step's layers so far, by key
  Margin margin_;
};

Decoder::Decoder(const Network& network,
                 const GenerationRequest& request,
                 const Departures& departures)
    : network_(network),
      request_(request),
      policy_(request.policy.policy->name),
      departures_(departures),
      canvas_(network.config(), request),
      reach_(static_cast<Position>(request.prompt.size())) {
  const ModelConfig& config = network.config();
  const std::int64_t heads = config.n_heads, head_dim = config.d_model / heads;
  for (int layer = 0; layer < network_.num_layers(); ++layer) {
    caches_.x.push_back(at::zeros({canvas_.length(), config.d_model}));
    for (auto* cache : {&caches_.q, &caches_.k, &caches_.v})
      cache->push_back(at::zeros({heads, canvas_.length(), head_dim}));
  }
}

Step Decoder::step() {
  Step step;
  margin_ = {};
  tracked_next_.clear();
  total_mass_ = at::zeros({canvas_.length()});
  const Plan plan = this->plan();
  step.reach = plan.reach;
  const at::Tensor logits = run_layers(plan, step);
  if (policy_ == "flash") track_overall();
  step.trace.committed = choose_commits(plan.window, logits, step);
  if (request_.top_logprobs >= 0) tell(plan.window, logits, step);
  canvas_.write(step.trace.committed);
  tracked_ = tracked_next_;
  step.margin = margin_.least();
  return step;
}

/// The policies.
Plan Decoder::plan() {
  Plan plan;
  const Positions new_rows = grow();
  plan.reach = reach_;
  plan.window = window();
  if (policy_ == "none" || departures_.whole_window) {
    plan.full = true;
  } else if (policy_ == "prefix") {
    plan.full = canvas_.step_in_block() == 0;
    plan.rows = range(canvas_.block_begin(), canvas_.length());
  } else if (policy_ == "dual") {
    plan.full = canvas_.step_in_block() == 0;
    plan.rows = range(canvas_.block_begin(), canvas_.block_end());
  } else if (policy_ == "dkv") {
    plan.full = canvas_.step() % request_.policy.refresh_every == 0;
    plan.rows = canvas_.committed_last();
    plan.rows.insert(plan.rows.end(), canvas_.masked().begin(), canvas_.masked().end());
  } else if (policy_ == "flash") {
    plan.full = canvas_.step() == 0;
    plan.rows.assign(tracked_.begin(), tracked_.end());
    const Positions& masked = canvas_.masked();
    const auto masks =
        std::min(std::max<std::ptrdiff_t>(64, std::ssize(plan.window)), std::ssize(masked));
    for (const Positions& more :
         {canvas_.committed_last(), Positions(masked.begin(), masked.begin() + masks)})
      plan.rows.insert(plan.rows.end(), more.begin(), more.end());
    plan.tracks = true;
  } else {
    const bool elastic = policy_ == "elastic" || policy_ == "horizon";
    RUBATO_CHECK(elastic || policy_ == "interval", policy_);
    plan.full = elastic ? canvas_.step() == 0 : canvas_.step() % request_.policy.refresh_every == 0;
    plan.rows.assign(tracked_.begin(), tracked_.end());
    for (const Positions& more : {canvas_.committed_last(), plan.window})
      plan.rows.insert(plan.rows.end(), more.begin(), more.end());
    for (const Position position : new_rows)
      if (std::ranges::find(plan.rows, position) == plan.rows.end()) plan.rows.push_back(position);
    plan.tests = elastic && !plan.full && !tracked_.empty() && new_rows.empty();
    plan.tracks = true;
  }
  if (plan.full) plan.rows = range(0, reach_);
  return plan;
}

/// Moves the canvas's end ahead of the first mask; returns the positions that are new.
Positions Decoder::grow() {
  const Position before = reach_;
  if (policy_ != "horizon" || !request_.suffix.empty()) {
    reach_ = canvas_.length();
    return {};
  }
  const int horizon = request_.policy.horizon;
  while (reach_ < canvas_.length() && reach_ < canvas_.masked().front() + horizon)
    reach_ = std::min(reach_ + std::max(1, horizon / 2), canvas_.length());
  return range(before, reach_);
}

/// The masked positions that this step may commit.
Positions Decoder::window() const {
  const Positions& masked = canvas_.masked();
  const bool by_block = request_.policy.policy->by_block && !departures_.whole_window;
  if (by_block) return {masked.begin(), std::ranges::lower_bound(masked, canvas_.block_end())};
  Positions window(masked.begin(), std::ranges::lower_bound(masked, reach_));
  if (std::ssize(window) > request_.policy.window) window.resize(request_.policy.window);
  return window;
}

/// All layers, one after the other; the logits of the window's rows.
at::Tensor Decoder::run_layers(const Plan& plan, Step& step) {
  const int num_layers = network_.num_layers();
  const std::int64_t num_tracked = std::ssize(tracked_);
  Positions rows = plan.rows;
  int boundary = plan.full ? 0 : num_layers;  // the first layer that computes all rows
  if (!plan.full) {
    step.rows = rows;
    if (plan.tracks) step.trace.tracked.assign(tracked_.begin(), tracked_.end());
  }
  at::Tensor h = network_.embed(canvas_.tokens()).index_select(0, index_of(rows));

  for (int b = 0; b < num_layers; ++b) {
    caches_.x[b].index_copy_(0, index_of(rows), h);
    if (b == boundary && !plan.full) {  // the refresh: all rows, from their cached hidden input
      rows = range(0, plan.reach);
      h = caches_.x[b].narrow(0, 0, plan.reach).clone();
    }
    const at::Tensor index = index_of(rows);
    const Projections now = network_.project(b, h, rows);

    const bool tests = plan.tests && b < boundary && b < departures_.untested_from_layer;
    at::Tensor before;
    if (tests) {
      const at::Tensor q_before = caches_.q[b].index_select(1, index.narrow(0, 0, num_tracked));
      before = network_.attention(q_before, caches_.k[b].narrow(1, 0, plan.reach));
    }
    caches_.q[b].index_copy_(1, index, now.q);
    caches_.k[b].index_copy_(1, index, now.k);
    caches_.v[b].index_copy_(1, index, now.v);
    const at::Tensor attention = network_.attention(now.q, caches_.k[b].narrow(1, 0, plan.reach));
    if (tests) {
      const double found = similarity(before, attention.narrow(1, 0, num_tracked));
      step.trace.similarity.push_back(found);
      margin_.compared(found, request_.policy.gamma);
      if (found < request_.policy.gamma) boundary = b + 1;
    }
    if (plan.tracks) track(attention, rows, plan);
    h = network_.finish_layer(b, h, attention, caches_.v[b].narrow(1, 0, plan.reach));
  }
  if (boundary < num_layers) step.trace.boundary = boundary;
  return network_.logits(h.index_select(0, places(plan.window, rows)));
}

/// Of the tracked rows' attention, [heads, tracked, keys], before and after.
double Decoder::similarity(const at::Tensor& before, const at::Tensor& after) const {
  // `heads`: of the heads' vectors, for each (tracked row, key); `rows`: of the keys' vectors, for
  // each (head, tracked row).
  const int along = request_.policy.drift == DriftMeasure::kHeads ? 0 : 2;
  return at::cosine_similarity(before, after, along, /*eps=*/1e-8).mean().item<double>();
}

/// Adds a layer's most-attended positions to those tracked in the next step.
void Decoder::track(const at::Tensor& attention, const Positions& rows, const Plan& plan) {
  const at::Tensor mass =
      attention.index_select(1, places(plan.window, rows)).sum(at::IntArrayRef({0, 1}));
  if (policy_ == "flash") {
    total_mass_ += mass;
    return;
  }
  Positions masked = canvas_.masked();
  masked.erase(std::ranges::lower_bound(masked, plan.reach), masked.end());
  mass.index_fill_(0, index_of(masked), 0);
  const float* mass_of = mass.data_ptr<float>();
  Positions order = range(0, plan.reach);
  std::ranges::stable_sort(order, [&](Position a, Position b) { return mass_of[a] > mass_of[b]; });
  const auto count = std::min<std::ptrdiff_t>(request_.policy.track, std::ssize(order));
  if (count < std::ssize(order))
    margin_.compared_masses(mass_of[order[count - 1]], mass_of[order[count]]);
  tracked_next_.insert(order.begin(), order.begin() + count);
}

/// Flash-dLLM's followed positions: the 64 that all layers together attended to most.
void Decoder::track_overall() {
  Positions order;
  for (const Position p : range(0, canvas_.length()))
    if (!std::ranges::binary_search(canvas_.masked(), p)) order.push_back(p);
  const float* mass_of = total_mass_.data_ptr<float>();
  std::ranges::stable_sort(order, [&](Position a, Position b) { return mass_of[a] > mass_of[b]; });
  if (std::ssize(order) > 64) {
    margin_.compared_masses(mass_of[order[63]], mass_of[order[64]]);
    order.resize(64);
  }
  tracked_next_.insert(order.begin(), order.end());
}

/// A position's logits as the request's rules leave them.
at::Tensor Decoder::changed(at::Tensor logits, Position position) const {
  for (const auto& [token, bias] : request_.rules.bias) logits[token].add_(bias);
  const Position index = position - static_cast<Position>(request_.prompt.size());
  if (index >= request_.rules.min_tokens) return logits;
  for (const TokenId token : request_.rules.late)
    logits[token].fill_(-std::numeric_limits<double>::infinity());
  return logits;
}

/// What the model says of the committed tokens.
void Decoder::tell(const Positions& window, const at::Tensor& logits, Step& step) const {
  for (const auto& [position, token] : step.trace.committed) {
    const auto row = std::ranges::find(window, position) - window.begin();
    const at::Tensor logprobs =
        changed(logits[row].to(at::kDouble), position).log_softmax(0).contiguous();
    const double* of = logprobs.data_ptr<double>();
    CommitLogprobs& said = step.logprobs.emplace_back();
    said.logprob = of[token];
    std::vector<TokenId> order(logprobs.numel());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [of](TokenId a, TokenId b) { return of[a] > of[b]; });
    for (const TokenId id : std::span(order).first(request_.top_logprobs))
      said.top.push_back({id, of[id]});
  }
}

std::vector<Commit> Decoder::choose_commits(const Positions& window,
                                            const at::Tensor& logits,
                                            Step& step) {
  const TokenId mask_id = network_.config().mask_token_id;
  std::vector<Pick> picks;
  for (std::int64_t i = 0; i < logits.size(0); ++i) {
    const at::Tensor z = changed(logits[i].to(at::kDouble), window[i]);
    picks.push_back(pick({z.data_ptr<double>(), z.data_ptr<double>() + z.numel()},
                         request_.sampling,
                         canvas_.step(),
                         window[i],
                         mask_id,
                         margin_));
    step.picked_mask += picks.back().token == mask_id;
  }
  step.eligible = static_cast<int>(picks.size());
  return choose(picks, request_.commit, canvas_.quota(), mask_id, margin_);
}

}  // namespace

Decoded decode(const Network& network,
               const GenerationRequest& request,
               const Departures& departures,
               const std::function<void(const Caches&)>& after_step) {
  Decoder decoder(network, request, departures);
  Decoded decoded;
  while (!decoder.canvas().done()) {
    decoded.steps.push_back(decoder.step());
    if (after_step) after_step(decoder.caches());
  }
  decoded.canvas = decoder.canvas().tokens();
  return decoded;
}

}  // namespace rubato::testing::reference
