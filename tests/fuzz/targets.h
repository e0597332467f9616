#pragma once

#include <string_view>

namespace rubato::fuzz {

// What takes bytes from outside, each as one function of any bytes: it must come back, with the
// result checked by RUBATO_CHECK where there is something that must hold. libFuzzer calls them with
// bytes of its own making (fuzzer.cpp), a test with those that are kept (replay_test.cpp).

void http_request(std::string_view input);
void json_request(std::string_view input);
void answer_stream(std::string_view input);
void tokenizer_file(std::string_view input);
void text(std::string_view input);
void config_files(std::string_view input);
void safetensors(std::string_view input);
void wire_message(std::string_view input);

}  // namespace rubato::fuzz
