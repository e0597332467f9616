#pragma once

#include <functional>
#include <string>

#include "benchmarks/common/provenance.h"
#include "launch/commands.h"
#include "launch/engine_host.h"

namespace rubato {

/// What a benchmark begins with: everything but the load after it. Without a host, of a process
/// that has no engine.
Provenance provenance_of(ProgramArguments program);
Provenance provenance_of(const EngineHost& host, const Mesh& mesh, ProgramArguments program);

/// Bytes of one canvas position in the caches of all ranks.
std::int64_t cache_bytes_per_token(const EngineHost& host);

/// Rank 0: runs `work` on a thread of its own beside the engine, which has the calling thread, and
/// ends the engine of every rank with it.
Status run_beside_engine(EngineHost& host, const std::function<void()>& work);

}  // namespace rubato
