# Build options, warnings and hardening for our own code.
option(NEXD_SANITIZE "build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(NEXD_FUZZ "build the libFuzzer targets (needs Clang)" OFF)
option(NEXD_COVERAGE "count which lines run (needs Clang); for scripts/coverage only" OFF)
set(LWIP_SOURCE_DIR "" CACHE PATH "unpacked lwIP 2.2.1 source; fetched and verified when empty")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "build type" FORCE)
endif()
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O3 -g")
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

# nexd_hardening: flags for every object we link, lwIP's included.
add_library(nexd_hardening INTERFACE)
target_compile_definitions(nexd_hardening INTERFACE _GNU_SOURCE)
target_compile_options(nexd_hardening INTERFACE -fno-strict-aliasing -fstack-protector-strong
  -fstack-clash-protection -fno-delete-null-pointer-checks -fwrapv)
target_link_options(nexd_hardening INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(nexd_hardening INTERFACE -fcf-protection=full)
  # All of our objects have landing pads; the C library's start files may lack the note that says so.
  target_link_options(nexd_hardening INTERFACE -Wl,-z,ibt,-z,shstk)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
  target_compile_options(nexd_hardening INTERFACE -mbranch-protection=standard)
endif()
if(NEXD_SANITIZE OR NEXD_FUZZ)
  set(nexd_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(NEXD_FUZZ)
    list(APPEND nexd_sanitizers -fsanitize=fuzzer-no-link)
  endif()
  target_compile_options(nexd_hardening INTERFACE ${nexd_sanitizers})
  target_link_options(nexd_hardening INTERFACE ${nexd_sanitizers})
  target_compile_definitions(nexd_hardening INTERFACE NEXD_SANITIZE=1)
else()
  target_compile_options(nexd_hardening INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=3>)
endif()

# Counters are mapped from a file before main(): a process in its sandbox can write none at its end, and one that is killed has counted.
if(NEXD_COVERAGE)
  set(nexd_profile "-fprofile-instr-generate=${CMAKE_BINARY_DIR}/profile/%p%c.profraw")
  target_compile_options(nexd_hardening INTERFACE ${nexd_profile} -fcoverage-mapping "SHELL:-mllvm -runtime-counter-relocation")
  target_link_options(nexd_hardening INTERFACE ${nexd_profile})
endif()

# nexd_own: the above, with the warnings that our own code must compile clean under.
add_library(nexd_own INTERFACE)
target_link_libraries(nexd_own INTERFACE nexd_hardening)
target_compile_options(nexd_own INTERFACE -Wall -Wextra -Wconversion -Werror -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wformat=2 -Wvla -Wno-error=cpp)
target_include_directories(nexd_own INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
target_compile_definitions(nexd_own INTERFACE NEXD_VERSION="${PROJECT_VERSION}")
