#include "runtime/model/cuda/row_questions.h"

#include <algorithm>

#include "runtime/model/vocabulary_statistics.h"

namespace rubato::cuda {

std::vector<RowQuestion> row_questions(std::span<const StepSequence> sequences) {
  std::vector<RowQuestion> questions;
  for (const StepSequence& s : sequences) {
    const bool noised = s.sampling.temperature > 0 && !VocabularyStatistics::truncates(s.sampling);
    for (const Position position : s.query.eligible) {
      questions.push_back({.temperature = noised ? s.sampling.temperature : 0,
                           .seed = s.sampling.seed,
                           .step = s.step,
                           .position = position});
    }
  }
  return questions;
}

std::vector<TopRow> top_rows(std::span<const StepSequence> sequences) {
  std::vector<TopRow> rows;
  std::int32_t row = 0;
  std::int64_t begin = 0;
  for (const StepSequence& s : sequences) {
    for (std::size_t i = 0; i < s.query.eligible.size(); ++i, ++row) {
      if (s.top_logprobs <= 0) continue;
      rows.push_back({row, s.top_logprobs, begin});
      begin += 2 * std::int64_t{s.top_logprobs};
    }
  }
  return rows;
}

std::vector<LogitChange> logit_changes(std::span<const StepSequence> sequences,
                                       const ModelShape& shape) {
  std::vector<LogitChange> changes;
  std::int32_t row = 0;
  const auto add = [&](TokenId token, float bias, bool never) {
    const std::int64_t id = std::int64_t{token} - shape.first_vocabulary_id();
    if (id >= 0 && id < shape.local_vocabulary())
      changes.push_back({row, static_cast<std::int32_t>(id), bias, never ? 1 : 0});
  };
  for (const StepSequence& s : sequences) {
    for (const Position position : s.query.eligible) {
      const int index = position - s.first_generated;
      if (s.rules != nullptr && s.rules->change(index)) {
        const bool late = index < s.rules->min_tokens;
        const auto is_late = [&](TokenId id) {
          return late && std::ranges::count(s.rules->late, id) > 0;
        };
        for (const auto& [token, bias] : s.rules->bias) {
          if (!is_late(token)) add(token, bias, false);
        }
        for (const TokenId token : s.rules->late) {
          if (late) add(token, 0, true);
        }
      }
      ++row;
    }
  }
  return changes;
}

}  // namespace rubato::cuda
