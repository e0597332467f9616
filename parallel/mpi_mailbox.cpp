#include <list>
#include <mutex>

#include "parallel/mailbox.h"
#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"
#include "runtime/base/check.h"

namespace rubato {
namespace {

class MpiMailbox final : public Mailbox {
 public:
  explicit MpiMailbox(std::chrono::milliseconds deadline)
      : comm_(detail::OwnedComm::of_world()), deadline_(deadline) {}

  void post(int to, std::span<const std::byte> content) override {
    RUBATO_CHECK(content.size() <= kMostBytes, "a message of ", content.size(), " bytes");
    const std::lock_guard lock(mutex_);
    Sending& sending = sending_.emplace_back();
    sending.content.assign(content.begin(), content.end());
    RUBATO_MPI(MPI_Isend(sending.content.data(),
                         static_cast<int>(sending.content.size()),
                         MPI_BYTE,
                         to,
                         kTag,
                         comm_.get(),
                         &sending.request));
  }

  std::optional<Letter> poll() override {
    forget_sent();
    int found = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    RUBATO_MPI(MPI_Improbe(MPI_ANY_SOURCE, kTag, comm_.get(), &found, &message, &status));
    if (found == 0) return std::nullopt;
    int size = 0;
    RUBATO_MPI(MPI_Get_count(&status, MPI_BYTE, &size));
    Letter letter{status.MPI_SOURCE, std::vector<std::byte>(size)};
    MPI_Request request = MPI_REQUEST_NULL;
    RUBATO_MPI(MPI_Imrecv(letter.content.data(), size, MPI_BYTE, &message, &request));
    detail::wait_for(request, {"message to the mailbox", ++num_received_}, deadline_);
    return letter;
  }

  void flush() override {
    const std::lock_guard lock(mutex_);
    for (Sending& sending : sending_)
      detail::wait_for(sending.request, {"message from the mailbox", num_received_}, deadline_);
    sending_.clear();
  }

 private:
  static constexpr int kTag = 1;
  static constexpr std::size_t kMostBytes = std::size_t{1} << 30;

  /// A message on its way: MPI reads the bytes until the request is complete.
  struct Sending {
    std::vector<std::byte> content;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  void forget_sent() {
    const std::lock_guard lock(mutex_);
    std::erase_if(sending_, [](Sending& sending) {
      int done = 0;
      RUBATO_MPI(MPI_Test(&sending.request, &done, MPI_STATUS_IGNORE));
      return done != 0;
    });
  }

  detail::OwnedComm comm_;
  const std::chrono::milliseconds deadline_;
  std::mutex mutex_;  // guards sending_
  std::list<Sending> sending_;
  std::uint64_t num_received_ = 0;
};

}  // namespace

std::unique_ptr<Mailbox> make_mpi_mailbox(std::chrono::milliseconds deadline) {
  return std::make_unique<MpiMailbox>(deadline);
}

}  // namespace rubato
