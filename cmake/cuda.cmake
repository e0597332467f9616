# NVIDIA GPUs: the toolkit's compiler, cuBLAS and NCCL behind rubato::cuda. Off by default: a CPU build asks for none of it.
option(RUBATO_CUDA "Build for NVIDIA GPUs too" OFF)
if(NOT RUBATO_CUDA)
  return()
endif()

# Code for each generation from Ampere on, and PTX of the last for what comes after it. One alone builds much faster.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90-real 100-real 120 CACHE STRING "GPU generations to build for")
endif()
set(CMAKE_CUDA_STANDARD 17)  # the newest that CMake 3.25 knows nvcc 13 for
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
enable_language(CUDA)
find_package(CUDAToolkit 13.0 REQUIRED)

file(GLOB nccl_folders "${site_packages}/nvidia/nccl")  # the torch wheel's own copy comes first
find_path(NCCL_INCLUDE nccl.h HINTS ${nccl_folders}/include ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${nccl_folders}/lib ${CUDAToolkit_LIBRARY_DIR} REQUIRED)

add_library(rubato_cuda_libraries INTERFACE)
add_library(rubato::cuda ALIAS rubato_cuda_libraries)
target_include_directories(rubato_cuda_libraries SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS} "${NCCL_INCLUDE}")
# The shared runtime, of which the process has one copy: libtorch loads it too.
target_link_libraries(rubato_cuda_libraries INTERFACE CUDA::cudart CUDA::cublas CUDA::cublasLt "${NCCL_LIBRARY}")
target_compile_definitions(rubato_cuda_libraries INTERFACE RUBATO_WITH_CUDA)
