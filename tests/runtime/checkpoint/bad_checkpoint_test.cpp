// Folders whose parts do not fit together: the index, the shards, the names and the shapes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <functional>
#include <sstream>

#include "runtime/checkpoint/checkpoint.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::safetensors_bytes;
using testing::TemporaryFolder;
using testing::write_file;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";
constexpr const char* kQuery0 = "model.transformer.blocks.0.q_proj.weight";
constexpr const char* kHead = "model.transformer.ff_out.weight";
constexpr const char* kDown1 = "model.transformer.blocks.1.ff_out.weight";

std::string read_file(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void edit_index(const fs::path& folder, const std::function<void(json::object&)>& edit) {
  json::value index = json::parse(read_file(folder / kIndex));
  edit(index.at("weight_map").as_object());
  write_file(folder / kIndex, json::serialize(index));
}

// Rewrites a shard with an edited header, and `more_data` behind its data.
void edit_header(const fs::path& file,
                 const std::function<void(json::object&)>& edit,
                 const std::string& more_data = "") {
  const std::string bytes = read_file(file);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  json::object header = json::parse(bytes.substr(8, length)).as_object();
  edit(header);
  write_file(file,
             safetensors_bytes(json::serialize(header), bytes.substr(8 + length) + more_data));
}

// A further tensor of one value, behind the data.
void append_tensor(const fs::path& file, const std::string& name) {
  edit_header(
      file,
      [&](json::object& header) {
        std::int64_t end = 0;
        for (const auto& [key, value] : header) {
          end = std::max(end, value.at("data_offsets").at(1).as_int64());
        }
        header[name] = {{"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {end, end + 4}}};
      },
      "0000");
}

void rename_key(json::object& object, std::string_view from, std::string_view to) {
  json::value value = object.at(from);
  object.erase(from);
  object[to] = std::move(value);
}

struct BadFolder {
  std::string_view what;
  int num_shards;
  std::function<void(const fs::path&)> spoil;
  std::vector<std::string_view> said;
};

// clang-format off
const std::vector<BadFolder> kBadFolders = {
    {"no weights", 1, [](const fs::path& f) { fs::remove(f / "model.safetensors"); }, {"no .safetensors file"}},
    {"no index", 2, [](const fs::path& f) { fs::remove(f / kIndex); }, {"2 .safetensors files", kIndex}},
    {"a dangling index", 1,
     [](const fs::path& f) { fs::create_symlink("nowhere", f / kIndex); }, {kIndex, "no such file"}},
    {"an index that is no JSON", 2, [](const fs::path& f) { write_file(f / kIndex, "{"); }, {kIndex, "not valid JSON"}},
    {"an index without its map", 2, [](const fs::path& f) { write_file(f / kIndex, "{}"); },
     {kIndex, "weight_map is missing"}},
    {"an index with an empty map", 2, [](const fs::path& f) { write_file(f / kIndex, R"({"weight_map": {}})"); },
     {kIndex, "weight_map is {}"}},
    {"an index with a tensor given twice", 2,
     [](const fs::path& f) { write_file(f / kIndex, R"({"weight_map": {"a": "x", "a": "y"}})"); },
     {kIndex, R"("a" is given twice)"}},
    {"an index with a tensor that has no name to show", 2,
     [](const fs::path& f) { write_file(f / kIndex, R"({"weight_map": {"a\nb": "x"}})"); },
     {kIndex, R"("a\nb" is no name of a tensor)"}},
    {"an index that is a folder", 2,
     [](const fs::path& f) { fs::remove(f / kIndex); fs::create_directory(f / kIndex); }, {kIndex, "regular file"}},
    {"a shard that is a folder", 2,
     [](const fs::path& f) { fs::remove(f / kSecond); fs::create_directory(f / kSecond); }, {kSecond, "regular file"}},
    {"a shard that is a device", 1,
     [](const fs::path& f) {
       fs::remove(f / "model.safetensors");
       fs::create_symlink("/dev/zero", f / "model.safetensors");
     },
     {"model.safetensors", "regular file"}},
    {"a link to itself", 1,
     [](const fs::path& f) {
       fs::remove(f / "model.safetensors");
       fs::create_symlink("model.safetensors", f / "model.safetensors");
     },
     {"model.safetensors", "symbolic links"}},
    {"weights of another kind only", 1,
     [](const fs::path& f) { fs::rename(f / "model.safetensors", f / "pytorch_model.bin"); }, {"no .safetensors file"}},
    {"an empty configuration", 1, [](const fs::path& f) { write_file(f / "config.json", ""); },
     {"config.json", "the file is empty"}},
    {"a configuration that is a folder", 1,
     [](const fs::path& f) { fs::remove(f / "config.json"); fs::create_directory(f / "config.json"); },
     {"config.json", "regular file"}},
    {"a configuration that goes in circles", 1,
     [](const fs::path& f) { fs::remove(f / "config.json"); fs::create_symlink("config.json", f / "config.json"); },
     {"config.json", "symbolic links"}},
    {"a shard that is not there", 2, [](const fs::path& f) { fs::remove(f / kSecond); },
     {kSecond, "No such file", kIndex}},
    {"a shard outside the folder", 2,
     [](const fs::path& f) { edit_index(f, [](json::object& map) { map[kQuery0] = "../x.safetensors"; }); },
     {kIndex, kQuery0, "\"../x.safetensors\"", "same folder"}},
    {"a shard with an absolute path", 2,
     [](const fs::path& f) { edit_index(f, [](json::object& map) { map[kQuery0] = "/etc/passwd"; }); },
     {kIndex, kQuery0, "/etc/passwd"}},
    {"a shard with an empty name", 2,
     [](const fs::path& f) { edit_index(f, [](json::object& map) { map[kQuery0] = ""; }); }, {kIndex, kQuery0}},
    {"a shard whose name is a number", 2,
     [](const fs::path& f) { edit_index(f, [](json::object& map) { map[kQuery0] = 1; }); }, {kIndex, kQuery0, "in 1"}},
    {"an index that names the wrong shard", 2,
     [](const fs::path& f) { edit_index(f, [](json::object& map) { map[kQuery0] = kSecond; }); },
     {kFirst, kQuery0, kIndex, kSecond}},
    {"an index that promises more than the shard has", 2,
     [](const fs::path& f) { edit_index(f, [](json::object& map) { map["model.transformer.blocks.2.q_proj.weight"] = kFirst; }); },
     {kIndex, "model.transformer.blocks.2.q_proj.weight", kFirst, "does not have it"}},
    {"a tensor that the index does not know", 2,
     [](const fs::path& f) { edit_index(f, [](json::object& map) { map.erase(kQuery0); }); },
     {kFirst, kQuery0, "is not in", kIndex}},
    {"a tensor in two shards", 2, [](const fs::path& f) { append_tensor(f / kSecond, kQuery0); },
     {kSecond, kQuery0, "as well", kFirst}},
    {"a truncated shard", 2, [](const fs::path& f) { fs::resize_file(f / kSecond, fs::file_size(f / kSecond) - 1); },
     {kSecond, kDown1, "beyond"}},
    {"a missing tensor", 1,
     [](const fs::path& f) {
       edit_header(f / "model.safetensors", [](json::object& header) { rename_key(header, kDown1, "x.rotary_emb.inv_freq"); });
     },
     {"1 of 21 tensors are missing", kDown1}},
    {"many missing tensors", 1,
     [](const fs::path& f) { write_file(f / "model.safetensors", safetensors_bytes("{}", "")); },
     {"21 of 21 tensors are missing", "model.transformer.wte.weight", "..."}},
    {"an unknown tensor", 1, [](const fs::path& f) { append_tensor(f / "model.safetensors", "model.vision.weight"); },
     {"model.safetensors", "'model.vision.weight'", "not a weight"}},
    {"a bias", 1,
     [](const fs::path& f) { append_tensor(f / "model.safetensors", "model.transformer.blocks.0.q_proj.bias"); },
     {"'model.transformer.blocks.0.q_proj.bias'", "not a weight"}},
    {"a layer with leading zeros", 1,
     [](const fs::path& f) { append_tensor(f / "model.safetensors", "model.transformer.blocks.00.q_proj.weight"); },
     {"blocks.00", "not a weight"}},
    {"a layer too many", 1,
     [](const fs::path& f) { append_tensor(f / "model.safetensors", "model.transformer.blocks.2.q_proj.weight"); },
     {"blocks.2.q_proj", "layer 2", "n_layers", "2"}},
    {"mixed namings", 1, [](const fs::path& f) { append_tensor(f / "model.safetensors", "lm_head.weight"); },
     {"'lm_head.weight'", "Hugging Face Llama", "LLaDA"}},
    {"a wrong shape", 1,
     [](const fs::path& f) {
       edit_header(f / "model.safetensors",
                   [](json::object& header) { header.at(kHead).as_object()["shape"] = {32, 64}; });
     },
     {"model.safetensors", kHead, "[32, 64]", "[64, 32]"}},
    {"a wrong rank", 1,
     [](const fs::path& f) {
       edit_header(f / "model.safetensors",
                   [](json::object& header) { header.at(kHead).as_object()["shape"] = {64, 32, 1}; });
     },
     {kHead, "[64, 32, 1]", "[64, 32]"}},
    {"no configuration", 1, [](const fs::path& f) { fs::remove(f / "config.json"); }, {"config.json", "no such file"}}};
// clang-format on

TEST(BadCheckpoint, IsRefusedNamingFileTensorAndWhatWasExpected) {
  const testing::TestModel model = testing::random_model(testing::small_config(), 3);
  for (const BadFolder& bad : kBadFolders) {
    TemporaryFolder folder;
    write_checkpoint(folder.path(), model, {DType::kFloat32, Naming::kLlada, bad.num_shards});
    bad.spoil(folder.path());

    const auto checkpoint = Checkpoint::open(folder.path());

    ASSERT_FALSE(checkpoint.ok()) << bad.what;
    EXPECT_THAT(checkpoint.error().message, HasSubstr(folder.path().string())) << bad.what;
    for (const std::string_view said : bad.said) {
      EXPECT_THAT(checkpoint.error().message, HasSubstr(std::string(said))) << bad.what;
    }
  }
}

TEST(BadCheckpoint, IsNotOneThatCarriesRotaryBuffers) {
  TemporaryFolder folder;
  write_checkpoint(folder.path(), testing::random_model(testing::small_config(), 3));
  append_tensor(folder.path() / "model.safetensors",
                "model.transformer.blocks.0.rotary_emb.inv_freq");

  const auto checkpoint = Checkpoint::open(folder.path());

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_THAT(checkpoint->ignored(),
              ::testing::ElementsAre("model.transformer.blocks.0.rotary_emb.inv_freq"));
}

TEST(BadCheckpoint, IsSaidOfAFolderThatIsNotThere) {
  const auto checkpoint = Checkpoint::open("/nonexistent/model");

  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.error().code, Code::kNotFound);
  EXPECT_THAT(checkpoint.error().message, HasSubstr("/nonexistent/model"));
}

}  // namespace
}  // namespace rubato
