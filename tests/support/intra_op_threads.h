#pragma once

#include <ATen/Parallel.h>

namespace rubato::test {

/// The intra-op threads of the calling thread while in scope.
class IntraOpThreads {
 public:
  explicit IntraOpThreads(int count) : before_(at::get_num_threads()) {
    at::set_num_threads(count);
  }
  ~IntraOpThreads() { at::set_num_threads(before_); }
  IntraOpThreads(const IntraOpThreads&) = delete;
  IntraOpThreads& operator=(const IntraOpThreads&) = delete;

 private:
  int before_;
};

}  // namespace rubato::test
