# Every outside library, each behind one rubato:: target so that it could be replaced in one place.
# docs/dependencies.md says what each is for.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
find_package(MPI REQUIRED COMPONENTS CXX)

# --- libtorch: the C++ libraries inside the PyPI wheel. Linked by file and not with find_package(Torch), which for
# this wheel demands a CUDA toolkit; the CPU build needs none.
file(GLOB torch_candidates "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
list(APPEND torch_candidates "")
list(GET torch_candidates 0 torch_default)
set(RUBATO_TORCH_DIR "${torch_default}" CACHE PATH "The torch package's folder (has include/ and lib/)")
if(NOT EXISTS "${RUBATO_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "libtorch not found: run launch/setup, or set RUBATO_TORCH_DIR to a torch 2.11 package folder")
endif()
get_filename_component(site_packages "${RUBATO_TORCH_DIR}" DIRECTORY)
add_library(rubato_torch INTERFACE)
add_library(rubato::torch ALIAS rubato_torch)
target_include_directories(rubato_torch SYSTEM INTERFACE "${RUBATO_TORCH_DIR}/include")
target_compile_definitions(rubato_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
target_link_libraries(rubato_torch INTERFACE
  "${RUBATO_TORCH_DIR}/lib/libtorch_cpu.so" "${RUBATO_TORCH_DIR}/lib/libc10.so" Threads::Threads)
# at::parallel_for is a template over OpenMP, and serial in code compiled without it. The runtime is the wheel's own copy:
# two in one process would each start a thread pool. (Thread sanitizer does not understand libgomp's barriers.)
file(GLOB torch_gomp "${RUBATO_TORCH_DIR}/lib/libgomp*.so*" "${site_packages}/torch.libs/libgomp*.so*")
if(torch_gomp AND NOT RUBATO_SANITIZE MATCHES "thread")
  list(GET torch_gomp 0 torch_gomp)
  target_compile_options(rubato_torch INTERFACE -fopenmp)
  target_link_libraries(rubato_torch INTERFACE "${torch_gomp}")
endif()
target_link_options(rubato_torch INTERFACE
  "LINKER:-rpath,${RUBATO_TORCH_DIR}/lib" "LINKER:-rpath-link,${site_packages}/nvidia/cu13/lib")

# --- MPI, its C API only.
add_library(rubato_mpi INTERFACE)
add_library(rubato::mpi ALIAS rubato_mpi)
target_link_libraries(rubato_mpi INTERFACE MPI::MPI_CXX)
target_compile_definitions(rubato_mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)

add_library(rubato_json INTERFACE)
add_library(rubato::json ALIAS rubato_json)
target_link_libraries(rubato_json INTERFACE Boost::json)

add_library(rubato_asio INTERFACE)
add_library(rubato::asio ALIAS rubato_asio)
target_link_libraries(rubato_asio INTERFACE Boost::boost Boost::url Threads::Threads)
if(RUBATO_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # It takes a unit's files for headers, whose coroutines should hold nothing of an anonymous namespace.
  target_compile_options(rubato_asio INTERFACE -Wno-subobject-linkage)
endif()
if(RUBATO_SANITIZE MATCHES "thread")  # which knows no fences; what Asio hands on goes through its scheduler's mutex anyway
  target_compile_definitions(rubato_asio INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()

add_library(rubato_regex INTERFACE)
add_library(rubato::regex ALIAS rubato_regex)
target_link_libraries(rubato_regex INTERFACE PkgConfig::PCRE2)

add_library(rubato_metrics INTERFACE)
add_library(rubato::metrics ALIAS rubato_metrics)
target_link_libraries(rubato_metrics INTERFACE prometheus-cpp::core)

add_library(rubato_unicode INTERFACE)
add_library(rubato::unicode ALIAS rubato_unicode)
target_link_libraries(rubato_unicode INTERFACE PkgConfig::UTF8PROC)

add_library(rubato_spdlog INTERFACE)
add_library(rubato::spdlog ALIAS rubato_spdlog)
target_link_libraries(rubato_spdlog INTERFACE spdlog::spdlog)

add_library(rubato_cli INTERFACE)
add_library(rubato::cli ALIAS rubato_cli)
target_link_libraries(rubato_cli INTERFACE CLI11::CLI11)

if(RUBATO_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(RUBATO_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
