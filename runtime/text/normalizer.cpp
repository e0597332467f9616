#include "runtime/text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "runtime/base/check.h"

namespace rubato {
namespace {

using Points = std::vector<utf8proc_int32_t>;

utf8proc_option_t options_of(NormalForm form) {
  const bool composed = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  return static_cast<utf8proc_option_t>(UTF8PROC_STABLE |
                                        (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                                        (compatible ? UTF8PROC_COMPAT : 0));
}

Points decomposed(std::string_view utf8, utf8proc_option_t options) {
  constexpr int kLongest = 32;  // the longest decomposition has 18 characters
  Points points;
  points.reserve(utf8.size());
  std::array<utf8proc_int32_t, kLongest> parts;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(utf8.data());
  for (auto left = static_cast<utf8proc_ssize_t>(utf8.size()); left > 0;) {
    utf8proc_int32_t point = 0;
    const auto size = utf8proc_iterate(at, left, &point);
    RUBATO_CHECK(size > 0, "text to normalise is not UTF-8");
    int unused_boundary = 0;
    const auto count =
        utf8proc_decompose_char(point, parts.data(), kLongest, options, &unused_boundary);
    RUBATO_CHECK(count >= 0 && count <= kLongest, "decomposition of ", point, ": ", count);
    points.insert(points.end(), parts.begin(), parts.begin() + count);
    at += size;
    left -= size;
  }
  return points;
}

int combining_class(utf8proc_int32_t point) {
  return utf8proc_get_property(point)->combining_class;
}

/// Puts every run of combining marks in canonical order. (utf8proc_map's own sort takes quadratic
/// time, which a client could use to block the server.)
void order_marks(Points& points) {
  const auto is_mark = [](utf8proc_int32_t point) { return combining_class(point) != 0; };
  for (auto at = points.begin(); at != points.end();) {
    const auto begin = std::find_if(at, points.end(), is_mark);
    at = std::find_if_not(begin, points.end(), is_mark);
    std::stable_sort(begin, at, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return combining_class(a) < combining_class(b);
    });
  }
}

/// `points`, in canonical order, composed if the options say so. utf8proc 2.8 mistakes U+11A7 after
/// a Hangul syllable for a final consonant (these start one later) and drops it, so the text is cut
/// before it. (This is safe: U+11A7 composes with nothing.)
Points composed(Points& points, utf8proc_option_t options) {
  constexpr utf8proc_int32_t kBeforeFinals = 0x11a7;
  Points out;
  out.reserve(points.size());
  for (auto begin = points.begin(); begin != points.end();) {
    const auto end = std::find(begin + 1, points.end(), kBeforeFinals);
    const auto kept = utf8proc_normalize_utf32(&*begin, end - begin, options);
    RUBATO_CHECK(kept > 0 && kept <= end - begin, "composition of ", end - begin, ": ", kept);
    out.insert(out.end(), begin, begin + kept);
    begin = end;
  }
  return out;
}

std::string encoded(const Points& points) {
  std::string utf8;
  utf8.reserve(points.size());
  for (const utf8proc_int32_t point : points) {
    std::array<utf8proc_uint8_t, 4> bytes;
    const auto size = utf8proc_encode_char(point, bytes.data());
    utf8.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(size));
  }
  return utf8;
}

}  // namespace

std::string normalized(std::string_view utf8, NormalForm form) {
  const auto is_ascii = [](char byte) { return (byte & 0x80) == 0; };
  if (std::all_of(utf8.begin(), utf8.end(), is_ascii)) return std::string(utf8);
  const utf8proc_option_t options = options_of(form);
  Points points = decomposed(utf8, options);
  order_marks(points);
  return encoded(composed(points, options));
}

}  // namespace rubato
