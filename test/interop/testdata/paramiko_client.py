"""Does one thing with paramiko, for the table of clients. Any surprise is a traceback.

paramiko_client.py HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS OPERATION [ARGUMENT...]
"""

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko

host, port, user, key, password, known, operation = sys.argv[1:8]
# Names on the server are bytes, in whatever encoding.
arguments = [os.fsencode(a) for a in sys.argv[8:]]
pairs = list(zip(arguments[::2], arguments[1::2]))
client = paramiko.SSHClient()
client.load_host_keys(known)
client.set_missing_host_key_policy(paramiko.RejectPolicy())
client.connect(
    host, int(port), user, password or None, key_filename=key or None,
    allow_agent=False, look_for_keys=False, timeout=60, banner_timeout=60, auth_timeout=60,
)
sftp = client.open_sftp()


def put(local, remote):
    sftp.put(local, remote)


def get(remote, local):
    sftp.get(remote, local)


def put_kept(local, remote):
    put(local, remote)
    entry = os.stat(local)
    sftp.chmod(remote, stat.S_IMODE(entry.st_mode))
    sftp.utime(remote, (entry.st_atime, entry.st_mtime))


def get_kept(remote, local):
    get(remote, local)
    entry = sftp.stat(remote)
    os.chmod(local, stat.S_IMODE(entry.st_mode))
    os.utime(local, (entry.st_atime, entry.st_mtime))


def put_rest(local, remote):
    with open(local, "rb") as f, sftp.open(remote, "r+") as to:
        at = to.stat().st_size
        f.seek(at)
        to.seek(at)
        to.set_pipelined(True)
        while block := f.read(32768):
            to.write(block)


def get_rest(remote, local):
    with sftp.open(remote, "rb") as f, open(local, "ab") as to:
        f.seek(to.tell())
        while block := f.read(32768):
            to.write(block)


def append(local, remote):
    with open(local, "rb") as f, sftp.open(remote, "ab") as to:
        while block := f.read(32768):
            to.write(block)


def each(do):
    for source, target in pairs:
        do(source, target)


def at_once(do):
    """A channel for each, all in one connection."""
    def one(pair):
        channel = client.open_sftp()
        getattr(channel, do)(*pair)
        channel.close()
    with ThreadPoolExecutor(len(pairs)) as pool:
        list(pool.map(one, pairs))


def listing(directory):
    for entry in sftp.listdir_iter(os.fsdecode(directory)):
        sys.stdout.buffer.write(entry.filename.encode() + b"\n")


if operation == "list":
    listing(arguments[0])
elif operation in ("rename", "posix_rename"):
    getattr(sftp, operation)(*arguments)
elif operation in ("put-at-once", "get-at-once"):
    at_once(operation[:3])
else:
    each({
        "put": put, "get": get, "put-kept": put_kept, "get-kept": get_kept,
        "put-rest": put_rest, "get-rest": get_rest, "append": append,
    }[operation])
client.close()
