#include "http/openai/answer.h"

#include <algorithm>

namespace rubato {

Answer::Answer(const Tokenizer& tokenizer,
               const GenerationRequest& request,
               std::vector<TokenId> stop_ids,
               std::vector<std::string> stop)
    : stop_ids_(request.ignore_eos ? std::vector<TokenId>{} : std::move(stop_ids)),
      stop_(std::move(stop)),
      canvas_(request.max_tokens),
      prompt_length_(static_cast<Position>(request.prompt.size())),
      decoder_(tokenizer, /*skip_special=*/true) {}

std::string Answer::add(const GenerationUpdate& update) {
  if (complete_) return {};
  for (const Commit& commit : update.commits)
    canvas_[commit.position - prompt_length_] = commit.token;
  stats_ = update.stats;
  if (update.trace) trace_.push_back(*update.trace);
  read_prefix();
  complete_ = update.finished || met_stop_string();
  if (complete_ && !text_ended_) append(decoder_.flush());
  return release(complete_ || text_ended_);
}

void Answer::read_prefix() {
  while (!text_ended_ && ids_.size() < canvas_.size() && canvas_[ids_.size()]) {
    const TokenId id = *canvas_[ids_.size()];
    ids_.push_back(id);
    num_tokens_ = ids_.size();
    if (std::ranges::find(stop_ids_, id) != stop_ids_.end()) {
      append(decoder_.flush());
      if (!met_stop_string()) stop_reason_ = id;
      text_ended_ = true;
    } else {
      append(decoder_.push(id));
    }
  }
}

void Answer::append(const std::string& more) {
  const std::size_t before = text_.size();
  text_ += more;
  std::size_t first = std::string::npos;
  for (const std::string& stop : stop_) {
    // A match must end in the new text, or it would have been found before.
    const std::size_t from = before >= stop.size() ? before - stop.size() + 1 : 0;
    const std::size_t at = text_.find(stop, from);
    if (at >= first) continue;
    first = at;
    stop_reason_ = stop;
  }
  if (first == std::string::npos) return;
  text_.resize(first);
  text_ended_ = true;
}

std::string Answer::release(bool all) {
  std::size_t held = 0;  // the longest end of the text that a stop string could begin with
  for (const std::string& stop : stop_) {
    for (std::size_t length = std::min(stop.size() - 1, text_.size()); !all && length > held;
         --length) {
      if (text_.ends_with(std::string_view(stop).substr(0, length))) held = length;
    }
  }
  const std::size_t certain = text_.size() - held;
  if (certain <= given_) return {};
  std::string delta = text_.substr(given_, certain - given_);
  given_ = certain;
  return delta;
}

}  // namespace rubato
