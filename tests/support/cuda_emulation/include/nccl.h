#pragma once

// Stands in for NCCL where ranks are threads of this process: a collective is work of the stream it
// is given, which meets the other ranks' when its turn comes. All ranks must make the same calls
// with the same counts, or the process ends with a message; so it does when one does not come
// within a minute. Sums are made in the order of parallel/communicator.h.

#include <cstddef>

struct CUstream_st;

struct ncclUniqueId {
  char internal[128];
};
using ncclComm_t = struct ncclComm*;

enum ncclResult_t { ncclSuccess = 0, ncclUnhandledCudaError = 1 };
enum ncclDataType_t { ncclUint8 = 1, ncclFloat = 7 };
enum ncclRedOp_t { ncclSum = 0 };

const char* ncclGetErrorString(ncclResult_t result);
ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
ncclResult_t ncclCommInitRank(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank);
ncclResult_t ncclCommFinalize(ncclComm_t communicator);
ncclResult_t ncclCommDestroy(ncclComm_t communicator);
ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* result);
ncclResult_t ncclAllReduce(const void* in,
                           void* out,
                           std::size_t count,
                           ncclDataType_t type,
                           ncclRedOp_t operation,
                           ncclComm_t communicator,
                           CUstream_st* stream);
ncclResult_t ncclAllGather(const void* in,
                           void* out,
                           std::size_t count,
                           ncclDataType_t type,
                           ncclComm_t communicator,
                           CUstream_st* stream);
