#include "runtime/checkpoint/safetensors.h"

#include <algorithm>
#include <optional>

#include "runtime/base/concat.h"
#include "runtime/checkpoint/json_file.h"
#include "runtime/checkpoint/tensor_names.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kLengthBytes = 8;             // the header's length, little-endian
constexpr std::uint64_t kMaxHeaderBytes = 100000000;  // the reference implementation's limit

// One file's header while it is read: where the data lies, and how a fault is reported.
struct Header {
  std::string_view where;
  std::uint64_t data_begin;
  std::uint64_t data_bytes;

  Error fault(std::string_view tensor, std::string_view what) const {
    return {Code::kInvalidArgument,
            concat(where, ": tensor '", tensor, "': ", what),
            std::string(tensor)};
  }
};

std::optional<std::uint64_t> as_unsigned(const json::value& value) {
  if (const std::uint64_t* number = value.if_uint64()) return *number;
  if (const std::int64_t* number = value.if_int64(); number != nullptr && *number >= 0) {
    return static_cast<std::uint64_t>(*number);
  }
  return std::nullopt;
}

// A list of whole numbers >= 0; nullopt for anything else.
std::optional<std::vector<std::uint64_t>> unsigned_list(const json::value* value) {
  const json::array* list = value == nullptr ? nullptr : value->if_array();
  if (list == nullptr) return std::nullopt;
  std::vector<std::uint64_t> numbers;
  for (const json::value& each : *list) {
    const auto number = as_unsigned(each);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

std::string shown_or_missing(const json::value* value) {
  return value == nullptr ? "is missing" : "is " + shown(*value);
}

// dtype size times all of `shape`; nullopt when that is more than 63 bits hold.
std::optional<std::uint64_t> data_size(DType dtype, const std::vector<std::uint64_t>& shape) {
  std::int64_t bytes = byte_size(dtype);
  for (const std::uint64_t size : shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

// What a header says of one tensor.
struct EntryFields {
  DType dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t size;        // bytes that dtype and shape need
  std::uint64_t begin, end;  // of its bytes, counted from the first byte of data
};

Result<EntryFields> read_fields(const Header& header,
                                std::string_view name,
                                const json::object& facts) {
  const json::value* dtype_value = facts.if_contains("dtype");
  const json::string* dtype_name = dtype_value == nullptr ? nullptr : dtype_value->if_string();
  const auto dtype =
      dtype_name == nullptr ? std::nullopt : parse_safetensors_dtype(std::string_view(*dtype_name));
  if (!dtype) {
    return header.fault(
        name, concat("dtype ", shown_or_missing(dtype_value), "; supported are BF16, F16, F32"));
  }
  const json::value* shape_value = facts.if_contains("shape");
  const auto shape = unsigned_list(shape_value);
  if (!shape) {
    return header.fault(name,
                        concat("shape ",
                               shown_or_missing(shape_value),
                               "; a list of whole numbers, none negative, is expected"));
  }
  const auto size = data_size(*dtype, *shape);
  if (!size) return header.fault(name, "shape " + shown(*shape_value) + " overflows 63 bits");
  const json::value* offsets_value = facts.if_contains("data_offsets");
  const auto offsets = unsigned_list(offsets_value);
  if (!offsets || offsets->size() != 2 || offsets->front() > offsets->back()) {
    return header.fault(name,
                        concat("data_offsets ",
                               shown_or_missing(offsets_value),
                               "; [begin, end] with 0 <= begin <= end is expected"));
  }
  return EntryFields{*dtype, *shape, *size, offsets->front(), offsets->back()};
}

// Whether the tensor's bytes are in the file, and as many as it needs.
Status check_extent(const Header& header,
                    std::string_view name,
                    const json::object& facts,
                    const EntryFields& fields) {
  const bool inside = fields.end <= header.data_bytes;
  if (inside && fields.end - fields.begin == fields.size) return {};
  const std::string offsets = "data_offsets " + shown(facts.at("data_offsets"));
  if (!inside) {
    return header.fault(
        name, concat(offsets, " reach beyond the file's ", header.data_bytes, " bytes of data"));
  }
  return header.fault(name,
                      concat(offsets,
                             " span ",
                             fields.end - fields.begin,
                             " bytes; dtype ",
                             safetensors_name(fields.dtype),
                             " and shape ",
                             shown(facts.at("shape")),
                             " need ",
                             fields.size));
}

Result<TensorEntry> parse_entry(const Header& header,
                                std::string_view name,
                                const json::value& value) {
  const json::object* facts = value.if_object();
  if (facts == nullptr) {
    return header.fault(name, "is " + shown(value) + "; an object is expected");
  }
  const Result<EntryFields> fields = read_fields(header, name, *facts);
  if (!fields) return fields.error();
  if (const Status fits = check_extent(header, name, *facts, *fields); !fits) return fits.error();
  return TensorEntry{std::string(name),
                     fields->dtype,
                     {fields->shape.begin(), fields->shape.end()},
                     header.data_begin + fields->begin,
                     header.data_begin + fields->end};
}

// Whether the sorted ranges cover the data exactly.
Status check_cover(const Header& header, const std::vector<TensorEntry>& tensors) {
  std::uint64_t expected = header.data_begin;
  std::string_view previous = "the header";
  for (const TensorEntry& tensor : tensors) {
    if (tensor.begin != expected) {
      const bool overlaps = tensor.begin < expected;
      return header.fault(tensor.name,
                          concat("data_offsets begin at ",
                                 tensor.begin - header.data_begin,
                                 overlaps ? ", which overlaps '" : ", which leaves a hole after '",
                                 previous,
                                 "' ending at ",
                                 expected - header.data_begin));
    }
    expected = tensor.end;
    previous = tensor.name;
  }
  const std::uint64_t used = expected - header.data_begin;
  if (used != header.data_bytes) {
    return Error{Code::kInvalidArgument,
                 concat(header.where,
                        ": the file has ",
                        header.data_bytes,
                        " bytes of data; its tensors use ",
                        used)};
  }
  return {};
}

std::uint64_t read_length(std::span<const std::byte> bytes) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  }
  return length;
}

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += concat(i == 0 ? "" : ", ", shape[i]);
  }
  return text + "]";
}

