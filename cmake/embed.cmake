# cmake -DFOLDER=... -DFILES=a;b -DOUTPUT=... -P embed.cmake: writes a C++ source that holds the files of FOLDER as
# bytes, for http/page.h. Their SHA-256 is what caches compare.
set(entries "")
foreach(name IN LISTS FILES)
  file(READ "${FOLDER}/${name}" bytes HEX)
  file(SHA256 "${FOLDER}/${name}" hash)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(..)" "\\\\x\\1" literal "${bytes}")
  string(APPEND entries "    {\"${name}\", \"\\\"${hash}\\\"\",\n     {\"${literal}\", ${size}}},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"http/page.h\"\n
namespace rubato {\n
std::span<const PageFile> page_files() {
  static constexpr PageFile kFiles[] = {\n${entries}  };
  return kFiles;
}\n
}  // namespace rubato\n")
