"""The issuer: discovery, keys, the three grants, the page on which people approve devices, limits on attempts."""
import base64
import http.cookies
import json
import re
import time
import urllib.parse

import pytest

from lab.plane import HOST, PASSWORD, REALM, SCOPES, Plane

TOKEN, DEVICE = "/protocol/openid-connect/token", "/protocol/openid-connect/auth/device"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def plane():
    made = Plane()
    made.user("alice")
    yield made
    made.close()


def claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def discovery(plane):
    answer = plane.request("GET", REALM + "/.well-known/openid-configuration", prefix="auth")
    assert answer.status == 200
    return answer.json


def test_clients_find_their_way(plane):
    start = plane.request("POST", "/device/login/start").json
    issuer = f"https://auth.{HOST}:{plane.port}{REALM}"
    assert (start["issuer"], start["client_id"]) == (issuer, "nexodus-cli")
    assert start["device_authorization_endpoint"] == issuer + DEVICE
    moment = time.strptime(start["server_time"].split(".")[0], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(moment) - time.timezone - time.time()) < 30
    found = discovery(plane)
    assert found["issuer"] == issuer and found["token_endpoint"] == issuer + TOKEN
    keys = plane.request("GET", urllib.parse.urlsplit(found["jwks_uri"]).path, prefix="auth").json["keys"]
    assert [(key["kty"], key["alg"], key["use"]) for key in keys] == [("RSA", "RS256", "sig")]
    assert set(keys[0]) == {"kid", "kty", "alg", "use", "n", "e"}


def test_password_grant(plane):
    answer = plane.login("alice")
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    tokens = answer.json
    assert tokens["token_type"] == "Bearer" and tokens["expires_in"] == 600 and tokens["scope"] == SCOPES
    identity, access = claims(tokens["id_token"]), claims(tokens["access_token"])
    assert identity["aud"] == "nexodus-cli" and identity["iss"] == discovery(plane)["issuer"] and identity["typ"] == "ID"
    assert access["preferred_username"] == "alice" and abs(access["exp"] - time.time() - 600) < 30
    # An identity token opens nothing.
    assert plane.request("GET", "/api/users/me", tokens["id_token"]).text == "Jwt verification fails"
    # A public client may name itself by HTTP Basic too.
    basic = {"Authorization": "Basic " + base64.b64encode(b"nexodus-cli:").decode()}
    assert plane.form(TOKEN, {"grant_type": "password", "username": "alice", "password": PASSWORD}, basic).status == 200


@pytest.mark.parametrize("fields,status,error", [
    ({"client_id": "nexodus-cli", "grant_type": "password", "username": "alice", "password": "x"}, 401, "invalid_grant"),
    ({"client_id": "nexodus-cli", "grant_type": "password", "username": "nobody", "password": "x"}, 401, "invalid_grant"),
    ({"client_id": "nope", "grant_type": "password", "username": "alice", "password": "x"}, 401, "invalid_client"),
    ({"grant_type": "password", "username": "alice", "password": "x"}, 401, "invalid_client"),
    ({"client_id": "nexodus-cli", "grant_type": "nope"}, 400, "unsupported_grant_type"),
    ({"client_id": "nexodus-cli"}, 400, "invalid_request"),
    ({"client_id": "nexodus-cli", "grant_type": "password", "username": "alice"}, 400, "invalid_request"),
    ({"client_id": "nexodus-cli", "grant_type": "refresh_token"}, 400, "invalid_request"),
    ({"client_id": "nexodus-cli", "grant_type": "refresh_token", "refresh_token": "garbage"}, 400, "invalid_grant"),
    ({"client_id": "nexodus-cli", "grant_type": GRANT}, 400, "invalid_request"),
    ({"client_id": "nexodus-cli", "grant_type": GRANT, "device_code": "nope"}, 400, "invalid_grant"),
])
def test_errors_are_those_of_the_recordings(plane, fields, status, error):
    answer = plane.form(TOKEN, fields)
    assert (answer.status, answer.json["error"]) == (status, error), answer


