#include "launch/program.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstddef>
#include <span>

namespace rubato {
namespace {

std::string hexadecimal(std::span<const unsigned char> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) text += {kDigits[byte >> 4], kDigits[byte & 15]};
  return text;
}

/// The build id among the notes of one segment. Notes follow each other: a header, an owner's name
/// and a description, each padded to `align`.
std::string find_build_id(const unsigned char* at, std::size_t size, std::size_t align) {
  const auto padded = [align](std::size_t length) { return (length + align - 1) / align * align; };
  const unsigned char* const end = at + size;
  while (end - at >= std::ptrdiff_t{sizeof(ElfW(Nhdr))}) {
    const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(at);
    const unsigned char* name = at + sizeof(*note);
    const unsigned char* description = name + padded(note->n_namesz);
    if (note->n_type == NT_GNU_BUILD_ID) return hexadecimal({description, note->n_descsz});
    at = description + padded(note->n_descsz);
  }
  return {};
}

/// Called first for the program and then for its libraries; only the program is of interest.
int read_program(dl_phdr_info* program, std::size_t, void* out) {
  auto& build_id = *static_cast<std::string*>(out);
  for (const ElfW(Phdr) & segment : std::span(program->dlpi_phdr, program->dlpi_phnum)) {
    if (segment.p_type != PT_NOTE || !build_id.empty()) continue;
    const auto* notes =
        reinterpret_cast<const unsigned char*>(program->dlpi_addr + segment.p_vaddr);
    build_id = find_build_id(notes, segment.p_memsz, std::max<std::size_t>(segment.p_align, 4));
  }
  return 1;
}

}  // namespace

std::string program_version() {
  return RUBATO_VERSION;
}

std::string program_build() {
  std::string build_id;
  dl_iterate_phdr(read_program, &build_id);
  return build_id;
}

}  // namespace rubato
