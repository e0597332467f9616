# rubato_library(NAME [LIBRARIES ...]): all .cpp files of the calling folder as target NAME.
function(rubato_library name)
  cmake_parse_arguments(arg "" "" "LIBRARIES;SOURCES" ${ARGN})
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  endif()
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC rubato::options ${arg_LIBRARIES})
endfunction()

# rubato_test(NAME LABELS ... LIBRARIES ... [SOURCES ...]): a GoogleTest program. rubato_register_tests makes its tests
# known to CTest.
function(rubato_test name)
  cmake_parse_arguments(arg "" "" "LABELS;LIBRARIES;SOURCES" ${ARGN})
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE rubato::options ${arg_LIBRARIES} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE RUBATO_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE -O1)  # compiles in two thirds of the time, and runs as long as before
  set_target_properties(${name} PROPERTIES RUBATO_TEST_LABELS "${arg_LABELS}")
  set_property(GLOBAL APPEND PROPERTY RUBATO_TEST_PROGRAMS ${name})
endfunction()

# rubato_pytest(NAME LABELS ... FILES ... [ENVIRONMENT ...] [TIMEOUT seconds] [ALONE] [COST seconds]): Python tests as
# one CTest test, run with .venv's pytest; tests/run counts its cases one by one. What has the greatest cost is begun
# first; what is to run alone, when nothing else does.
function(rubato_pytest name)
  cmake_parse_arguments(arg "ALONE" "TIMEOUT;COST" "LABELS;FILES;ENVIRONMENT" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  if(NOT arg_COST)
    set(arg_COST 0)
  endif()
  add_test(NAME ${name}
    COMMAND "${CMAKE_SOURCE_DIR}/.venv/bin/python" -m pytest -ra "--junitxml=${CMAKE_BINARY_DIR}/junit/${name}.xml"
            -o "cache_dir=${CMAKE_BINARY_DIR}/pytest_cache" ${arg_FILES}
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS};pytest" TIMEOUT ${arg_TIMEOUT}
    RUN_SERIAL ${arg_ALONE} COST ${arg_COST} ENVIRONMENT "RUBATO_BUILD_DIR=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1;${arg_ENVIRONMENT}")
endfunction()

# rubato_mpi_test(NAME PROGRAM RANKS [ARGUMENT ...]): a program that mpirun starts, every rank making the same calls in
# the same order, as one CTest test.
function(rubato_mpi_test name program ranks)
  add_test(NAME ${name} COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe --bind-to none -np ${ranks}
    $<TARGET_FILE:${program}> ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS mpi TIMEOUT 120 PROCESSORS ${ranks}
    ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1")
endfunction()

# Sets `out` to whether `target` links `wanted`, directly or through others.
function(rubato_links target wanted out)
  set(pending ${target})
  set(seen "")
  while(pending)
    list(POP_FRONT pending next)
    if(next STREQUAL wanted)
      set(${out} TRUE PARENT_SCOPE)
      return()
    endif()
    if(NOT TARGET ${next} OR next IN_LIST seen)
      continue()
    endif()
    list(APPEND seen ${next})
    foreach(property LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
      get_target_property(libraries ${next} ${property})
      if(libraries)
        list(APPEND pending ${libraries})
      endif()
    endforeach()
  endwhile()
  set(${out} FALSE PARENT_SCOPE)
endfunction()

# Makes the tests of every rubato_test program known to CTest; to be called once, when all targets are defined. The
# programs that link neither torch nor MPI get the label `torch_free` and build with the target
# rubato_torch_free_tests, and those of them with the label `threads` with rubato_threads_tests: they are what runs
# quickly under the sanitizers, each as one CTest test there.
function(rubato_register_tests)
  add_custom_target(rubato_torch_free_tests)
  add_custom_target(rubato_threads_tests)
  get_property(programs GLOBAL PROPERTY RUBATO_TEST_PROGRAMS)
  foreach(program IN LISTS programs)
    get_target_property(labels ${program} RUBATO_TEST_LABELS)
    rubato_links(${program} rubato::torch with_torch)
    rubato_links(${program} rubato::mpi with_mpi)
    if(NOT with_torch AND NOT with_mpi)
      list(APPEND labels torch_free)
      add_dependencies(rubato_torch_free_tests ${program})
      if(threads IN_LIST labels)
        add_dependencies(rubato_threads_tests ${program})
      endif()
    endif()
    if(RUBATO_SANITIZE)
      add_test(NAME ${program} COMMAND ${program})
      set_tests_properties(${program} PROPERTIES LABELS "${labels}" TIMEOUT 600)
    else()
      gtest_discover_tests(${program} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300)
      # gtest_discover_tests takes one label only; a list is set afterwards, when CTest reads what was discovered.
      set(script "${CMAKE_CURRENT_BINARY_DIR}/${program}_labels.cmake")
      file(CONFIGURE OUTPUT "${script}" @ONLY CONTENT
        "if(@program@_TESTS)\n  set_tests_properties(\${@program@_TESTS} PROPERTIES LABELS \"@labels@\")\nendif()\n")
      set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${script}")
    endif()
  endforeach()
endfunction()
