#include "benchmarks/policies/compare.h"

#include <algorithm>
#include <boost/json.hpp>

#include "benchmarks/policies/generate.h"
#include "benchmarks/policies/scoring.h"
#include "http/openai/answer.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

using ReportProgress = std::function<void(const ComparisonProgress&)>;

/// What all tasks of a comparison share; borrowed.
struct Bench {
  const std::vector<Contender>& contenders;
  const ComparisonOptions& options;
  const ApiContext& context;
  GenerationClient& client;
  PythonScorer& python;

  int count_of(const Task& task) const {
    return std::min(options.count, static_cast<int>(task.questions.size()));
  }

  /// Generations on a task at one length.
  int generations_on(const Task& task) const {
    return count_of(task) * static_cast<int>(contenders.size()) * options.repeat;
  }
};

/// What a contender is asked, in order.
Result<std::vector<GenerationRequest>> make_requests(const Task& task,
                                                     const Contender& contender,
                                                     int length,
                                                     const Bench& bench) {
  std::vector<GenerationRequest> requests;
  for (const Question& question : std::span(task.questions).first(bench.count_of(task))) {
    const json::object body{
        {"messages", json::array{json::object{{"role", "user"}, {"content", question.text}}}},
        {"max_tokens", length},
        {"seed", 0},
        {"diffusion", contender.diffusion}};
    Result<ApiRequest> parsed = parse_chat_request(body, bench.context);
    if (!parsed) {
      return Error{parsed.error().code,
                   concat(contender.name, " on ", task.name, ": ", parsed.error().message),
                   parsed.error().param};
    }
    requests.push_back(std::move(parsed->choices.front()));
    requests.back().trace = true;  // for the boundaries
  }
  return requests;
}

/// Judges one answer.
Result<Measurement> score(const Bench& bench,
                          const Question& question,
                          const GenerationRequest& request,
                          std::span<const GenerationUpdate> updates) {
  Answer answer(bench.context.tokenizer, request, {.stop_ids = bench.context.model.stop_ids});
  Measurement one;
  int refreshes = 0;  // so far: a boundary at the last layer leaves nothing to refresh
  for (const GenerationUpdate& update : updates) {
    answer.add(update);
    one.committed += std::ssize(update.commits);
    if (update.stats.refreshes > refreshes && update.trace && update.trace->boundary)
      ++one.boundaries[*update.trace->boundary];
    refreshes = update.stats.refreshes;
  }
  const Result<bool> right = is_right(question, answer.text(), bench.python);
  if (!right) return right.error();
  one.questions = 1;
  one.right = *right ? 1 : 0;
  one.tokens = std::ssize(answer.token_ids());
  one.canvas_positions = request.canvas_length();
  one.cost = updates.back().stats;
  return one;
}

/// One contender's part of a task's comparison at one length.
class Run {
 public:
  Run(const Bench& bench,
      const Task& task,
      const Contender& contender,
      std::vector<GenerationRequest> requests)
      : bench_(bench), task_(task), requests_(std::move(requests)) {
    measurement_.task = task.name;
    measurement_.contender = contender.name;
    measurement_.request = requests_.front();
  }

  /// One generation that is not counted: it sizes buffers and touches memory, which whoever comes
  /// first would otherwise pay for.
  Status warm_up() {
    const auto warm = generate(bench_.client, std::span(requests_).first(1), 1);
    return warm ? Status() : warm.error();
  }

  /// All questions are to be answered from the first on, once more.
  void begin_repetition() { measurement_.seconds.push_back(0); }

  /// Answers `count` questions from `first` on.
  Status ask(int first, int count) {
    const auto requests = std::span(requests_).subspan(first, count);
    const StepTimes before = bench_.client.status().times;
    auto generations = generate(bench_.client, requests, bench_.options.concurrency);
    if (!generations) return generations.error();
    measurement_.seconds.back() += std::chrono::duration<double>(generations->spent).count();
    measurement_.times += bench_.client.status().times;
    measurement_.times -= before;
    if (measurement_.seconds.size() == 1) return count_answers(first, generations->updates);
    compare_answers(first, generations->updates);
    return {};
  }

  const Measurement& measurement() const { return measurement_; }

 private:
  using Updates = std::vector<std::vector<GenerationUpdate>>;

