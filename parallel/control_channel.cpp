#include "parallel/control_channel.h"

#include <cstring>

#include "runtime/base/check.h"
#include "runtime/base/concat.h"

namespace rubato::detail {

FrameHeader header_of(const Frame& frame) {
  FrameHeader header;
  header.kind = frame.kind;
  header.step = frame.step;
  header.payload_size = frame.payload.size();
  return header;
}

void check_sendable(const Frame& frame) {
  RUBATO_CHECK(frame.payload.size() <= kMostPayloadBytes,
               "a control message of ",
               frame.payload.size(),
               " bytes");
}

Status check_header(const FrameHeader& header, std::uint64_t expected_step, int rank) {
  const auto mismatch = [rank](const char* what, std::uint64_t expected, std::uint64_t found) {
    return Error{Code::kInternal,
                 concat("rank ",
                        rank,
                        " received a control message with ",
                        what,
                        " ",
                        found,
                        ", expected ",
                        expected)};
  };
  if (header.magic != FrameHeader::kMagic)
    return mismatch("magic", FrameHeader::kMagic, header.magic);
  if (header.version != FrameHeader::kVersion)
    return mismatch("version", FrameHeader::kVersion, header.version);
  if (header.reserved != 0) return mismatch("reserved bits", 0, header.reserved);
  if (header.step != expected_step) return mismatch("step", expected_step, header.step);
  if (header.payload_size > kMostPayloadBytes)
    return mismatch("payload size", kMostPayloadBytes, header.payload_size);
  return {};
}

Result<FrameHeader> read_header(std::span<const std::byte> message,
                                std::uint64_t expected_step,
                                int rank) {
  FrameHeader header;
  if (message.size() < sizeof header) {
    return Error{Code::kInternal,
                 concat("rank ",
                        rank,
                        " received a control message of ",
                        message.size(),
                        " bytes, less than its header")};
  }
  std::memcpy(&header, message.data(), sizeof header);
  if (Status status = check_header(header, expected_step, rank); !status) return status.error();
  return header;
}

}  // namespace rubato::detail
