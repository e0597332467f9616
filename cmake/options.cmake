# Language level, warnings and sanitizers, the same for every target of the project.
option(RUBATO_BUILD_TESTS "Build the C++ tests" ON)
option(RUBATO_BUILD_BENCHMARKS "Build the micro-benchmarks" ON)
set(RUBATO_SANITIZE "" CACHE STRING "Sanitizers to build with: empty, 'thread', 'address,undefined', or with clang 'fuzzer-no-link,...'")
option(RUBATO_UNITY_BUILD "Compile several files of a target at once: sooner from nothing, later after a change" OFF)
set(CMAKE_UNITY_BUILD ${RUBATO_UNITY_BUILD})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(RUBATO_CCACHE ccache)
if(RUBATO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${RUBATO_CCACHE}")
endif()

add_library(rubato_options INTERFACE)
add_library(rubato::options ALIAS rubato_options)
target_include_directories(rubato_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(rubato_options INTERFACE
  -Wall -Wextra -Werror -Wconversion -Wno-sign-conversion -Wswitch -Wshadow=local -Wnon-virtual-dtor
  -Woverloaded-virtual)
# Boost 1.81, Debian's libstdc++ and g++ 12 at -O2 and above report false positives of these two.
target_compile_options(rubato_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")  # of build-asan; the warnings that count are g++'s
  target_compile_options(rubato_options INTERFACE -Wno-unknown-warning-option)
endif()

# Nobody reads errno after a square root, and without it the compiler takes several at once.
target_compile_options(rubato_options INTERFACE -fno-math-errno)

if(RUBATO_SANITIZE)
  # -O1 compiles in half the time; checks that NDEBUG would take out are wanted here.
  target_compile_options(rubato_options INTERFACE -O1 -g1 -UNDEBUG -D_GLIBCXX_ASSERTIONS)
  set(flags -fsanitize=${RUBATO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(NOT RUBATO_SANITIZE STREQUAL "thread")
    list(APPEND flags -fno-sanitize=vptr)  # libtorch is built without RTTI for some types
  endif()
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    list(APPEND flags -fno-sanitize=function)  # clang 14 fails at it where there are coroutines
  endif()
  target_compile_options(rubato_options INTERFACE ${flags})
  target_link_options(rubato_options INTERFACE ${flags})
endif()
