#include <iostream>
#include <memory>

#include "launch/commands.h"
#include "launch/config.h"
#include "runtime/base/concat.h"
#include "runtime/base/exit_status.h"
#include "runtime/checkpoint/inspect.h"

namespace rubato {
namespace {

struct InspectArguments {
  std::string model = ModelSection().path;
  int tp = 0;
  std::string dtype = "auto";
  std::string quantization = "none";
  bool json = false;
};

int run_inspect(const InspectArguments& arguments) {
  InspectOptions options;
  if (arguments.tp > 0) options.tp_sizes = {arguments.tp};
  if (arguments.dtype != "auto") options.dtype = parse_dtype(arguments.dtype);
  options.float8 = arguments.quantization == "fp8";
  const auto inspection = inspect(arguments.model, options);
  if (!inspection) {
    std::cerr << "rubato inspect: " << inspection.error().message << '\n';
    return kFailed;
  }
  std::cout << (arguments.json ? to_json(*inspection) : to_table(*inspection)) << std::flush;
  // For a single size the exit status also says whether that size works.
  return arguments.tp > 0 && !inspection->ranks.front().problem.empty() ? kFailed : kDone;
}

}  // namespace

void add_inspect_command(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("inspect", "Say what a checkpoint is and what serving it takes");
  command->footer("Reads config.json and the headers of the weight files only.");
  const auto arguments = std::make_shared<InspectArguments>();
  command->add_option("--model,model", arguments->model, "Checkpoint folder")
      ->type_name("DIR")
      ->capture_default_str();
  command->add_option("--tp", arguments->tp, "Only this number of ranks (default: 1, 2, 4 and 8)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--dtype",
                   arguments->dtype,
                   "What weights and caches are held in; auto: the checkpoint's own")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"auto", "float32", "bfloat16"}))
      ->capture_default_str();
  command
      ->add_option(
          "--quantization", arguments->quantization, "What the layers' weights become on GPUs")
      ->type_name("NAME")
      ->check(CLI::IsMember({"none", "fp8"}))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "One JSON object in place of the table");
  command->callback(
      [arguments, &action] { action = [arguments] { return run_inspect(*arguments); }; });
}

}  // namespace rubato
