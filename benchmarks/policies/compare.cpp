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
};

/// What a contender is asked, in order.
Result<std::vector<GenerationRequest>> make_requests(const Task& task,
                                                     const Contender& contender,
                                                     const Bench& bench) {
  std::vector<GenerationRequest> requests;
  for (const Question& question : std::span(task.questions).first(bench.count_of(task))) {
    const json::object body{
        {"messages", json::array{json::object{{"role", "user"}, {"content", question.text}}}},
        {"max_tokens", bench.options.length},
        {"seed", 0},
        {"diffusion", contender.diffusion}};
    Result<ApiRequest> parsed = parse_chat_request(body, bench.context);
    if (!parsed) {
      return Error{parsed.error().code,
                   concat(contender.name, " on ", task.name, ": ", parsed.error().message),
                   parsed.error().param};
    }
    requests.push_back(std::move(parsed->choices.front()));
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
  for (const GenerationUpdate& update : updates) {
    answer.add(update);
    one.committed += std::ssize(update.commits);
  }
  const Result<bool> right = is_right(question, answer.text(), bench.python);
  if (!right) return right.error();
  one.questions = 1;
  one.right = *right ? 1 : 0;
  one.tokens = std::ssize(answer.token_ids());
  one.cost = updates.back().stats;
  return one;
}

/// One contender's part of a task's comparison.
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

  /// One generation that is not counted: it sizes buffers and touches memory.
  Status warm_up() {
    const auto warm = generate(bench_.client, std::span(requests_).first(1), 1);
    return warm ? Status() : warm.error();
  }

  /// Answers `count` questions from `first` on.
  Status ask(int first, int count) {
    const auto requests = std::span(requests_).subspan(first, count);
    const StepTimes before = bench_.client.status().times;
    auto generations = generate(bench_.client, requests, bench_.options.concurrency);
    if (!generations) return generations.error();
    measurement_.seconds += std::chrono::duration<double>(generations->spent).count();
    measurement_.times += bench_.client.status().times;
    measurement_.times -= before;
    for (int i = 0; i < count; ++i) {
      const auto one =
          score(bench_, task_.questions[first + i], requests[i], generations->updates[i]);
      if (!one) return one.error();
      measurement_.add(*one);
    }
    return {};
  }

  const Measurement& measurement() const { return measurement_; }

 private:
  const Bench& bench_;
  const Task& task_;
  std::vector<GenerationRequest> requests_;
  Measurement measurement_;
};

/// The contenders take turns over a task's questions.
Status compare_on(const Task& task,
                  const Bench& bench,
                  ComparisonProgress& state,
                  const ReportProgress& progress,
                  PolicyComparison& comparison) {
  std::vector<Run> runs;
  for (const Contender& contender : bench.contenders) {
    auto requests = make_requests(task, contender, bench);
    if (!requests) return requests.error();
    runs.emplace_back(bench, task, contender, *std::move(requests));
  }
  if (const Status warm = runs.back().warm_up(); !warm) return warm;
  const int concurrency = bench.options.concurrency;
  const int turn = concurrency == 1 ? 5 : 10 * concurrency;  // long enough to be full mostly
  for (int first = 0; first < bench.count_of(task); first += turn) {
    const int count = std::min(turn, bench.count_of(task) - first);
    for (Run& run : runs) {
      state.task = task.name;
      state.contender = run.measurement().contender;
      progress(state);
      if (const Status asked = run.ask(first, count); !asked) return asked;
      state.done += count;
    }
  }
  for (const Run& run : runs) comparison.measurements.push_back(run.measurement());
  return {};
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
  PolicyComparison comparison;
  comparison.length = options.length;
  comparison.concurrency = options.concurrency;
  std::vector<const Task*> scorable;
  ComparisonProgress state;
  for (const Task& task : tasks) {
    const Status status = task.needs_python() ? python.available() : Status();
    if (!status) {
      comparison.skipped.push_back({task.name, status.error().message});
      continue;
    }
    scorable.push_back(&task);
    state.total += bench.count_of(task) * static_cast<int>(contenders.size());
  }
  for (const Task* task : scorable) {
    const Status compared = compare_on(*task, bench, state, progress, comparison);
    if (!compared) return compared.error();
  }
  progress(state);
  return comparison;
}

}  // namespace rubato
