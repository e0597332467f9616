#include "http/openai/answer.h"

#include <algorithm>

namespace rubato {

Answer::Answer(const Tokenizer& tokenizer, const GenerationRequest& request, AnswerOptions options)
    : tokenizer_(&tokenizer),
      options_(std::move(options)),
      canvas_(request.max_tokens),
      prompt_length_(static_cast<Position>(request.prompt.size())),
      decoder_(tokenizer, options_.skip_special),
      logprobs_(request.top_logprobs >= 0 ? request.max_tokens : 0),
      text_(options_.echo) {}

std::string Answer::add(const GenerationUpdate& update) {
  if (complete_) return {};
  for (std::size_t i = 0; i < update.commits.size(); ++i) {
    const auto index = update.commits[i].position - prompt_length_;
    canvas_[index] = update.commits[i].token;
    if (!logprobs_.empty()) logprobs_[index] = update.logprobs[i];
  }
  stats_ = update.stats;
  if (update.trace) trace_.push_back(*update.trace);
  read_prefix();
  if (update.finished && !text_ended_) append(decoder_.flush());
  complete_ = update.finished || (text_ended_ && !options_.to_the_end);
  return release();
}

void Answer::read_prefix() {
  while (!text_ended_ && ids_.size() < canvas_.size() && canvas_[ids_.size()]) {
    const TokenId id = *canvas_[ids_.size()];
    ids_.push_back(id);
    if (std::ranges::find(options_.stop_ids, id) != options_.stop_ids.end()) {
      end_at(id);
    } else {
      append(decoder_.push(id));
    }
    text_ends_.push_back(text_.size());
  }
}

void Answer::end_at(TokenId id) {
  append(decoder_.flush());
  if (text_ended_) return;  // by a stop string in the rest
  stop_reason_ = id;
  text_ended_ = true;
  if (!options_.include_stop) return;
  text_ += decoder_.push(id);
  text_ += decoder_.flush();
}

void Answer::append(const std::string& more) {
  const std::size_t before = text_.size();
  text_ += more;
  if (std::ssize(ids_) <= options_.min_tokens) return;
  std::size_t first = std::string::npos;
  const std::string* met = nullptr;
  for (const std::string& stop : options_.stop) {
    // A match must end in the new text, or it would have been found before.
    const std::size_t from = before >= stop.size() ? before - stop.size() + 1 : 0;
    const std::size_t at = text_.find(stop, std::max(from, options_.echo.size()));
    if (at >= first) continue;
    first = at;
    met = &stop;
  }
  if (met == nullptr) return;
  stop_reason_ = *met;
  text_.resize(first + (options_.include_stop ? met->size() : 0));
  text_ended_ = true;
}

std::size_t Answer::held_back() const {
  if (complete_ || text_ended_) return 0;
  const std::string_view certain = std::string_view(text_).substr(options_.echo.size());
  std::size_t held = 0;  // the longest end of the text that could start a stop string
  for (const std::string& stop : options_.stop) {
    for (std::size_t length = std::min(stop.size() - 1, certain.size()); length > held; --length) {
      if (certain.ends_with(std::string_view(stop).substr(0, length))) held = length;
    }
  }
  return held;
}

std::string Answer::release() {
  const std::size_t certain = text_.size() - held_back();
  if (certain <= given_) return {};
  std::string delta = text_.substr(given_, certain - given_);
  given_ = certain;
  return delta;
}

std::span<const CommitLogprobs> Answer::logprobs() const {
  return std::span(logprobs_).first(logprobs_.empty() ? 0 : ids_.size());
}

const CommitLogprobs& Answer::logprobs_at(Position position) const {
  return logprobs_.at(position - prompt_length_);
}

std::size_t Answer::text_begin(std::size_t token) const {
  return std::min(token == 0 ? options_.echo.size() : text_ends_[token - 1], text_.size());
}

std::size_t Answer::num_given_tokens() const {
  if (complete_ || text_ended_) return ids_.size();
  return std::ranges::upper_bound(text_ends_, given_) - text_ends_.begin();
}

}  // namespace rubato
