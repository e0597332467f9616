#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// The fixed part of a control message, little-endian on the wire.
struct FrameHeader {
  static constexpr std::uint32_t kMagic = 0x52425431;  // "RBT1"
  static constexpr std::uint8_t kVersion = 3;

  std::uint32_t magic = kMagic;
  std::uint8_t version = kVersion;
  std::uint8_t kind = 0;
  std::uint16_t reserved = 0;
  std::uint64_t step = 0;
  std::uint64_t payload_size = 0;  ///< bytes
};
static_assert(sizeof(FrameHeader) == 24 && std::has_unique_object_representations_v<FrameHeader>);
static_assert(std::endian::native == std::endian::little,
              "wire messages are little-endian copies of memory");

/// A control message from the coordinator to the other ranks, in host memory.
struct Frame {
  std::uint8_t kind = 0;
  std::uint64_t step = 0;
  std::vector<std::byte> payload;
};

/// Carries frames from tensor-parallel rank 0 to the others, in order. Engine thread only.
class ControlChannel {
 public:
  virtual ~ControlChannel() = default;

  /// On rank 0: sends to every other rank. The payload is borrowed for the call.
  virtual void send(const Frame& frame) = 0;

  /// On the other ranks: waits for the next frame. `while_idle`: it may take until the next
  /// heartbeat. Errors: kInternal, if the frame has another format or is not of step `step`.
  virtual Result<Frame> receive(std::uint64_t step, bool while_idle) = 0;

  /// On all ranks: a barrier, which proves that every rank is alive.
  virtual void meet(std::uint64_t step) = 0;
};

/// A group of one: nothing to send.
class SingleControlChannel final : public ControlChannel {
 public:
  void send(const Frame&) override {}
  Result<Frame> receive(std::uint64_t, bool) override {
    return Error{Code::kInternal, "a group of one rank has nobody to receive from"};
  }
  void meet(std::uint64_t) override {}
};

namespace detail {

/// The size of the first broadcast: the header and as much of the payload as fits, nearly always
/// all of it.
inline constexpr std::size_t kFirstFrameBytes = 4096;
inline constexpr std::uint64_t kMostPayloadBytes = std::uint64_t{1} << 30;

FrameHeader header_of(const Frame& frame);

/// A payload above `kMostPayloadBytes` is a bug in this program and ends the process.
void check_sendable(const Frame& frame);

/// Checks a received header; the error says what was expected and what was found.
Status check_header(const FrameHeader& header, std::uint64_t expected_step, int rank);

/// The header of a received message, checked.
Result<FrameHeader> read_header(std::span<const std::byte> message,
                                std::uint64_t expected_step,
                                int rank);

}  // namespace detail
}  // namespace rubato