def test_requests_that_are_no_forms(plane):
    assert plane.request("POST", REALM + TOKEN, body="{}", prefix="auth").status == 400
    answer = plane.form(TOKEN, {}, {"Authorization": "Basic !!!"})
    assert answer.json["error"] == "invalid_client"
    twice = plane.request("POST", REALM + TOKEN, body="client_id=nexodus-cli&grant_type=password&grant_type=nope", prefix="auth",
                          headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert twice.json["error"] == "invalid_request"
    assert plane.request("GET", REALM + TOKEN, prefix="auth").status == 405
    assert plane.request("GET", REALM + "/nothing", prefix="auth").status == 404
    assert plane.form(DEVICE, {"client_id": "nope"}).json["error"] == "invalid_client"


def test_refresh_tokens_are_used_once(plane):
    first = plane.login("alice").json["refresh_token"]

    def refresh(token):
        return plane.form(TOKEN, {"client_id": "nexodus-cli", "grant_type": "refresh_token", "refresh_token": token})
    second = refresh(first)
    assert second.status == 200 and second.json["refresh_token"] != first and second.json["scope"] == SCOPES
    assert plane.request("GET", "/api/users/me", second.json["access_token"]).status == 200
    third = refresh(second.json["refresh_token"])
    assert third.status == 200
    # Whoever comes with a token that was taken before ends the whole session.
    assert refresh(first).json["error"] == "invalid_grant"
    assert refresh(third.json["refresh_token"]).json["error"] == "invalid_grant"
    # They outlive a restart.
    kept = plane.login("alice").json["refresh_token"]
    plane.stop()
    plane.start()
    assert refresh(kept).status == 200


def test_userinfo(plane):
    token = plane.token("alice")
    path = REALM + "/protocol/openid-connect/userinfo"
    assert plane.request("GET", path, token, prefix="auth").json["preferred_username"] == "alice"
    refused = plane.request("GET", path, "x", prefix="auth")
    assert refused.status == 401 and 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


class Browser:
    """A person with a browser: keeps cookies, fills in the form."""

    def __init__(self, plane):
        self.plane, self.cookies = plane, {}

    def open(self, url):
        parts = urllib.parse.urlsplit(url)
        return self._keep(self.plane.request("GET", f"{parts.path}?{parts.query}", prefix="auth", headers=self._headers()))

    def _headers(self):
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}

    def _keep(self, answer):
        for name, morsel in http.cookies.SimpleCookie(answer.headers.get("Set-Cookie", "")).items():
            self.cookies[name] = morsel.value
        return answer

    def send(self, page, **changes):
        fields = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', page.text))
        fields = {"token": fields["token"], "user_code": fields["user_code"], "username": "alice", "password": PASSWORD,
                  "decision": "approve", **changes}
        return self._keep(self.plane.form("/device", fields, self._headers()))


def start(plane):
    answer = plane.form(DEVICE, {"client_id": "nexodus-cli", "scope": SCOPES})
    assert answer.status == 200
    return answer.json


def poll(plane, code):
    return plane.form(TOKEN, {"client_id": "nexodus-cli", "grant_type": GRANT, "device_code": code})


def test_device_grant_approved(plane):
    begun = start(plane)
    assert (begun["interval"], begun["expires_in"]) == (5, 600)
    assert begun["verification_uri_complete"] == f"{begun['verification_uri']}?user_code={begun['user_code']}"
    assert re.fullmatch(r"[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}", begun["user_code"])
    first = poll(plane, begun["device_code"])
    assert (first.status, first.json["error"]) == (400, "authorization_pending")
    assert poll(plane, begun["device_code"]).json["error"] == "slow_down"
    browser = Browser(plane)
    page = browser.open(begun["verification_uri_complete"])
    assert begun["user_code"] in page.text and "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "Set-Cookie" in page.headers and "HttpOnly" in page.headers["Set-Cookie"] and "SameSite=Strict" in page.headers["Set-Cookie"]
    assert "wrong" in browser.send(page, password="x").text
    assert "not known" in browser.send(page, user_code="BBBB-BBBB").text
    done = browser.send(page, user_code=begun["user_code"].lower().replace("-", ""))
    assert done.status == 200 and "approved" in done.text
    tokens = poll(plane, begun["device_code"])
    assert tokens.status == 200 and tokens.json["scope"] == SCOPES and tokens.json["id_token"]
    assert plane.request("GET", "/api/users/me", tokens.json["access_token"]).json["username"] == "alice"
    assert poll(plane, begun["device_code"]).json["error"] == "invalid_grant"


def test_device_grant_denied(plane):
    begun, browser = start(plane), Browser(plane)
    assert "denied" in browser.send(browser.open(begun["verification_uri_complete"]), decision="deny").text
    assert poll(plane, begun["device_code"]).json["error"] == "access_denied"


def test_forms_of_other_sites_do_nothing(plane):
    begun, browser = start(plane), Browser(plane)
    page = browser.open(begun["verification_uri_complete"])
    assert browser.send(page, token="A" * 43).status == 403
    stranger = Browser(plane)
    assert stranger.send(page).status == 403
    stranger.cookies = {"__Host-apid-form": "short"}
    assert stranger.send(page).status == 403
    assert poll(plane, begun["device_code"]).json["error"] == "authorization_pending"
    # Two open pages of one browser both work.
    browser.open(begun["verification_uri_complete"])
    assert browser.send(page).status == 200


def test_what_is_typed_is_shown_as_text(plane):
    page = plane.request("GET", REALM + "/device?user_code=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%27", prefix="auth")
    assert page.status == 200 and "<script" not in page.text and "&quot;&gt;&lt;script&gt;" in page.text
    assert plane.request("GET", REALM + "/device?user_code=%zz", prefix="auth").status == 400


def test_guessing_is_slowed_down(plane):
    plane.user("bob")
    answers = [plane.login("alice", password="guess").status for _ in range(8)]
    assert answers[:5] == [401] * 5 and answers[5:] == [429] * 3
    limited = plane.login("alice")  # from here, even with the right one
    assert limited.status == 429 and limited.headers["Retry-After"]
    assert plane.login("bob").status == 200


def test_a_broken_or_old_token_is_refused(plane):
    token = plane.token("alice")
    header, payload, signature = token.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**claims(token), "sub": "0" * 8}).encode()).decode().rstrip("=")
    for wrong in (f"{header}.{forged}.{signature}", f"{header}.{payload}.", f"eyJhbGciOiJub25lIn0.{payload}.", token + "A", "a.b.c"):
        refused = plane.request("GET", "/api/users/me", wrong)
        assert refused.status == 401 and 'error="invalid_token"' in refused.headers["WWW-Authenticate"], wrong
