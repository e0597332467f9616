#pragma once

#include <prometheus/registry.h>

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/openai/answer.h"
#include "runtime/engine/generation.h"

namespace rubato {

/// The front end's metrics, and the text of GET /metrics. Any thread. No label contains data from
/// clients.
class ServerMetrics {
 public:
  ServerMetrics();

  /// Sets version and model name. Call once.
  void tell_build(const std::string& version, const std::string& model);

  /// Counts an answer. Paths that are not routes count as "other".
  void count_answer(std::string_view path, int status);

  /// All metrics in Prometheus's text format; without replicas there is no engine yet.
  std::string expose(std::span<const EngineStatus> replicas) const;

 private:
  friend class GenerationTimes;

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& answers_;
  prometheus::Family<prometheus::Counter>& finished_;
  prometheus::Histogram& first_token_;
  prometheus::Histogram& per_token_;
  prometheus::Histogram& whole_;
};

/// Times one request's generations, from its arrival. A generation that is not complete when
/// this is destroyed counts as aborted. Not thread safe.
class GenerationTimes {
 public:
  using Clock = std::chrono::steady_clock;

  GenerationTimes(ServerMetrics& metrics, std::size_t num_choices, Clock::time_point arrived);
  ~GenerationTimes();
  GenerationTimes(const GenerationTimes&) = delete;
  GenerationTimes& operator=(const GenerationTimes&) = delete;

  /// Call after a choice's answer has processed an update.
  void note(std::size_t choice, const Answer& answer, Clock::time_point now = Clock::now());

  /// Counts the choices that are not complete as failed.
  void fail() { unfinished_reason_ = "error"; }

 private:
  struct Choice {
    Clock::time_point first_token;
    std::size_t first_tokens = 0;  // how many came at that time
    bool complete = false;
  };

  ServerMetrics& metrics_;
  Clock::time_point arrived_;
  std::vector<Choice> choices_;
  const char* unfinished_reason_ = "abort";
};

}  // namespace rubato
