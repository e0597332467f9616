// Reads JSON strings, one a line, and writes the ids of each, so that another tokenizer's can be
// compared; with --framed those that add_special_tokens=True gives.
#include <boost/json.hpp>
#include <iostream>
#include <string>

#include "runtime/text/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3)
    return std::cerr << "usage: rubato_tokenize_lines TOKENIZER_JSON [--framed] < lines\n", 2;
  const auto tokenizer = rubato::Tokenizer::load(argv[1]);
  if (!tokenizer) return std::cerr << tokenizer.error().message << '\n', 1;
  for (std::string line; std::getline(std::cin, line);) {
    const std::string text(boost::json::parse(line).as_string());
    const auto ids = argc == 3 ? tokenizer->encode_framed(text) : tokenizer->encode(text);
    std::cout << boost::json::serialize(boost::json::array(ids.begin(), ids.end())) << '\n';
  }
}
