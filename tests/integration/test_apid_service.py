"""The program: its command line, its folder, its sandbox, hostile clients, limits."""
import os
import signal
import socket
import ssl
import stat
import subprocess
import threading

import pytest

from lab import node as nodes, waiting
from lab.plane import HOST, Plane, free_port
from lab.process import traced

APID = nodes.BUILD / "bin" / "apid"


@pytest.fixture
def plane():
    made = Plane("--max-connections", "40", "--max-connections-per-client", "20")
    yield made
    made.close()


def run(*words, **more):
    return subprocess.run([APID, *map(str, words)], capture_output=True, text=True, timeout=30, check=False, **more)


@pytest.mark.parametrize("words,error", [
    ((), "--data DIR is needed"),
    (("--data", "x"), "--host NAME is needed"),
    (("--data", "x", "--host", "10.0.0.1"), "a host name is needed"),
    (("--data", "x", "--host", "h", "--listen", "nowhere"), "an address and port are needed"),
    (("--data", "x", "--host", "h", "--external-port", "0"), "a number from 1 to 65535"),
    (("--data", "x", "--host", "h", "--tls-cert", "c"), "go together"),
    (("--data", "x", "--host", "h", "--log-level", "loud"), "debug, info"),
    (("--data", "x", "--host", "h", "--sandbox", "none"), "strict or best-effort"),
    (("--data", "x", "--host", "h", "--max-connections", "x"), "a number from"),
    (("--data",), "a value is missing"),
    (("--nonsense",), "there is no flag"),
    (("--data", ""), "the path is empty"),
])
def test_wrong_command_lines(words, error):
    result = run(*words)
    assert result.returncode == 1 and error in result.stderr and result.stderr.startswith("apid: ") and not result.stdout


def test_help_and_version():
    assert "--listen" in run("--help").stdout and run("--version").stdout.startswith("version: ")


def test_files_are_for_the_owner_alone(plane):
    modes = {name: stat.S_IMODE(os.stat(os.path.join(plane.data, name)).st_mode) for name in os.listdir(plane.data)}
    assert modes["ca.key"] == 0o600 and modes["ca.crt"] == 0o644 and modes["apid.db"] == 0o600
    assert stat.S_IMODE(os.stat(plane.data).st_mode) == 0o700


def test_one_server_a_folder(plane):
    second = run("--data", plane.data, "--host", HOST, "--listen", f"127.0.0.1:{free_port()}")
    assert second.returncode == 1 and "in use by another apid" in second.stderr


def test_a_port_in_use_is_named(plane, tmp_path):
    result = run("--data", tmp_path, "--host", HOST, "--listen", f"127.0.0.1:{plane.port}")
    assert result.returncode == 1 and f"127.0.0.1:{plane.port}" in result.stderr


def test_it_is_sandboxed(plane):
    with open(f"/proc/{plane.process.pid}/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
    assert int(status["CapEff"], 16) == 0 and int(status["Threads"]) == 1


def test_signals_end_it(plane):
    with plane.watch("DT:none", []) as stream:
        assert stream.status == 401
    plane.stop(signal.SIGTERM)
    plane.start()
    plane.process.signal(signal.SIGINT)
    assert plane.process.wait(20) == 0
    plane.process = None
    plane.start()


def test_killed_it_comes_back(plane):
    token = plane.token(plane.user("alice"))
    plane.stop(signal.SIGKILL)
    plane.start()
    assert plane.request("GET", "/api/users/me", token).status == 200


def raw(plane, data, seconds=10):
    """What comes back, until the other side ends it."""
    sock = plane.tls.wrap_socket(socket.create_connection(("127.0.0.1", plane.port), timeout=seconds), server_hostname=f"api.{HOST}")
    with sock:
        try:
            sock.sendall(data)
            answer = b""
            while True:
                more = sock.recv(65536)
                if not more:
                    return answer
                answer += more
        except (ConnectionError, ssl.SSLError):
            return b""


@pytest.mark.parametrize("request_text", [
    b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(20000)) + b"\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"POST /api/devices HTTP/1.1\r\nHost: api." + HOST.encode() + b"\r\nContent-Length: 10000000\r\nConnection: close\r\n\r\n" + b"x" * 1000000,
    b"POST /api/devices HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: close\r\n\r\n0\r\n\r\nGET /",
    b"\0" * 5000 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
])
def test_hostile_requests(plane, request_text):
    answer = raw(plane, request_text)
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert plane.request("GET", "/device/certs").status == 200


def test_no_plain_http_and_no_old_tls(plane):
    with socket.create_connection(("127.0.0.1", plane.port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert not sock.recv(1000).startswith(b"HTTP")
        except ConnectionResetError:
            pass
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", plane.port)) as sock, old.wrap_socket(sock) as secure:
        assert secure.version() == "TLSv1.2"
    old.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", plane.port)) as sock, pytest.raises(ssl.SSLError):
        old.wrap_socket(sock)
    assert plane.request("GET", "/device/certs").status == 200


def test_a_client_has_so_many_connections(plane):
    held = [plane.connect() for _ in range(20)]
    with pytest.raises((OSError, EOFError)):
        connection = plane.connect()
        connection.request("GET", "/device/certs")
        connection.getresponse()
    held.pop().close()

    def works():
        try:
            return plane.request("GET", "/device/certs").status == 200
        except OSError:
            return False
    waiting.until(works, 10, "a place that was given back")
    for connection in held:
        connection.close()


def test_many_at_once(plane):
    token = plane.token(plane.user("alice"))
    wrong = []

    def ask():
        for _ in range(20):
            answer = plane.request("GET", "/api/users/me", token)
            if answer.status != 200:
                wrong.append(answer)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_operators_certificate(plane, tmp_path):
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                    "-out", chain, "-days", "5", "-subj", "/CN=x", "-addext", f"subjectAltName=DNS:api.{HOST}"],
                   check=True, capture_output=True)
    plane.stop()
    plane.options = ("--tls-cert", str(chain), "--tls-key", str(key))
    plane.start()
    trusting = ssl.create_default_context(cafile=str(chain))
    with socket.create_connection(("127.0.0.1", plane.port)) as sock, trusting.wrap_socket(sock, server_hostname=f"api.{HOST}") as secure:
        assert secure.version() == "TLSv1.3"
    plane.stop()
    bad = run("--data", plane.data, "--host", HOST, "--listen", f"127.0.0.1:{plane.port}", "--tls-cert", key, "--tls-key", chain)
    assert bad.returncode == 1 and "key.pem" in bad.stderr


def test_the_external_port_is_told(plane):
    plane.stop()
    plane.options = ("--external-port", "443")
    command = [APID, "--data", plane.data, "--host", HOST, "--listen", f"127.0.0.1:{plane.port}", *plane.options]
    with subprocess.Popen(list(map(str, traced(command))), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == f"apid is ready: https://api.{HOST}\n"
        start = plane.request("POST", "/device/login/start").json
        assert start["issuer"] == f"https://auth.{HOST}/realms/nexodus"
        process.terminate()
        assert process.wait(20) == 0
