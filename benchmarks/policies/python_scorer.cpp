#include "benchmarks/policies/python_scorer.h"

#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstring>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr int kAnswerTimeoutMs = 60'000;  // the script itself gives up on an answer much sooner

/// Starts `python script` with `socket` as its input and output. The child's id, or -1 with errno.
pid_t start(const std::string& python, const std::string& script, int socket) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, socket, STDOUT_FILENO);
  std::string program = python, isolated = "-I", file = script;
  char* arguments[] = {program.data(), isolated.data(), file.data(), nullptr};
  pid_t child = -1;
  const int failure = posix_spawnp(&child, python.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  errno = failure;
  return failure == 0 ? child : -1;
}

}  // namespace

PythonScorer::PythonScorer(const std::string& python, const std::filesystem::path& script)
    : command_(concat(python, " ", script.string())) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  child_ = start(python, script.string(), ends[1]);
  if (child_ < 0) command_ += concat(" (", std::strerror(errno), ")");
  close(ends[1]);
  socket_ = ends[0];
}

PythonScorer::~PythonScorer() {
  if (socket_ >= 0) close(socket_);  // the child reads the end of its input
  if (child_ > 0) waitpid(child_, nullptr, 0);
}

Status PythonScorer::available() {
  if (greeted_) return {};
  if (child_ > 0) {
    const Result<std::string> line = receive_line();
    greeted_ = line && *line == "ready";
    if (greeted_) return {};
  }
  return Error{Code::kUnavailable, concat("cannot run ", command_)};
}

Result<bool> PythonScorer::same_function(const Question& question, std::string_view answer) {
  if (const Status ready = available(); !ready) return ready.error();
  const json::object request{{"code", std::string(answer)},
                             {"expected", question.expected},
                             {"entry", question.entry},
                             {"inputs", json::parse(question.inputs)}};
  if (!send_line(json::serialize(request)))
    return Error{Code::kUnavailable, concat(command_, " is gone")};
  const Result<std::string> line = receive_line();
  if (!line) return line.error();
  return *line == "right";
}

bool PythonScorer::send_line(const std::string& line) {
  const std::string whole = line + '\n';
  for (std::size_t sent = 0; sent < whole.size();) {
    const ssize_t count = send(socket_, whole.data() + sent, whole.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

Result<std::string> PythonScorer::receive_line() {
  for (;;) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    pollfd readable{socket_, POLLIN, 0};
    const int ready = poll(&readable, 1, kAnswerTimeoutMs);
    if (ready < 0 && errno == EINTR) continue;
    char part[4096];
    const ssize_t count = ready > 0 ? recv(socket_, part, sizeof part, 0) : 0;
    if (count <= 0) return Error{Code::kUnavailable, concat(command_, " does not answer")};
    received_.append(part, static_cast<std::size_t>(count));
  }
}

}  // namespace rubato
