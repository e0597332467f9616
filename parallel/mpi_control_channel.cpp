#include <algorithm>
#include <cstring>

#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"

namespace rubato {
namespace {

class MpiControlChannel final : public ControlChannel {
 public:
  explicit MpiControlChannel(std::chrono::seconds deadline) : deadline_(deadline) {}

  void send(const Frame& frame) override {
    const FrameHeader header = detail::header_of(frame);
    std::memcpy(first_.data(), &header, sizeof header);
    const std::size_t inlined = std::min(frame.payload.size(), kInlineBytes);
    std::copy_n(frame.payload.begin(), inlined, first_.begin() + sizeof header);
    broadcast(first_.data(), first_.size(), deadline_);
    if (inlined == frame.payload.size()) return;
    rest_.assign(frame.payload.begin() + static_cast<std::ptrdiff_t>(inlined), frame.payload.end());
    broadcast(rest_.data(), rest_.size(), deadline_);
  }

  Result<Frame> receive(std::uint64_t step, bool while_idle) override {
    broadcast(first_.data(), first_.size(), while_idle ? std::chrono::seconds(0) : deadline_);
    FrameHeader header;
    std::memcpy(&header, first_.data(), sizeof header);
    if (Status status = detail::check_header(header, step, comm_.rank()); !status)
      return status.error();
    Frame frame{header.kind, header.step, std::vector<std::byte>(header.payload_size)};
    const std::size_t inlined = std::min<std::size_t>(header.payload_size, kInlineBytes);
    std::copy_n(first_.begin() + sizeof header, inlined, frame.payload.begin());
    if (inlined < frame.payload.size()) {
      broadcast(frame.payload.data() + inlined, frame.payload.size() - inlined, deadline_);
    }
    return frame;
  }

 private:
  static constexpr std::size_t kInlineBytes = detail::kFirstFrameBytes - sizeof(FrameHeader);

  void broadcast(std::byte* data, std::size_t bytes, std::chrono::seconds deadline) {
    MPI_Request request = MPI_REQUEST_NULL;
    RUBATO_MPI(MPI_Ibcast(data, static_cast<int>(bytes), MPI_BYTE, 0, comm_.get(), &request));
    detail::wait_for(request, "a control broadcast", deadline);
  }

  detail::OwnedComm comm_;
  const std::chrono::seconds deadline_;
  std::array<std::byte, detail::kFirstFrameBytes> first_{};
  std::vector<std::byte> rest_;
};

}  // namespace

std::unique_ptr<ControlChannel> make_mpi_control_channel(std::chrono::seconds deadline) {
  return std::make_unique<MpiControlChannel>(deadline);
}

}  // namespace rubato
