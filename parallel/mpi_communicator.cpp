#include <limits>
#include <vector>

#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"
#include "parallel/rank_watch.h"
#include "runtime/base/check.h"

namespace rubato {
namespace {

/// Below this many floats every rank receives all parts and sums them itself (one exchange); above,
/// each sums a share for all (two exchanges, less traffic). The tree is the same, and so are the
/// bits.
constexpr std::int64_t kSmallSum = 16384;

int checked_count(std::int64_t count) {
  RUBATO_CHECK(count <= std::numeric_limits<int>::max(), "a message of ", count, " elements");
  return static_cast<int>(count);
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(const Mesh& mesh, RankWatch& watch)
      : comm_(mesh.replica, mesh.tp_rank), watch_(watch) {}

  int rank() const override { return comm_.rank(); }
  int size() const override { return comm_.size(); }

  void all_reduce_sum(at::Tensor& t) override {
    float* data = t.data_ptr<float>();
    const std::int64_t count = t.numel();
    ++num_collectives_;
    if (size() == 1 || count == 0) return;
    if (count <= kSmallSum) {
      sum_everywhere(data, count);
    } else {
      sum_in_shares(data, count);
    }
  }

  void all_gather(const at::Tensor& mine, at::Tensor& all) override {
    RUBATO_CHECK(all.nbytes() == mine.nbytes() * size());
    ++num_collectives_;
    gather(mine.data_ptr(), mine.nbytes(), all.data_ptr(), "all-gather, collective");
  }

  void broadcast(at::Tensor& t, int root) override {
    RUBATO_CHECK(root >= 0 && root < size(), "root ", root, " of ", size());
    ++num_collectives_;
    MPI_Request request = MPI_REQUEST_NULL;
    const int count = checked_count(static_cast<std::int64_t>(t.nbytes()));
    RUBATO_MPI(MPI_Ibcast(t.data_ptr(), count, MPI_BYTE, root, comm_.get(), &request));
    wait(request, "broadcast, collective");
  }

 private:
  static constexpr const char* kSum = "all-reduce, collective";

  void wait(MPI_Request& request, const char* name) {
    watch_.wait_after_work(request, {name, num_collectives_});
  }

  void gather(const void* mine, std::size_t bytes, void* all, const char* name) {
    MPI_Request request = MPI_REQUEST_NULL;
    const int count = checked_count(static_cast<std::int64_t>(bytes));
    RUBATO_MPI(MPI_Iallgather(mine, count, MPI_BYTE, all, count, MPI_BYTE, comm_.get(), &request));
    wait(request, name);
  }

  void sum_everywhere(float* data, std::int64_t count) {
    parts_.resize(count * size());
    gather(data, count * sizeof(float), parts_.data(), kSum);
    detail::tree_sum(parts_.data(), size(), count, data, count);
  }

  void sum_in_shares(float* data, std::int64_t count) {
    const std::int64_t share = (count + size() - 1) / size();
    parts_.resize(share * size());
    padded_.assign(data, data + count);
    padded_.resize(share * size());
    MPI_Request request = MPI_REQUEST_NULL;
    const int n = checked_count(share);
    RUBATO_MPI(MPI_Ialltoall(
        padded_.data(), n, MPI_FLOAT, parts_.data(), n, MPI_FLOAT, comm_.get(), &request));
    wait(request, kSum);
    summed_.resize(share);
    detail::tree_sum(parts_.data(), size(), share, summed_.data(), share);
    gather(summed_.data(), share * sizeof(float), padded_.data(), kSum);
    std::copy_n(padded_.data(), count, data);
  }

  detail::OwnedComm comm_;
  RankWatch& watch_;
  std::uint64_t num_collectives_ = 0;
  std::vector<float> parts_, padded_, summed_;  // scratch, grows to the largest message
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const Mesh& mesh, RankWatch& watch) {
  return std::make_unique<MpiCommunicator>(mesh, watch);
}

}  // namespace rubato
