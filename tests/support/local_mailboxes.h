#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "parallel/mailbox.h"

namespace rubato::testing {

/// Mailboxes of several ranks within this process.
class LocalMailboxes {
 public:
  std::unique_ptr<Mailbox> of(int rank) { return std::make_unique<Local>(*this, rank); }

 private:
  class Local final : public Mailbox {
   public:
    Local(LocalMailboxes& all, int rank) : all_(all), rank_(rank) {}

    void post(int to, std::span<const std::byte> content) override {
      const std::lock_guard lock(all_.mutex_);
      all_.letters_[to].push_back({rank_, {content.begin(), content.end()}});
    }

    std::optional<Letter> poll() override {
      const std::lock_guard lock(all_.mutex_);
      std::deque<Letter>& mine = all_.letters_[rank_];
      if (mine.empty()) return std::nullopt;
      Letter letter = std::move(mine.front());
      mine.pop_front();
      return letter;
    }

    void flush() override {}

   private:
    LocalMailboxes& all_;
    const int rank_;
  };

  std::mutex mutex_;
  std::map<int, std::deque<Letter>> letters_;  // by receiver
};

}  // namespace rubato::testing