  Status count_answers(int first, const Updates& updates) {
    for (std::size_t i = 0; i < updates.size(); ++i) {
      const auto one = score(bench_, task_.questions[first + i], requests_[first + i], updates[i]);
      if (!one) return one.error();
      measurement_.add(*one);
      costs_.push_back(updates[i].back().stats);
    }
    if (first > 0) return {};
    for (const GenerationUpdate& update : updates.front())
      if (update.trace) measurement_.trace.push_back(*update.trace);
    return {};
  }

  void compare_answers(int first, const Updates& updates) {
    for (std::size_t i = 0; i < updates.size(); ++i) {
      if (updates[i].back().stats != costs_[first + i]) measurement_.repeats_alike = false;
    }
  }

  const Bench& bench_;
  const Task& task_;
  std::vector<GenerationRequest> requests_;
  std::vector<GenerationStats> costs_;  // by question, of the first repetition
  Measurement measurement_;
};

Result<std::vector<Run>> make_runs(const Task& task, int length, const Bench& bench) {
  std::vector<Run> runs;
  for (const Contender& contender : bench.contenders) {
    auto requests = make_requests(task, contender, length, bench);
    if (!requests) return requests.error();
    runs.emplace_back(bench, task, contender, *std::move(requests));
  }
  return runs;
}

/// The contenders take turns over a task's questions, once.
Status take_turns(std::vector<Run>& runs,
                  int num_questions,
                  int concurrency,
                  ComparisonProgress& state,
                  const ReportProgress& progress) {
  for (Run& run : runs) run.begin_repetition();
  const int turn = concurrency == 1 ? 5 : 10 * concurrency;  // long enough to be full mostly
  for (int first = 0; first < num_questions; first += turn) {
    const int count = std::min(turn, num_questions - first);
    for (Run& run : runs) {
      state.contender = run.measurement().contender;
      progress(state);
      if (const Status asked = run.ask(first, count); !asked) return asked;
      state.done += count;
    }
  }
  return {};
}

/// All contenders on one task at one length.
Status compare_on(const Task& task,
                  int length,
                  const Bench& bench,
                  ComparisonProgress& state,
                  const ReportProgress& progress,
                  PolicyComparison& comparison) {
  auto runs = make_runs(task, length, bench);
  if (!runs && runs.error().code == Code::kTooLong && bench.options.lengths.size() > 1) {
    comparison.skipped.push_back({task.name, length, runs.error().message});
    state.total -= bench.generations_on(task);
    return {};
  }
  if (!runs) return runs.error();
  state.task = task.name;
  state.length = length;
  if (const Status warm = runs->front().warm_up(); !warm) return warm;
  for (int repetition = 0; repetition < bench.options.repeat; ++repetition) {
    const Status taken =
        take_turns(*runs, bench.count_of(task), bench.options.concurrency, state, progress);
    if (!taken) return taken;
  }
  for (const Run& run : *runs) comparison.measurements.push_back(run.measurement());
  return {};
}

/// The tasks whose answers can be judged here.
std::vector<const Task*> scorable_tasks(const std::vector<Task>& tasks,
                                        PythonScorer& python,
                                        PolicyComparison& comparison) {
  std::vector<const Task*> scorable;
  for (const Task& task : tasks) {
    const Status status = task.needs_python() ? python.available() : Status();
    if (status) {
      scorable.push_back(&task);
      continue;
    }
    for (const int length : comparison.lengths)
      comparison.skipped.push_back({task.name, length, status.error().message});
  }
  return scorable;
}

}  // namespace

Result<PolicyComparison> compare_policies(const std::vector<Task>& tasks,
                                          const std::vector<Contender>& contenders,
                                          const ComparisonOptions& options,
                                          const ApiContext& context,
                                          GenerationClient& client,
                                          PythonScorer& python,
                                          const ReportProgress& progress) {
  const Bench bench{contenders, options, context, client, python};
  PolicyComparison comparison{.lengths = options.lengths,
                              .concurrency = options.concurrency,
                              .repeat = options.repeat,
                              .measurements = {},
                              .skipped = {}};
  const std::vector<const Task*> scorable = scorable_tasks(tasks, python, comparison);
  ComparisonProgress state;
  for (const Task* task : scorable) {
    state.total += bench.generations_on(*task) * static_cast<int>(options.lengths.size());
  }
  for (const int length : options.lengths) {
    for (const Task* task : scorable) {
      const Status compared = compare_on(*task, length, bench, state, progress, comparison);
      if (!compared) return compared.error();
    }
  }
  progress(state);
  return comparison;
}

}  // namespace rubato
