#include "runtime/checkpoint/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error failed(const std::filesystem::path& file, std::string_view what, int number) {
  const Code code = number == ENOENT ? Code::kNotFound : Code::kInvalidArgument;
  return {code, concat(file.string(), ": ", what, ": ", std::generic_category().message(number))};
}

// Advice is a hint: where the kernel refuses it, reading works all the same.
void advise(std::span<const std::byte> bytes, std::uint64_t offset, std::uint64_t length, int how) {
  if (length == 0) return;
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t begin = offset / page * page;
  auto* address = const_cast<std::byte*>(bytes.data()) + begin;
  (void)::madvise(address, offset + length - begin, how);
}

}  // namespace

Result<std::unique_ptr<MappedFile>> MappedFile::open(const std::filesystem::path& file) {
  // O_NONBLOCK: a FIFO of that name must not hold up the start.
  const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return failed(file, "cannot be opened", errno);
  struct stat facts = {};
  if (::fstat(fd.get(), &facts) != 0) return failed(file, "cannot be examined", errno);
  if (!S_ISREG(facts.st_mode)) {
    return Error{Code::kInvalidArgument, concat(file.string(), ": not a regular file")};
  }
  const auto size = static_cast<std::size_t>(facts.st_size);
  if (size == 0) return Error{Code::kInvalidArgument, concat(file.string(), ": the file is empty")};
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return failed(file, "cannot be mapped", errno);
  (void)::madvise(address, size, MADV_RANDOM);
  return std::unique_ptr<MappedFile>(
      new MappedFile(file, {static_cast<const std::byte*>(address), size}));
}

MappedFile::MappedFile(std::filesystem::path path, std::span<const std::byte> bytes)
    : path_(std::move(path)), bytes_(bytes) {}

MappedFile::~MappedFile() {
  (void)::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::will_need(std::uint64_t offset, std::uint64_t length) const {
  advise(bytes_, offset, length, MADV_WILLNEED);
}

void MappedFile::release(std::uint64_t offset, std::uint64_t length) const {
  advise(bytes_, offset, length, MADV_DONTNEED);
}

}  // namespace rubato
