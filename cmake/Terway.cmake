# How a folder becomes a library, a test binary, fuzz targets and a program.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
add_link_options(-fuse-ld=mold)

add_library(terway_flags INTERFACE)
target_include_directories(terway_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}
                                                  ${CMAKE_BINARY_DIR}/generated)
target_compile_options(terway_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow
                                              -Wconversion -Werror -fno-omit-frame-pointer>)
# clang takes std::stable_sort of libstdc++ 12 for a use of what that has marked deprecated; what we
# use ourselves GCC tells.
target_compile_options(terway_flags INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-deprecated-declarations>)
if(TERWAY_SANITIZE)
  target_compile_options(terway_flags INTERFACE -fsanitize=address,undefined
                                                -fno-sanitize-recover=all)
  target_link_options(terway_flags INTERFACE -fsanitize=address,undefined)
endif()
if(TERWAY_FUZZ)
  # Coverage of the code that is fuzzed, not only of the fuzz target's own few lines.
  target_compile_options(terway_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>)
endif()

# terway_pkg(NAME pkg...): an imported target PkgConfig::NAME, headers treated as system headers.
function(terway_pkg name)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${ARGN})
endfunction()

# terway_library(NAME [USES folder...] [LINK external...] [TEST_USES folder...])
# Sources are the folder's *.cpp; *_test.cpp become the binary NAME_test, each *_fuzz.cpp a fuzz
# target. A folder without sources is a header-only library.
function(terway_library name)
  cmake_parse_arguments(ARG "" "" "USES;LINK;TEST_USES;TEST_LINK" ${ARGN})
  file(GLOB all CONFIGURE_DEPENDS *.cpp)
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cpp$")
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(fuzzers ${all})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC terway_flags ${ARG_USES} PRIVATE ${ARG_LINK})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE terway_flags ${ARG_USES} ${ARG_LINK})
  endif()
  if(tests)
    terway_test(${name}_test RING unit SOURCES ${tests} USES ${name} ${ARG_TEST_USES}
                LINK ${ARG_TEST_LINK})
  endif()
  if(TERWAY_FUZZ)
    foreach(fuzzer ${fuzzers})
      get_filename_component(stem ${fuzzer} NAME_WE)
      add_executable(${stem} ${fuzzer})
      target_link_libraries(${stem} PRIVATE ${name})
      target_compile_options(${stem} PRIVATE -fsanitize=fuzzer)
      target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
      set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    endforeach()
  endif()
endfunction()

# terway_test(NAME RING unit|packet|netns|lab|vm SOURCES file... USES folder... [LINK external...]
#             [KERNELS all|5.10|6.1|6.12...])
# A doctest binary in <build>/tests/<ring>/. `./dev test` runs every binary it finds there. KERNELS are
# those whose guest (tools/vm/) runs it too; those of the ring vm run nowhere else. Without it packet
# tests run on all kernels, others on none.
function(terway_test name)
  cmake_parse_arguments(ARG "" "RING" "SOURCES;USES;LINK;KERNELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_USES} ${ARG_LINK} doctest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                           ${CMAKE_BINARY_DIR}/tests/${ARG_RING})
  if(ARG_RING STREQUAL packet AND NOT ARG_KERNELS)
    set(ARG_KERNELS all)
  elseif(ARG_RING STREQUAL vm AND NOT ARG_KERNELS)
    message(FATAL_ERROR "${name}: a test of the ring vm says on which KERNELS it runs")
  endif()
  if(ARG_KERNELS STREQUAL all)
    set(ARG_KERNELS ${TERWAY_KERNELS})
  endif()
  foreach(kernel ${ARG_KERNELS})
    if(NOT kernel IN_LIST TERWAY_KERNELS)
      message(FATAL_ERROR "${name}: KERNELS has ${kernel}; there are: all ${TERWAY_KERNELS}")
    endif()
    set_property(GLOBAL APPEND_STRING PROPERTY TERWAY_VM_TESTS "${kernel} ${ARG_RING}/${name}\n")
  endforeach()
endfunction()

# <build>/vm-tests, for ./dev: "KERNEL RING/NAME" of each test that runs in a guest.
function(terway_write_vm_tests)
  get_property(lines GLOBAL PROPERTY TERWAY_VM_TESTS)
  file(WRITE ${CMAKE_BINARY_DIR}/vm-tests "${lines}")
endfunction()
execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/vm/kernels OUTPUT_VARIABLE TERWAY_KERNELS
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" TERWAY_KERNELS "${TERWAY_KERNELS}")
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL terway_write_vm_tests)

# terway_program(NAME USES folder...): cmd/NAME/main.cpp.
function(terway_program name)
  cmake_parse_arguments(ARG "" "" "USES;LINK" ${ARGN})
  add_executable(${name} ${CMAKE_SOURCE_DIR}/cmd/${name}/main.cpp)
  target_link_libraries(${name} PRIVATE ${ARG_USES} ${ARG_LINK})
endfunction()
