"""Fixtures and markers. Run by scripts/test and scripts/test-one; NEXD_BUILD names the build tree whose programs are tested."""
import os
import shutil

import pytest

from lab import netns, node
from lab.scene import Scene

MARKERS = {
    "slow": "waits for timers of the protocol: a minute or more, mostly idle",
    "scale": "counts, sizes and limits that are those of the release build",
}


def pytest_configure(config):
    for name, text in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {text}")


def pytest_collection_modifyitems(items):
    reasons = []
    if os.geteuid() != 0:
        reasons.append("needs root, to make network namespaces")
    for tool in ("ip", "nsenter", "setpriv", "unshare", "wg"):
        if not shutil.which(tool):
            reasons.append(f"needs the program {tool}")
    for item in items:
        if "scene" in item.fixturenames and reasons:
            item.add_marker(pytest.mark.skip(reason="; ".join(reasons)))
        if "kernel" in item.fixturenames and not shutil.which("wireguard-go"):
            item.add_marker(pytest.mark.skip(reason="needs the program wireguard-go"))
        if item.get_closest_marker("scale") and node.sanitized():
            item.add_marker(pytest.mark.skip(reason="figures of the release build; this one has sanitizers"))


def pytest_sessionstart():
    program = node.BUILD / "bin" / "nexd"
    if not program.exists():
        pytest.exit(f"{program} is not there: build first, or set NEXD_BUILD", returncode=2)
    if os.geteuid() == 0:
        netns.remove_leftovers()


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    setattr(item, "report_" + report.when, report)
    scene = getattr(item, "funcargs", {}).get("scene")
    if report.when == "call" and report.failed and scene:
        report.sections.append(("what the ends said", scene.logs()))


@pytest.fixture
def scene(request):
    """One test's own network."""
    made = Scene()
    try:
        yield made
    except BaseException:
        made.discard()
        raise
    report = getattr(request.node, "report_call", None)
    if report is not None and report.passed:
        made.close()
    else:
        made.discard()


@pytest.fixture
def kernel():
    """Asked for by tests that use a wireguard-go end, so that they are skipped where it is missing."""
