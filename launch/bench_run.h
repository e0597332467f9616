#pragma once

#include <functional>
#include <string>

#include "benchmarks/common/provenance.h"
#include "launch/commands.h"
#include "launch/engine_host.h"

namespace rubato {

/// The provenance at the start of a benchmark: everything except `load_after`. Without a host: for
/// a process that has no engine.
Provenance provenance_of(ProgramArguments program);
Provenance provenance_of(const EngineHost& host, const Mesh& mesh, ProgramArguments program);

/// Bytes of one canvas position in the caches of all ranks.
std::int64_t cache_bytes_per_token(const EngineHost& host);

/// On rank 0: runs `work` on a thread of its own and the engine on the calling thread; when `work`
/// returns, the engine ends on every rank.
Status run_beside_engine(EngineHost& host, const std::function<void()>& work);

}  // namespace rubato
