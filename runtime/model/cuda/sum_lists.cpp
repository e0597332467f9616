#include "runtime/model/cuda/sum_lists.h"

#include <algorithm>

namespace rubato::cuda {
namespace {

std::int64_t drift_size(const StepSequence& s, int local_heads) {
  if (!s.track || !s.tests_drift()) return 0;
  // (Of the `rows` measure a rank's heads stay apart until the ranks' sums are made.)
  return s.drift == DriftMeasure::kHeads ? std::int64_t{3} * s.query.num_tracked * s.canvas_length()
                                         : local_heads;
}

void add_window(SumLists& lists, SumJob& job, const PassLists& pass, const PassPart& part) {
  job.window_begin = static_cast<std::int32_t>(lists.rows.size());
  job.num_window = part.num_eligible;
  for (int i = part.first_eligible; i < part.first_eligible + part.num_eligible; ++i) {
    const std::int32_t row = pass.eligible_rows[i];
    lists.rows.push_back({pass.eligible_cache_rows[i], row, pass.reuse ? row : i});
  }
  lists.any_mass = lists.any_mass || part.num_eligible > 0;
}

void add_tracked(SumLists& lists,
                 SumJob& job,
                 const StepSequence& sequence,
                 const PassLists& pass,
                 const PassPart& part) {
  job.tracked_begin = static_cast<std::int32_t>(lists.rows.size());
  job.num_tracked = sequence.query.num_tracked;
  job.tracked_lse = lists.num_tracked;
  job.rows_measure = sequence.drift == DriftMeasure::kRows ? 1 : 0;
  for (int row = part.first_row; row < part.first_row + job.num_tracked; ++row)
    lists.rows.push_back({pass.cache_rows[row], row, row});
  lists.num_tracked += job.num_tracked;
  lists.most_tracked = std::max(lists.most_tracked, job.num_tracked);
  (job.rows_measure != 0 ? lists.any_rows : lists.any_heads) = true;
}

SumJob job_of(const StepSequence& s) {
  SumJob job;
  job.slot_begin = static_cast<std::int32_t>(s.slot_begin);
  job.num_keys = s.canvas_length();
  return job;
}

void finish(SumLists& lists, const SumJob& job, int sequence) {
  lists.jobs.push_back(job);
  lists.sequence_of_job.push_back(sequence);
  lists.most_keys = std::max(lists.most_keys, job.num_keys);
}

}  // namespace

SumLists reuse_sums(std::span<const StepSequence> sequences,
                    const PassLists& pass,
                    int num_layers,
                    int local_heads) {
  SumLists lists;
  for (const StepSequence& s : sequences) {
    lists.mass_begin.push_back(lists.size);
    lists.mass_size.push_back(s.track ? std::int64_t{s.canvas_length()} * num_layers : 0);
    lists.size += lists.mass_size.back();
  }
  lists.all_mass = lists.size;
  for (const PassPart& part : pass.parts) {
    const StepSequence& s = sequences[part.index];
    if (!s.track) continue;
    SumJob job = job_of(s);
    job.mass = lists.mass_begin[part.index];
    job.drift = lists.size;
    job.drift_size = drift_size(s, local_heads);
    lists.size += job.drift_size * num_layers;
    add_window(lists, job, pass, part);
    if (s.tests_drift()) add_tracked(lists, job, s, pass, part);
    finish(lists, job, part.index);
  }
  return lists;
}

SumLists refresh_sums(std::span<const StepSequence> sequences,
                      const PassLists& pass,
                      const SumLists& step) {
  SumLists lists;
  for (const PassPart& part : pass.parts) {
    const StepSequence& s = sequences[part.index];
    if (!s.track) continue;
    SumJob job = job_of(s);
    job.first_layer = part.boundary;
    job.mass = step.mass_begin[part.index];
    add_window(lists, job, pass, part);
    finish(lists, job, part.index);
  }
  return lists;
}

}  // namespace rubato::cuda
