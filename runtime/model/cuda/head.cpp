#include "runtime/model/cuda/head.h"

#include <algorithm>

#include "runtime/model/cuda/row_questions.h"
#include "runtime/model/eligible_part.h"

namespace rubato::cuda {
namespace {

/// What requests may ask of each row, for the memory that it takes: log-probabilities, and changes
/// of logits.
constexpr int kMostTop = 20, kMostChanges = 2048;

/// The sizes of the scratch.
struct HeadSizes {
  std::int64_t hidden = 0, normed = 0;    // elements
  std::int64_t logits = 0;                // floats
  std::int64_t changes = 0;               // LogitChanges
  std::int64_t scratch = 0, numbers = 0;  // doubles
};

HeadSizes head_sizes(const ModelShape& shape, std::int64_t rows, int rows_at_a_time) {
  const int part = static_cast<int>(std::min<std::int64_t>(rows, rows_at_a_time));
  const int groups = VocabularyStatistics::num_groups(shape), width = shape.local_vocabulary();
  return {.hidden = rows * shape.d_model,
          .normed = std::int64_t{part} * shape.d_model,
          .logits = std::int64_t{part} * width,
          .changes = std::int64_t{part} * kMostChanges,
          .scratch = std::max(vocabulary_scratch_size(part, groups),
                              top_scratch_size(part, kMostTop, width)),
          .numbers =
              std::int64_t{part} * (VocabularyStatistics::numbers_per_row(groups) + 2 * kMostTop)};
}

}  // namespace

Head::Head(Context& context, Communicator& host, std::int64_t rows, int rows_at_a_time)
    : context_(context),
      shape_(context.shape),
      rows_at_a_time_(rows_at_a_time),
      vocabulary_(context.shape, host),
      host_logits_(context.shape.local_vocabulary(), std::min<std::int64_t>(rows, rows_at_a_time)) {
  const HeadSizes sizes = head_sizes(shape_, rows, rows_at_a_time);
  window_hidden_.bytes(context.bytes(sizes.hidden));
  normed_.bytes(context.bytes(sizes.normed));
  logits_.as<float>(sizes.logits);
  changes_.as<LogitChange>(sizes.changes);
  host_changes_.as<LogitChange>(sizes.changes);
  scratch_.as<double>(sizes.scratch);
  numbers_.as<double>(sizes.numbers);
  all_numbers_.as<double>(sizes.numbers * shape_.tp_size);
  host_numbers_.as<double>(sizes.numbers * shape_.tp_size);
}

void Head::compute_logits(std::span<const StepSequence> part, int first) {
  const int rows = num_eligible(part);
  const std::int64_t d = shape_.d_model, width = shape_.local_vocabulary();
  residual_norm({.hidden = context_.after(window_hidden_.bytes(0), first * d),
                 .delta = nullptr,
                 .weight = context_.weights.final_norm.as<float>(0),
                 .normed = normed_.as<std::byte>(context_.bytes(rows * d)),
                 .x = {},
                 .cache_rows = nullptr,
                 .first_column = 0,
                 .rows = rows,
                 .width = shape_.d_model,
                 .eps = static_cast<float>(shape_.rms_norm_eps)},
                context_.element,
                context_.stream);
  context_.gemm.run(normed_.bytes(0),
                    context_.weights.head.bytes(0),
                    logits_.as<float>(rows * width),
                    rows,
                    width,
                    d,
                    context_.element,
                    Element::kFloat32);
  const std::vector<LogitChange> changes = logit_changes(part, shape_);
  finished_ = !changes.empty() || !top_rows(part).empty() ||
              !VocabularyStatistics::whole_rows(part).empty();
  if (!finished_) return;
  auto* host = host_changes_.as<LogitChange>(std::ssize(changes));
  auto* device = changes_.as<LogitChange>(std::ssize(changes));
  std::ranges::copy(changes, host);
  context_.copy_to_device(device, host, std::ssize(changes) * sizeof(LogitChange));
  finish_logits(logits_.as<float>(0),
                rows * width,
                static_cast<int>(width),
                device,
                static_cast<int>(changes.size()),
                context_.element,
                context_.stream);
}

void Head::describe(std::span<const StepSequence> part, TokenId mask_id) {
  const std::vector<RowQuestion> questions = row_questions(part);
  const std::vector<TopRow> top = top_rows(part);
  int most = 0;
  for (const TopRow& row : top) most = std::max(most, row.count);
  const int rows = static_cast<int>(questions.size()), num_top = static_cast<int>(top.size());
  const int width = shape_.local_vocabulary();
  const std::int64_t count = vocabulary_.num_numbers(part);
  double* numbers = numbers_.as<double>(count);
  double* scratch = scratch_.as<double>(std::max(
      vocabulary_scratch_size(rows, vocabulary_.groups()), top_scratch_size(num_top, most, width)));
  const RowQuestion* device_questions = context_.plan.add_all(questions);
  const TopRow* device_top = context_.plan.add_all(top);
  context_.plan.upload(context_.stream);
  describe_vocabulary({.logits = logits_.as<float>(0),
                       .questions = device_questions,
                       .rows = rows,
                       .width = width,
                       .groups = vocabulary_.groups(),
                       .first_id = shape_.first_vocabulary_id(),
                       .mask_id = mask_id,
                       .scratch = scratch,
                       .numbers = numbers},
                      finished_ ? Element::kFloat32 : context_.element,
                      context_.stream);
  find_top_logits({.logits = logits_.as<float>(0),
                   .rows = device_top,
                   .num_rows = num_top,
                   .most = most,
                   .width = width,
                   .first_id = shape_.first_vocabulary_id(),
                   .scratch = scratch,
                   .pairs = numbers + rows * vocabulary_.numbers_per_row()},
                  context_.stream);
  const auto bytes = count * static_cast<std::int64_t>(sizeof(double));
  auto* all = all_numbers_.as<double>(count * shape_.tp_size);
  context_.device.all_gather(numbers, all, bytes, context_.stream);
  context_.copy_to_host(
      host_numbers_.as<double>(count * shape_.tp_size), all, bytes * shape_.tp_size);
  host_logits_.start(logits_.as<float>(0), VocabularyStatistics::whole_rows(part), context_.stream);
}

std::vector<std::vector<Candidate>> Head::candidates(std::span<const StepSequence> part) {
  const double* host = host_numbers_.as<double>(0);
  std::vector<double> gathered(host, host + vocabulary_.num_numbers(part) * shape_.tp_size);
  return vocabulary_.merge(part, std::move(gathered), [this](std::int64_t row) {
    return host_logits_.row(row, [this] { context_.wait(); });
  });
}

std::int64_t Head::scratch_bytes(const ModelShape& shape, std::int64_t rows, int rows_at_a_time) {
  const HeadSizes sizes = head_sizes(shape, rows, rows_at_a_time);
  const auto bytes = [](std::int64_t count, std::size_t size) {
    return count * static_cast<std::int64_t>(size);
  };
  return (sizes.hidden + sizes.normed) * element_size(shape.storage) +
         bytes(sizes.logits, sizeof(float)) + bytes(sizes.changes, sizeof(LogitChange)) +
         bytes(sizes.scratch + (1 + shape.tp_size) * sizes.numbers, sizeof(double));
}

}  // namespace rubato::cuda
