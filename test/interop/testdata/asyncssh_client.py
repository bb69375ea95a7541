"""Does one thing with asyncssh, for the table of clients. Any surprise is a traceback.

asyncssh_client.py HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS OPERATION [ARGUMENT...]
"""

import asyncio
import os
import sys

import asyncssh

host, port, user, key, password, known, operation = sys.argv[1:8]
# Names on the server are bytes, in whatever encoding.
arguments = [os.fsencode(a) for a in sys.argv[8:]]
pairs = list(zip(arguments[::2], arguments[1::2]))


async def put_rest(sftp, local, remote):
    at = (await sftp.stat(remote)).size
    async with sftp.open(remote, "rb+") as to:
        with open(local, "rb") as f:
            f.seek(at)
            await to.write(f.read(), at)


async def get_rest(sftp, remote, local):
    with open(local, "ab") as to:
        async with sftp.open(remote, "rb") as f:
            to.write(await f.read(-1, to.tell()))


async def append(sftp, local, remote):
    async with sftp.open(remote, "ab") as to:
        with open(local, "rb") as f:
            await to.write(f.read())


async def run(sftp):
    if operation == "put":
        for pair in pairs:
            await sftp.put(*pair)
    elif operation == "get":
        for pair in pairs:
            await sftp.get(*pair)
    elif operation in ("put-at-once", "get-at-once"):
        await asyncio.gather(*(getattr(sftp, operation[:3])(*pair) for pair in pairs))
    elif operation in ("put-kept", "get-kept"):
        for pair in pairs:
            await getattr(sftp, operation[:3])(*pair, preserve=True)
    elif operation in ("put-tree", "get-tree"):
        for pair in pairs:
            await getattr(sftp, operation[:3])(*pair, recurse=True, follow_symlinks=True)
    elif operation in ("rename", "posix_rename", "symlink"):
        await getattr(sftp, operation)(*arguments)
    elif operation == "list":
        for name in await sftp.listdir(arguments[0]):
            if name not in (b".", b".."):
                sys.stdout.buffer.write(name + b"\n")
    elif operation == "space":
        st = await sftp.statvfs("/")
        print(st.blocks * st.frsize)
    else:
        do = {"put-rest": put_rest, "get-rest": get_rest, "append": append}[operation]
        for pair in pairs:
            await do(sftp, *pair)


async def main():
    async with asyncssh.connect(
        host, int(port), username=user, password=password or None, client_keys=[key] if key else None,
        known_hosts=known, agent_path=None, config=None, connect_timeout=60, login_timeout=60,
    ) as connection:
        async with connection.start_sftp_client() as sftp:
            await run(sftp)


asyncio.run(main())
