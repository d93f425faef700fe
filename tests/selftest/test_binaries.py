"""The programs as they are shipped: how they were hardened by compiler and linker, and which libraries each one brings into its
process. NEXD_BUILD names the build tree (default ./build)."""
import platform
import re
import subprocess

import pytest

from selftest import BUILD

CHILDREN = ("tunneld", "proxyd", "ctld")
PROGRAMS = {"nexd": BUILD / "bin" / "nexd", "nexctl": BUILD / "bin" / "nexctl", "apid": BUILD / "bin" / "apid",
            **{child: BUILD / "libexec" / "nexd" / child for child in CHILDREN}}
# What a room may bring in; README.md has the reasons. A program may do with less.
LIBRARIES = {
    "nexd": {"libc", "libevent_core-2", "libsodium", "libyajl"},
    "nexctl": {"libc", "libyajl"},
    "tunneld": {"libc", "libm", "libevent_core-2", "libsodium", "libb2", "libIPSec_MB"},
    "proxyd": {"libc", "libevent_core-2", "libcares"},
    "ctld": {"libc", "libevent_core-2", "libevent_extra-2", "libsodium", "libyajl", "libcurl", "libssl", "libcrypto"},
    "apid": {"libc", "libevent-2", "libevent_core-2", "libevent_extra-2", "libevent_openssl-2", "libsodium", "libyajl", "libssl",
             "libcrypto", "libsqlite3"},
}


def readelf(option, name):
    done = subprocess.run(["readelf", "--wide", option, PROGRAMS[name]], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def symbols(name):
    return set(re.findall(r"\b([\w]+)@", readelf("--dyn-syms", name)))


@pytest.fixture(params=PROGRAMS)
def program(request):
    if not PROGRAMS[request.param].exists():
        assert request.param == "apid", f"{request.param} was not built"
        pytest.skip("apid was not built")
    if any(symbol.startswith("__asan_") for symbol in symbols(request.param)):
        pytest.skip("a sanitizer build, which is never shipped")
    return request.param


def test_position_independent_executable(program):
    assert re.search(r"Type:\s+DYN", readelf("--file-header", program))
    assert re.search(r"FLAGS_1.*\bPIE\b", readelf("--dynamic", program))


def test_relocations_are_read_only_before_main(program):
    assert "GNU_RELRO" in readelf("--program-headers", program)
    assert re.search(r"FLAGS_1.*\bNOW\b", readelf("--dynamic", program))


def test_nothing_is_writable_and_executable(program):
    headers = readelf("--program-headers", program)
    stack = re.search(r"GNU_STACK(?:\s+0x\w+){5}\s+(\S+)", headers)
    assert stack and stack[1] == "RW"
    for flags in re.findall(r"LOAD(?:\s+0x\w+){5}\s+([RWE ]+?)\s+0x", headers):
        assert not ("W" in flags and "E" in flags), flags


def test_stack_protector_and_fortify(program):
    used = symbols(program)
    assert "__stack_chk_fail" in used
    assert any(symbol.endswith("_chk") and symbol != "__stack_chk_fail" for symbol in used)


def test_control_flow_notes(program):
    wanted = {"x86_64": ("IBT", "SHSTK"), "aarch64": ("BTI", "PAC")}.get(platform.machine())
    if wanted is None:
        pytest.skip("a machine without such notes")
    notes = readelf("--notes", program)
    assert all(feature in notes for feature in wanted), notes


def test_no_search_path_of_its_own(program):
    assert not re.search(r"\(R(UN)?PATH\)", readelf("--dynamic", program))


def test_only_libraries_that_its_room_needs(program):
    needed = set(re.findall(r"Shared library: \[(\S+?)\.", readelf("--dynamic", program)))
    needed = {re.sub(r"-linux.*", "", library) for library in needed} - {"ld"}
    assert needed <= LIBRARIES[program], needed - LIBRARIES[program]


def test_no_set_user_id(program):
    assert PROGRAMS[program].stat().st_mode & 0o6000 == 0
