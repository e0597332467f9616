#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace rubato {

static_assert(std::endian::native == std::endian::little,
              "wire messages are little-endian copies of memory");

/// FNV-1a, 64 bits: detects a message that was damaged on its way, not a forged one.
inline std::uint64_t checksum(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : bytes)
    hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3;
  return hash;
}

/// Appends plain values to a message. The buffer is the caller's, so that a step loop can keep it.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& out) : out_(out), begin_(out.size()) {}

  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& value) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof(T));
    std::memcpy(out_.data() + at, &value, sizeof(T));
  }

  /// A count (uint32) and the values. T must have no padding.
  template <class T>
  void put_all(std::span<const T> values) {
    static_assert(std::has_unique_object_representations_v<T>);
    put(static_cast<std::uint32_t>(values.size()));
    const auto bytes = std::as_bytes(values);
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }

  /// Ends the message with a checksum of everything this writer has put.
  void seal() { put(checksum(std::span(out_).subspan(begin_))); }

 private:
  std::vector<std::byte>& out_;
  std::size_t begin_;
};

/// Reads what `ByteWriter` wrote. Reading past the end gives zeros and makes `ok` false for good:
/// check once at the end.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> in) : in_(in) {}

  /// Checks and removes the checksum of `ByteWriter::seal`; call this first.
  void unseal() {
    std::uint64_t sum = 0;
    if (in_.size() < sizeof sum) return fail();
    std::memcpy(&sum, in_.last(sizeof sum).data(), sizeof sum);
    in_ = in_.first(in_.size() - sizeof sum);
    if (checksum(in_) != sum) fail();
  }

  template <class T>
  requires std::is_trivially_copyable_v<T> T get() {
    T value{};
    if (take(sizeof(T))) std::memcpy(&value, in_.data() - sizeof(T), sizeof(T));
    return value;
  }

  bool get_bool() {
    const auto byte = get<std::uint8_t>();
    if (byte > 1) fail();
    return byte == 1;
  }

  /// One of an enumeration's values, which count from 0 to `last`.
  template <class T>
  T get_enum(T last) {
    const auto number = get<std::underlying_type_t<T>>();
    if (number > static_cast<std::underlying_type_t<T>>(last)) fail();
    return ok_ ? static_cast<T>(number) : T{};
  }

  template <class T>
  std::vector<T> get_all() {
    static_assert(std::has_unique_object_representations_v<T>);
    const std::size_t count = get<std::uint32_t>();
    if (!ok_ || count > in_.size() / sizeof(T)) return fail(), std::vector<T>{};
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), in_.data(), count * sizeof(T));
    take(count * sizeof(T));
    return values;
  }

  /// A count of elements that take at least `least_bytes` each: refused when the message cannot
  /// hold them.
  std::size_t get_count(std::size_t least_bytes) {
    const std::size_t count = get<std::uint32_t>();
    if (count > in_.size() / least_bytes) return fail(), 0;
    return count;
  }

  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && in_.empty(); }

 private:
  bool take(std::size_t size) {
    if (!ok_ || size > in_.size()) return ok_ = false;
    in_ = in_.subspan(size);
    return true;
  }

  std::span<const std::byte> in_;
  bool ok_ = true;
};

}  // namespace rubato
