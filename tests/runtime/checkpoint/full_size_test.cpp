// LLaDA-8B-Instruct's folder at full size, as sparse files.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/checkpoint/inspect.h"
#include "runtime/checkpoint/shard.h"
#include "tests/support/sparse_checkpoint.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using testing::TemporaryFolder;
using testing::write_sparse_llada_8b;

constexpr std::int64_t kValueBytes = 2;  // bfloat16

class FullSize : public ::testing::Test {
 protected:
  FullSize() { write_sparse_llada_8b(folder_.path()); }

  // A weight's value, written into its file: the mapping shows it.
  static void poke(const TensorView& tensor,
                   std::int64_t row,
                   std::int64_t col,
                   std::uint16_t bits) {
    const int fd = ::open(tensor.file->path().c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    const auto at =
        static_cast<std::int64_t>(tensor.offset) + (row * tensor.cols + col) * kValueBytes;
    EXPECT_EQ(::pwrite(fd, &bits, sizeof(bits), at), sizeof(bits));
    ::close(fd);
  }

  TemporaryFolder folder_;
};

TEST_F(FullSize, IsSixShardsOf291TensorsCutInsideBlocks) {
  const auto checkpoint = Checkpoint::open(folder_.path());

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->shards().size(), 6);
  EXPECT_EQ(all_tensors(checkpoint->config()).size(), 291);
  int num_cut_blocks = 0;
  for (int layer = 0; layer < checkpoint->config().n_layers; ++layer) {
    std::set<const MappedFile*> files;
    for (const TensorKind kind : kLayerTensors) files.insert(checkpoint->tensor(kind, layer).file);
    num_cut_blocks += files.size() > 1 ? 1 : 0;
  }
  EXPECT_GE(num_cut_blocks, 4);
}

TEST_F(FullSize, InspectCountsTheParametersAndTheMemoryOfARank) {
  const auto inspection = inspect(folder_.path());

  ASSERT_TRUE(inspection.ok()) << inspection.error().message;
  EXPECT_EQ(inspection->parameters, 8015581184);
  EXPECT_EQ(inspection->num_tensors, 291);
  ASSERT_EQ(inspection->ranks.size(), 4);
  // All but the 65 norms is divided: (8015581184 - 65 * 4096) / tp + 65 * 4096.
  const std::vector<std::int64_t> parameters = {8015581184, 4007923712, 2004094976, 1002180608};
  for (std::size_t i = 0; i < 4; ++i) {
    const RankMemory& rank = inspection->ranks[i];
    EXPECT_EQ(rank.problem, "");
    EXPECT_EQ(rank.parameters, parameters[i]);
    EXPECT_EQ(rank.weight_bytes, 2 * parameters[i]);
    // X, Q, K, V of 32 layers, 4096 wide, two bytes each.
    EXPECT_EQ(rank.cache_bytes_per_token, (std::int64_t{1} << 20) / rank.tp_size);
  }
}

// The pages of `tensor`'s file that hold values of `slice` are readable, all others are not: a load
// that touched one would end the process.
class GuardedPages {
 public:
  GuardedPages(const TensorView& tensor, const TensorSlice& slice)
      : bytes_(tensor.file->bytes()), page_(static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) {
    protect(0, bytes_.size(), PROT_NONE);
    for (std::int64_t row = slice.rows.begin; row < slice.rows.end; ++row) {
      const std::uint64_t first =
          tensor.offset + (row * tensor.cols + slice.cols.begin) * kValueBytes;
      protect(first, slice.cols.size() * kValueBytes, PROT_READ);
    }
  }
  ~GuardedPages() { protect(0, bytes_.size(), PROT_READ); }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;

 private:
  void protect(std::uint64_t offset, std::uint64_t length, int how) {
    const std::uint64_t begin = offset / page_ * page_;
    auto* address = const_cast<std::byte*>(bytes_.data()) + begin;
    EXPECT_EQ(::mprotect(address, offset + length - begin, how), 0);
  }

  std::span<const std::byte> bytes_;
  std::uint64_t page_;
};

TEST_F(FullSize, ARankTouchesThePagesOfItsOwnSlicesOnly) {
  const auto checkpoint = Checkpoint::open(folder_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  constexpr int kTpSize = 8;
  constexpr int kRank = 5;
  std::uint64_t expected_bytes = 0;
  for (const TensorId id : {TensorId{TensorKind::kQuery, 0},
                            TensorId{TensorKind::kAttentionOut, 15},
                            TensorId{TensorKind::kGate, 31},
                            TensorId{TensorKind::kDown, 31},
                            TensorId{TensorKind::kMlpNorm, 7}}) {
    const TensorView tensor = checkpoint->tensor(id.kind, id.layer);
    const TensorSlice slice = rank_slice(checkpoint->config(), id.kind, kRank, kTpSize);
    poke(tensor, slice.rows.begin, slice.cols.begin, 0x3f80);      // 1
    poke(tensor, slice.rows.end - 1, slice.cols.end - 1, 0x4000);  // 2
    std::vector<std::uint16_t> out(static_cast<std::size_t>(slice.size()));
    {
      const GuardedPages guard(tensor, slice);
      copy_slice(tensor, slice, out.data());
    }
    EXPECT_EQ(out.front(), 0x3f80) << tensor_name(Naming::kLlada, id);
    EXPECT_EQ(out.back(), 0x4000) << tensor_name(Naming::kLlada, id);
    EXPECT_EQ(std::count(out.begin(), out.end(), 0), slice.size() - 2);
    expected_bytes += static_cast<std::uint64_t>(slice.size() * kValueBytes);
    EXPECT_EQ(checkpoint->bytes_read(), expected_bytes);
  }
}

// Kilobytes of mapped files in this process's memory.
std::int64_t resident_file_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoll(line.substr(8));
  }
  return -1;
}

TEST_F(FullSize, LoadingDoesNotKeepTheFilesInMemory) {
  const auto checkpoint = Checkpoint::open(folder_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const std::int64_t before = resident_file_kb();
  ASSERT_GE(before, 0);
  std::vector<std::uint16_t> out;
  for (const TensorKind kind : {TensorKind::kQuery, TensorKind::kGate, TensorKind::kDown}) {
    const TensorSlice slice = rank_slice(checkpoint->config(), kind, 1, 2);
    out.resize(static_cast<std::size_t>(slice.size()));
    copy_slice(checkpoint->tensor(kind, 3), slice, out.data());  // 16 to 50 MB each
  }
  EXPECT_LT(resident_file_kb() - before, 8 * 1024);
}

}  // namespace
}  // namespace rubato
