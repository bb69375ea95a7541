// Does one thing with ssh2-sftp-client, which is ssh2 with promises, for the table of clients.
// Anything unexpected throws an exception.
//
// client.js HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS OPERATION [ARGUMENT...]
'use strict';

const fs = require('fs');
const net = require('net');
const { createRequire } = require('module');
// The packages are where hack/install-packages.sh put them.
const Client = createRequire(process.env.SSH2_PACKAGES + '/package.json')('ssh2-sftp-client');

const [host, port, user, key, password, known, operation, ...args] = process.argv.slice(2);
const pairs = [];
for (let i = 0; i + 1 < args.length; i += 2) {
  pairs.push([args[i], args[i + 1]]);
}
const trusted = Buffer.from(fs.readFileSync(known, 'utf8').trim().split(' ')[2], 'base64');

async function each(operation) {
  for (const [from, to] of pairs) {
    await operation(from, to);
  }
}

function statvfs(sftp) {
  return new Promise((resolve, reject) => {
    sftp.sftp.ext_openssh_statvfs('/', (err, st) => (err ? reject(err) : resolve(st)));
  });
}

const kept = {
  async put(sftp, from, to) {
    const st = fs.statSync(from);
    await sftp.fastPut(from, to, { mode: st.mode & 0o7777 });
    await new Promise((resolve, reject) => {
      sftp.sftp.utimes(to, st.atimeMs / 1000, st.mtimeMs / 1000, (err) => (err ? reject(err) : resolve()));
    });
  },
  async get(sftp, from, to) {
    await sftp.fastGet(from, to);
    const st = await sftp.stat(from);
    fs.chmodSync(to, st.mode & 0o7777);
    fs.utimesSync(to, st.accessTime / 1000, st.modifyTime / 1000);
  },
};

function request(sftp, name, ...args) {
  return new Promise((resolve, reject) => {
    sftp.sftp[name](...args, (err, result) => (err ? reject(err) : resolve(result)));
  });
}

async function refused(what, operation) {
  try {
    await operation();
  } catch (err) {
    console.log(`refused ${what}`);
    return;
  }
  throw new Error(`${what} was not refused`);
}

// Requests for which ssh2-sftp-client has no method go to ssh2.
async function session(sftp, big, uid, gid) {
  await sftp.mkdir('/d');
  await sftp.mkdir('/d/sub');
  await sftp.rmdir('/d/sub');
  await sftp.put(big, '/d/file');
  await sftp.chmod('/d/file', 0o604);
  await request(sftp, 'utimes', '/d/file', 981158400, 981158401);
  // The other ID stays as it is.
  await request(sftp, 'setstat', '/d/file', { uid, gid: 0xffffffff });
  await request(sftp, 'setstat', '/d/file', { uid: 0xffffffff, gid });
  const st = await sftp.stat('/d/file');
  console.log(`stat ${st.size} ${(st.mode & 0o7777).toString(8)} ${st.modifyTime / 1000}`);
  await request(sftp, 'symlink', 'file', '/d/link');
  console.log(`readlink ${await request(sftp, 'readlink', '/d/link')}`);
  console.log(`lstat ${((await request(sftp, 'lstat', '/d/link')).mode & 0o170000).toString(8)}`);
  await sftp.put(big, '/d/cut');
  await request(sftp, 'setstat', '/d/cut', { size: 5 });
  await sftp.put(Buffer.from('gone'), '/d/gone');
  await sftp.delete('/d/gone');
  await refused('rmdir', () => sftp.rmdir('/d'));
  await refused('mkdir', () => request(sftp, 'mkdir', '/d'));
  await refused('stat', () => sftp.stat('/d/gone'));
  await sftp.rename('/d/file', '/d/new');
  console.log(`realpath ${await sftp.realPath('/d/../d/new')}`);
}

const operations = {
  put: (sftp) => each((from, to) => sftp.fastPut(from, to)),
  get: (sftp) => each((from, to) => sftp.fastGet(from, to)),
  'put-at-once': (sftp) => Promise.all(pairs.map(([from, to]) => sftp.fastPut(from, to))),
  'get-at-once': (sftp) => Promise.all(pairs.map(([from, to]) => sftp.fastGet(from, to))),
  'put-kept': (sftp) => each((from, to) => kept.put(sftp, from, to)),
  'get-kept': (sftp) => each((from, to) => kept.get(sftp, from, to)),
  'put-tree': (sftp) => each((from, to) => sftp.uploadDir(from, to)),
  'get-tree': (sftp) => each((from, to) => sftp.downloadDir(from, to)),
  'put-rest': (sftp) => each(async (from, to) => {
    const { size } = await sftp.stat(to);
    await sftp.put(fs.createReadStream(from, { start: size }), to, { writeStreamOptions: { flags: 'r+', start: size } });
  }),
  'get-rest': (sftp) => each(async (from, to) => {
    const { size } = fs.statSync(to);
    await sftp.get(from, fs.createWriteStream(to, { flags: 'a' }), { readStreamOptions: { start: size } });
  }),
  append: (sftp) => each((from, to) => sftp.append(fs.createReadStream(from), to)),
  rename: (sftp) => sftp.rename(args[0], args[1]),
  posix_rename: (sftp) => sftp.posixRename(args[0], args[1]),
  list: async (sftp) => {
    const entries = await sftp.list(args[0]);
    process.stdout.write(entries.map((e) => e.name + '\n').join(''));
  },
  session: (sftp) => session(sftp, args[0], Number(args[1]), Number(args[2])),
  space: async (sftp) => {
    const st = await statvfs(sftp);
    console.log(String(Number(st.f_frsize) * Number(st.f_blocks)));
  },
};

async function main() {
  const sftp = new Client();
  await sftp.connect({
    // ssh2 leaves Nagle's algorithm on, which costs 40 ms for each request that waits for its answer.
    sock: net.connect({ host, port: Number(port), noDelay: true }),
    username: user,
    password: password || undefined,
    privateKey: key ? fs.readFileSync(key) : undefined,
    hostVerifier: (found) => trusted.equals(found),
    readyTimeout: 60000,
  });
  try {
    await operations[operation](sftp);
  } finally {
    await sftp.end();
  }
}

main().catch((err) => {
  console.error(err);
  process.exitCode = 1;
});