Result<std::vector<TensorEntry>> parse_safetensors_header(std::string_view text,
                                                          std::string_view where,
                                                          std::uint64_t data_begin,
                                                          std::uint64_t data_bytes) {
  const Header header{where, data_begin, data_bytes};
  const auto object = parse_json_object(text, concat(where, ": header"));
  if (!object) return object.error();
  std::vector<TensorEntry> tensors;
  for (const auto& [name, value] : *object) {
    if (name == "__metadata__" && value.is_object()) continue;
    if (!is_plausible_name(name)) {
      return Error{Code::kInvalidArgument,
                   concat(where, ": ", shown(json::value(name)), " is no name of a tensor")};
    }
    auto entry = parse_entry(header, name, value);
    if (!entry) return entry.error();
    tensors.push_back(std::move(*entry));
  }
  std::sort(tensors.begin(), tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  if (const Status covered = check_cover(header, tensors); !covered) return covered.error();
  return tensors;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& file) {
  auto mapped = MappedFile::open(file);
  if (!mapped) return mapped.error();
  const auto bytes = (*mapped)->bytes();
  const auto fault = [&](std::string_view what) {
    return Error{Code::kInvalidArgument, concat(file.string(), ": ", what)};
  };
  if (bytes.size() < kLengthBytes) {
    return fault(concat("has ",
                        bytes.size(),
                        " bytes; a safetensors file begins with the ",
                        kLengthBytes,
                        " bytes of its header's length"));
  }
  const std::uint64_t length = read_length(bytes);
  if (length > kMaxHeaderBytes) {
    return fault(concat(
        "says its header has ", length, " bytes; at most ", kMaxHeaderBytes, " are supported"));
  }
  if (length > bytes.size() - kLengthBytes) {
    return fault(concat("says its header has ",
                        length,
                        " bytes, but the file ends after ",
                        bytes.size() - kLengthBytes,
                        ": truncated?"));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                              static_cast<std::size_t>(length));
  if (text.empty() || text.front() != '{') return fault("its header does not begin with '{'");
  const std::uint64_t data_begin = kLengthBytes + length;
  (*mapped)->will_need(0, data_begin);
  auto tensors =
      parse_safetensors_header(text, file.string(), data_begin, bytes.size() - data_begin);
  if (!tensors) return tensors.error();
  return SafetensorsFile(std::move(*mapped), std::move(*tensors));
}

}  // namespace rubato
