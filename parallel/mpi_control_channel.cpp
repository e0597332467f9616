#include <algorithm>
#include <array>
#include <cstring>

#include "parallel/deadline.h"
#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"
#include "parallel/rank_watch.h"

namespace rubato {
namespace {

class MpiControlChannel final : public ControlChannel {
 public:
  MpiControlChannel(const Mesh& mesh, RankWatch& watch)
      : comm_(mesh.replica, mesh.tp_rank), watch_(watch) {}

  void send(const Frame& frame) override {
    detail::check_sendable(frame);
    const FrameHeader header = detail::header_of(frame);
    std::memcpy(first_.data(), &header, sizeof header);
    const std::size_t inlined = std::min(frame.payload.size(), kInlineBytes);
    std::copy_n(frame.payload.begin(), inlined, first_.begin() + sizeof header);
    broadcast(first_.data(), first_.size(), frame.step);
    if (inlined == frame.payload.size()) return;
    rest_.assign(frame.payload.begin() + static_cast<std::ptrdiff_t>(inlined), frame.payload.end());
    broadcast(rest_.data(), rest_.size(), frame.step);
  }

  Result<Frame> receive(std::uint64_t step, bool while_idle) override {
    broadcast(first_.data(), first_.size(), step, while_idle ? kHeartbeat : kBusy);
    const Result<FrameHeader> header = detail::read_header(first_, step, comm_.rank());
    if (!header) return header.error();
    Frame frame{header->kind, header->step, std::vector<std::byte>(header->payload_size)};
    const std::size_t inlined = std::min<std::size_t>(header->payload_size, kInlineBytes);
    std::copy_n(first_.begin() + sizeof *header, inlined, frame.payload.begin());
    if (inlined < frame.payload.size()) {
      broadcast(frame.payload.data() + inlined, frame.payload.size() - inlined, step);
    }
    return frame;
  }

  void meet(std::uint64_t step) override {
    MPI_Request request = MPI_REQUEST_NULL;
    RUBATO_MPI(MPI_Ibarrier(comm_.get(), &request));
    watch_.wait(request, {"heartbeat of step", step});
  }

 private:
  static constexpr std::chrono::milliseconds kBusy{0};
  static constexpr std::size_t kInlineBytes = detail::kFirstFrameBytes - sizeof(FrameHeader);

  void broadcast(std::byte* data,
                 std::size_t bytes,
                 std::uint64_t step,
                 std::chrono::milliseconds idle_for = kBusy) {
    MPI_Request request = MPI_REQUEST_NULL;
    RUBATO_MPI(MPI_Ibcast(data, static_cast<int>(bytes), MPI_BYTE, 0, comm_.get(), &request));
    watch_.wait(request, {"control message of step", step}, idle_for);
  }

  detail::OwnedComm comm_;
  RankWatch& watch_;
  std::array<std::byte, detail::kFirstFrameBytes> first_{};
  std::vector<std::byte> rest_;
};

}  // namespace

std::unique_ptr<ControlChannel> make_mpi_control_channel(const Mesh& mesh, RankWatch& watch) {
  return std::make_unique<MpiControlChannel>(mesh, watch);
}

}  // namespace rubato
