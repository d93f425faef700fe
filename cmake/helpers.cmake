# nexd_add_library(NAME SOURCES… LIBS…): a static library of our own code.
function(nexd_add_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC nexd_own ${A_LIBS})
endfunction()

# nexd_add_unit_test(NAME SOURCES… LIBS…): a check program tests/unit/NAME, run by ctest.
function(nexd_add_unit_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_link_libraries(${name} PRIVATE nexd_own ${A_LIBS} PkgConfig::CHECK)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  # check's own limit for a single test is 4 s, which a busy machine passes.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} ENVIRONMENT CK_DEFAULT_TIMEOUT=60)
endfunction()

# nexd_add_fuzzer(NAME SOURCES… LIBS…): a libFuzzer program, only with -DNEXD_FUZZ=ON. Its seed corpus is
# tests/fuzz/corpus/NAME.
function(nexd_add_fuzzer name)
  if(NOT NEXD_FUZZ)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  target_link_libraries(${name} PRIVATE nexd_own ${A_LIBS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
