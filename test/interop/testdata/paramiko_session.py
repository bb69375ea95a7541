"""Logs in with paramiko and does to the server what scripts in Python do. Any surprise is a traceback.

paramiko_session.py HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS LOCAL-DIRECTORY
"""

import hashlib
import os
import stat
import sys

import paramiko

host, port, user, key, password, known, local = sys.argv[1:]
client = paramiko.SSHClient()
client.load_host_keys(known)
client.set_missing_host_key_policy(paramiko.RejectPolicy())
client.connect(
    host, int(port), user, password or None, key_filename=key or None,
    allow_agent=False, look_for_keys=False, timeout=10, banner_timeout=10, auth_timeout=10,
)
sftp = client.open_sftp()


def same(have, want):
    assert have == want, f"have {have!r}, want {want!r}"


def fails(error, function, *arguments):
    try:
        function(*arguments)
    except error:
        return
    raise AssertionError(f"{function.__name__}{arguments} did not fail with {error.__name__}")


with open(os.path.join(local, "big"), "rb") as f:
    data = f.read()

# put compares the size that the server has then.
same(sftp.put(os.path.join(local, "big"), "up").st_size, len(data))
sftp.get("up", os.path.join(local, "back"))

sftp.mkdir("d", 0o750)
same(stat.S_IMODE(sftp.stat("d").st_mode), 0o750)
for name in ("d/a", "d/b", "d/naïve ☃"):
    with sftp.open(name, "w") as f:
        f.write(name)
same(sorted(sftp.listdir("d")), ["a", "b", "naïve ☃"])
same({a.filename: a.st_size for a in sftp.listdir_iter("d")}["naïve ☃"], len("d/naïve ☃".encode()))

# rename must not replace a file, posix_rename must.
fails(OSError, sftp.rename, "d/a", "d/b")
sftp.posix_rename("d/a", "d/b")
fails(FileNotFoundError, sftp.stat, "d/a")
with sftp.open("d/b") as f:
    same(f.read(), b"d/a")

sftp.truncate("d/b", 2)
same(sftp.stat("d/b").st_size, 2)
with sftp.open("d/b", "r+") as f:
    f.truncate(5)
    same(f.stat().st_size, 5)
    f.seek(1)
    f.write("XY")
with sftp.open("d/b") as f:
    same(f.read(), b"dXY\0\0")

with sftp.open("d/b", "a") as f:
    f.write("+")
    f.write("++")
with sftp.open("d/b") as f:
    same(f.read(), b"dXY\0\0+++")
fails(OSError, sftp.open, "d/b", "x")

with sftp.open("up", "rb") as f:
    f.prefetch(len(data))
    same(hashlib.sha256(f.read()).digest(), hashlib.sha256(data).digest())
with sftp.open("up", "rb") as f:
    chunks = [(len(data) - 7, 7), (3, 40000), (100000, 1)]
    same(list(f.readv(chunks)), [data[at : at + size] for at, size in chunks])
with sftp.open("pipelined", "wb") as f:
    f.set_pipelined(True)
    for at in range(0, len(data), 10000):
        f.write(data[at : at + 10000])
same(sftp.stat("pipelined").st_size, len(data))

sftp.symlink("naïve ☃", "d/link")
same(sftp.readlink("d/link"), "naïve ☃")
assert stat.S_ISLNK(sftp.lstat("d/link").st_mode)
same(sftp.stat("d/link").st_size, len("d/naïve ☃".encode()))
sftp.chmod("d/b", 0o604)
sftp.utime("d/b", (981158400, 981158401))
entry = sftp.stat("d/b")
same((stat.S_IMODE(entry.st_mode), entry.st_atime, entry.st_mtime), (0o604, 981158400, 981158401))
same(sftp.normalize("d/../up"), "/up")
sftp.chdir("d")
same(sftp.getcwd(), "/d")
for name in sftp.listdir():
    sftp.remove(name)
sftp.chdir("/")
sftp.rmdir("d")
fails(FileNotFoundError, sftp.rmdir, "d")
client.close()
