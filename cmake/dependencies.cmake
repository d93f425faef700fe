# Libraries of the distribution, found through pkg-config. lwIP has its own file: it is fetched.
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET libevent_core>=2.1)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium>=1.0.18)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp>=2.5)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares>=1.18)
pkg_check_modules(YAJL REQUIRED IMPORTED_TARGET yajl)
pkg_check_modules(B2 REQUIRED IMPORTED_TARGET libb2)
if(BUILD_TESTING)
  pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)
endif()
# intel-ipsec-mb ships no pkg-config file; x86-64 only and optional.
find_path(IPSEC_MB_INCLUDE intel-ipsec-mb.h)
find_library(IPSEC_MB_LIBRARY IPSec_MB)
