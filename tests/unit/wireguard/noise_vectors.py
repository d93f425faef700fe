#!/usr/bin/env python3
"""Prints noise_vectors.h: one handshake with fixed keys, computed from the paper by another implementation.

Section 5.4 of the WireGuard paper, line by line, over hashlib and the `cryptography` package:
    python3 noise_vectors.py > noise_vectors.h
"""
import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def hash_(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(count, key, data):
    def hmac_(k, d):
        return hmac.new(k, d, hashlib.blake2s).digest()

    secret, outputs = hmac_(key, data), []
    for i in range(count):
        outputs.append(hmac_(secret, (outputs[-1] if outputs else b"") + bytes([i + 1])))
    return outputs if count > 1 else outputs[0]


def dh(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def pub(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def aead(key, text, data):
    return ChaCha20Poly1305(key).encrypt(bytes(12), text, data)


initiator_private, responder_private = bytes([0x11] * 32), bytes([0x22] * 32)
initiator_ephemeral, responder_ephemeral = bytes([0x33] * 32), bytes([0x44] * 32)
psk = bytes([0x55] * 32)
timestamp = (0x400000000000000A + 1700000000).to_bytes(8, "big") + bytes(4)
initiator_index, responder_index = 0x01020304, 0xA1A2A3A4
initiator_public, responder_public = pub(initiator_private), pub(responder_private)

# Initiation.
ck = hash_(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
h = hash_(hash_(ck, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), responder_public)
e = pub(initiator_ephemeral)
ck = kdf(1, ck, e)
h = hash_(h, e)
ck, k = kdf(2, ck, dh(initiator_ephemeral, responder_public))
static = aead(k, initiator_public, h)
h = hash_(h, static)
ck, k = kdf(2, ck, dh(initiator_private, responder_public))
stamp = aead(k, timestamp, h)
h = hash_(h, stamp)
initiation = b"\x01\0\0\0" + initiator_index.to_bytes(4, "little") + e + static + stamp
initiation += mac(hash_(b"mac1----", responder_public), initiation) + bytes(16)

# Response.
e = pub(responder_ephemeral)
ck = kdf(1, ck, e)
h = hash_(h, e)
ck = kdf(1, ck, dh(responder_ephemeral, pub(initiator_ephemeral)))
ck = kdf(1, ck, dh(responder_ephemeral, initiator_public))
ck, t, k = kdf(3, ck, psk)
h = hash_(h, t)
empty = aead(k, b"", h)
response = (b"\x02\0\0\0" + responder_index.to_bytes(4, "little") + initiator_index.to_bytes(4, "little") + e + empty)
response += mac(hash_(b"mac1----", initiator_public), response) + bytes(16)
initiator_send, initiator_receive = kdf(2, ck, b"")


def show(name, data):
    lines = [", ".join(f"0x{b:02x}" for b in data[i : i + 16]) for i in range(0, len(data), 16)]
    print(f"static const uint8_t {name}[] = {{\n    " + ",\n    ".join(lines) + "};")


print("/* Made by noise_vectors.py; do not edit. */")
for name in ("initiation", "response", "initiator_send", "initiator_receive"):
    show(f"vector_{name}", globals()[name])
