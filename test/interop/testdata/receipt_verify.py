"""Verifies an envelope of a receipt and its SSH signature without any code of the server. Arguments: the public key's line, the envelope."""
import base64, hashlib, json, struct, sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key


def fields(blob):
    while blob:
        (n,) = struct.unpack(">I", blob[:4])
        yield blob[4:4 + n]
        blob = blob[4 + n:]


def string(data):
    return struct.pack(">I", len(data)) + data


key = load_ssh_public_key(open(sys.argv[1], "rb").read())
assert isinstance(key, Ed25519PublicKey)
envelope = json.load(open(sys.argv[2]))
payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), pae)

armor = envelope["sshsig"].strip().splitlines()
blob = base64.b64decode("".join(armor[1:-1]))
assert blob[:10] == b"SSHSIG" + struct.pack(">I", 1)
_, namespace, reserved, algorithm, signature = fields(blob[10:])
assert (namespace, reserved, algorithm) == (b"receipt@sftp-operator.io", b"", b"sha512")
name, raw = fields(signature)
assert name == b"ssh-ed25519"
key.verify(raw, b"SSHSIG" + string(namespace) + string(reserved) + string(algorithm) + string(hashlib.sha512(payload).digest()))
print(json.loads(payload)["id"], hashlib.sha256(payload).hexdigest())
