"""Opens sealed device tokens of kind "v1", with nothing but the standard library: X25519 (RFC 7748), HKDF (RFC 5869), AES-256-GCM (NIST SP
800-38D). Slow and not constant-time: for tests."""
import base64
import hmac

P = 2**255 - 19


def x25519(scalar, point):
    k = int.from_bytes(bytes([scalar[0] & 248]) + scalar[1:31] + bytes([scalar[31] & 127 | 64]), "little")
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def hkdf(secret, salt, info, length):
    key, out, block = hmac.digest(salt, secret, "sha256"), b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def _gf8(a, b):
    out = 0
    while b:
        out ^= a if b & 1 else 0
        a, b = a << 1 ^ (0x11b if a & 0x80 else 0), b >> 1
    return out


def _sbox():
    table = []
    for value in range(256):
        inverse = next((i for i in range(1, 256) if _gf8(value, i) == 1), 0)
        table.append(inverse ^ 0x63 ^ (b := inverse << 1 | inverse >> 7) & 0xff ^ (c := b << 1 | (b & 0xff) >> 7) & 0xff
                     ^ (d := c << 1 | (c & 0xff) >> 7) & 0xff ^ (d << 1 | (d & 0xff) >> 7) & 0xff)
    return table


SBOX = _sbox()


def _aes256(key, block):
    words, rcon = [list(key[i:i + 4]) for i in range(0, 32, 4)], 1
    for i in range(8, 60):
        word = list(words[i - 1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0], rcon = word[0] ^ rcon, _gf8(rcon, 2)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    keys = [sum(words[4 * r:4 * r + 4], []) for r in range(15)]
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number in range(1, 15):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 14:
            mixed = []
            for c in range(0, 16, 4):
                a = state[c:c + 4]
                mixed += [_gf8(a[i], 2) ^ _gf8(a[(i + 1) % 4], 3) ^ a[(i + 2) % 4] ^ a[(i + 3) % 4] for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[number])]
    return bytes(state)


def _ghash(h, data):
    h, y = int.from_bytes(h, "big"), 0
    for i in range(0, len(data), 16):
        y ^= int.from_bytes(data[i:i + 16].ljust(16, b"\0"), "big")
        z, v = 0, h
        for bit in range(127, -1, -1):
            z ^= v if y >> bit & 1 else 0
            v = v >> 1 ^ (0xe1 << 120 if v & 1 else 0)
        y = z
    return y.to_bytes(16, "big")


def aes_gcm_open(key, nonce, sealed):
    text, tag = sealed[:-16], sealed[-16:]
    count = (len(text) + 15) // 16
    stream = b"".join(_aes256(key, nonce + (i + 2).to_bytes(4, "big")) for i in range(count))
    padded = text + bytes(-len(text) % 16) + bytes(8) + (8 * len(text)).to_bytes(8, "big")
    expected = bytes(a ^ b for a, b in zip(_ghash(_aes256(key, bytes(16)), padded), _aes256(key, nonce + b"\0\0\0\1")))
    assert hmac.compare_digest(tag, expected), "the tag is wrong"
    return bytes(a ^ b for a, b in zip(text, stream))


def open_token(sealed, public_key):
    """`public_key` in base64, as in the API."""
    kind, ephemeral, text = (base64.urlsafe_b64decode(part) for part in sealed.split(":"))
    assert kind == b"v1"
    key = base64.b64decode(public_key)
    secret = x25519(ephemeral, key)
    return aes_gcm_open(hkdf(secret, ephemeral + key, b"X25519", 32), bytes(12), text).decode()
