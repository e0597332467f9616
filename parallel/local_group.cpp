#include "parallel/local_group.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/check.h"

namespace rubato {

class LocalGroup::LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(LocalGroup& group, int rank) : group_(group), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_.size_; }

  void all_reduce_sum(at::Tensor& t) override {
    const std::int64_t count = t.numel();
    gathered_.resize(count * size());
    gather(t.data_ptr<float>(), count * sizeof(float), gathered_.data(), "an all-reduce");
    detail::tree_sum(gathered_.data(), size(), count, t.data_ptr<float>(), count);
  }

  void all_gather(const at::Tensor& mine, at::Tensor& all) override {
    RUBATO_CHECK(all.nbytes() == mine.nbytes() * size());
    gather(mine.data_ptr(), mine.nbytes(), all.data_ptr(), "an all-gather");
  }

  void broadcast(at::Tensor& t, int root) override {
    RUBATO_CHECK(root >= 0 && root < size(), "root ", root, " of ", size());
    group_.shared_[rank_] = t.data_ptr();
    group_.arrive_and_wait(rank_, "a broadcast");
    if (rank_ != root) std::memcpy(t.data_ptr(), group_.shared_[root], t.nbytes());
    group_.arrive_and_wait(rank_, "a broadcast");
  }

 private:
  void gather(const void* mine, std::size_t bytes, void* all, std::string_view operation) {
    group_.shared_[rank_] = mine;
    group_.arrive_and_wait(rank_, operation);
    for (int r = 0; r < size(); ++r)
      std::memcpy(static_cast<std::byte*>(all) + r * bytes, group_.shared_[r], bytes);
    group_.arrive_and_wait(rank_, operation);
  }

  LocalGroup& group_;
  const int rank_;
  std::vector<float> gathered_;
};

class LocalGroup::LocalControlChannel final : public ControlChannel {
 public:
  LocalControlChannel(LocalGroup& group, int rank) : group_(group), rank_(rank) {}

  void send(const Frame& frame) override {
    detail::check_sendable(frame);
    {
      const std::lock_guard lock(group_.mutex_);
      for (int r = 1; r < group_.size_; ++r) group_.mailboxes_[r].push_back(frame);
    }
    group_.changed_.notify_all();
  }

  Result<Frame> receive(std::uint64_t step, bool while_idle) override {
    std::unique_lock lock(group_.mutex_);
    auto& mailbox = group_.mailboxes_[rank_];
    const auto has_mail = [&mailbox] { return !mailbox.empty(); };
    if (while_idle) {
      group_.changed_.wait(lock, has_mail);
    } else if (!group_.changed_.wait_for(lock, group_.deadline_, has_mail)) {
      end_for_missed_deadline(rank_, "receiving a control message", group_.deadline_);
    }
    Frame frame = std::move(mailbox.front());
    mailbox.pop_front();
    if (Status status = detail::check_header(detail::header_of(frame), step, rank_); !status)
      return status.error();
    return frame;
  }

  void meet(std::uint64_t) override { group_.arrive_and_wait(rank_, "a heartbeat"); }

 private:
  LocalGroup& group_;
  const int rank_;
};

LocalGroup::LocalGroup(int size, std::chrono::milliseconds deadline)
    : size_(size), deadline_(deadline), shared_(size), mailboxes_(size) {}
LocalGroup::~LocalGroup() = default;

std::unique_ptr<Communicator> LocalGroup::communicator(int rank) {
  return std::make_unique<LocalCommunicator>(*this, rank);
}

std::unique_ptr<ControlChannel> LocalGroup::control_channel(int rank) {
  return std::make_unique<LocalControlChannel>(*this, rank);
}

void LocalGroup::arrive_and_wait(int rank, std::string_view operation) {
  std::unique_lock lock(mutex_);
  const std::uint64_t generation = generation_;
  if (++arrived_ == size_) {
    arrived_ = 0;
    ++generation_;
    changed_.notify_all();
    return;
  }
  if (!changed_.wait_for(lock, deadline_, [&] { return generation_ != generation; }))
    end_for_missed_deadline(rank, operation, deadline_);
}

}  // namespace rubato
