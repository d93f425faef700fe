"""Options that name the other programs, and the lab of tests/integration."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import netns, node  # noqa: E402
from lab.mesh import Mesh  # noqa: E402
from lab.scene import Scene  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--go-nexd", help="the Go nexd of the Nexodus project")
    parser.addoption("--go-nexctl", help="its nexctl")


def pytest_sessionstart():
    if not (node.BUILD / "bin" / "nexd").exists():
        pytest.exit(f"{node.BUILD}/bin/nexd is not there: build first, or set NEXD_BUILD", returncode=2)
    if os.geteuid() == 0:
        netns.remove_leftovers()


def program(config, option):
    path = config.getoption(option)
    if not path:
        pytest.skip(f"not run: {option} names no program")
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    return Path(path).resolve()


@pytest.fixture
def go_nexd(pytestconfig):
    return program(pytestconfig, "--go-nexd")


@pytest.fixture
def go_nexctl(pytestconfig):
    return program(pytestconfig, "--go-nexctl")


@pytest.fixture
def scene(request):
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
def mesh(scene):
    return Mesh(scene)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    setattr(item, "report_" + report.when, report)
    scene = getattr(item, "funcargs", {}).get("scene")
    if report.when != "teardown" and report.failed and scene:
        report.sections.append(("what the ends said", scene.logs()))
